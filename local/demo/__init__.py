"""The demo: a story of shares at two platforms, played, and compared with what must come of it."""
