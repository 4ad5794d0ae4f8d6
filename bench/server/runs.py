"""Runs that are at work, as far as the ledger can tell: one process tells what happens in all of them, at an even pace.

    python -m bench.server.runs HOME RUNS RATE SECONDS SIZE

Each event goes the way of a worker's: into `Ledger.emit`, gathered there, stored in one transaction with what comes
with it. *RATE* is events per second of all runs together; *SIZE* the bytes that each tells at least.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import count

from nightmill import event as e
from nightmill.cli.door import Door
from nightmill.settings import load

__all__: list[str] = []


def main() -> None:
    home, runs, rate, seconds, size = sys.argv[1], *map(float, sys.argv[2:6])
    door = Door(load(file={}, environment={"NIGHTMILL_HOME": home}, flags={}))
    ids = [f"rbench{each}" for each in range(int(runs))]
    began = time.monotonic()
    for number, event in enumerate(_events(ids, "." * int(size))):
        due = began + number / rate
        if due > began + seconds:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        door.ledger.emit(event)
    for each in ids:
        door.ledger.emit(e.RunDone(run=each))
    door.ledger.close()
    door.database.close()
    print(number)


def _events(ids: list[str], text: str) -> Iterator[e.Event]:
    """A turn with two calls in each run in turn, and again."""
    for turn in count(1):
        for part in ("began", "asked", "called", "answered"):
            for each in ids:
                call = f"{each}-{turn}"
                if part in {"began", "called"}:
                    label = f"pytest tests/cart -k {turn}{text}"
                    yield e.ToolStarted(run=each, turn=turn, call=call + part, tool="run_command", label=label)
                else:
                    label = f"12 passed in {turn} s{text}"
                    yield e.ToolFinished(
                        run=each, turn=turn, call=call + part, tool="run_command", ok=True, label=label, seconds=0.4
                    )


if __name__ == "__main__":
    main()
