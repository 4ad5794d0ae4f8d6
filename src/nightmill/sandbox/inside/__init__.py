"""What runs inside a sandbox: plain Python 3.8 that imports nothing of the host's packages. Takes: frames. Gives: frames.

The modules here are compiled by the Python that will run them and handed in as one blob (`sandbox.program`). They
import no `json`, `socket`, `signal`, `subprocess`, `ctypes`, `typing` or `os`: those are more than half of the time until
a sandbox answers, and a tenth of what it holds.
"""
