"""Measure the server, keep the results in bench/server.json, and write their table of docs/benchmarks.md.

python -m bench.server            all parts, as `make bench-server` does
python -m bench.server crowd …    some; the others' results stay as they are
"""

from __future__ import annotations

from bench.server import live, still
from bench.suite import Suite

SUITE = Suite(
    program="bench.server",
    target="bench-server",
    about="Measure the server.",
    file="server.json",
    parts={"idle": still.idle, "home": still.home, "each": live.each, "crowd": live.crowd, "slow": live.slow},
)

if __name__ == "__main__":
    SUITE.main()
