"""How asks are matched, on a labelled set: `python -m bench.asks`."""
