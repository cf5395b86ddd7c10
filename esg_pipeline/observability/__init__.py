"""What the job shows while it runs. It watches; it never changes what the job does."""
