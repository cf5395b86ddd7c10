"""The daily ESG ratings job: active accounts in, one encrypted report out, before 09:00 Central."""

__version__ = "0.2.0"
