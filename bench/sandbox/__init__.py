"""What the sandbox costs, beside what people use instead. `python -m bench.sandbox` measures; see `__main__`."""
