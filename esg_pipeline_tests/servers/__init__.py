"""Real servers for tests, each on 127.0.0.1 with its own folder."""
