"""The terminal door. Takes: a command line. Gives: text, JSON and an exit status."""
