"""nightmill: specs in, reviewed pull requests out.

The plan of the house is `docs/concepts/house.md`: imports go down, data goes right,
every step is told to the ledger.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
