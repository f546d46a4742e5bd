"""Times, rates and memory: to be looked at, never asserted in a test."""
