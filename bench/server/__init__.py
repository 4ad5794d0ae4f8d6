"""The server beside hundreds who watch it, and beside nobody: see `python -m bench.server`."""
