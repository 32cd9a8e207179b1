"""The server of a host: its settings, its two runtimes, and what keeps it running."""
