"""Values and decisions, pure: no I/O, no clock, no Azure. Read this room first."""
