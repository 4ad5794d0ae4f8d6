"""What the system costs, measured; `python -m bench` makes the table of the docs."""
