"""The entrances. One blueprint per file; a function parses its trigger, calls one workflow, returns."""
