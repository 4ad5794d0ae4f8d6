"""Servers that are killed with -9 between what a write did and its answer, each a fork of one process that has all loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Forge", "stand"]

STAND = """
import os, signal, sys, threading
from pathlib import Path
from nightmill.desk import start, remedy, asking, hooks, secrets, heard, remarks, changes, steer, decide
from nightmill.desk.door import Door
from nightmill.server import receipts
from nightmill.settings import load
from tests.server.conftest import House

def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def serve(home, store, money):
    receipts._Sent.close = end  # all is done, and the answer is kept by nobody
    flags = {"home": Path(home), "store": store, "budget_day_money": float(money)}
    house = House(Door(load(file={}, environment={}, flags=flags)))
    house.start()
    print(house.port, flush=True)
    threading.Event().wait()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if not os.fork():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        serve(*line.rstrip("\\n").split("\\t"))
"""


class Forge:
    """Makes them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def server(self, home: Path, store: str, *, money: float = 0.0) -> int:
        """The port of a server on that store, which dies of the first write with a key that it has done."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{home}\t{store}\t{money}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def stand() -> Iterator[Forge]:
    """One that is ready; what is left of it ends with the block."""
    words = [sys.executable, "-c", STAND]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[2], start_new_session=True
    ) as process:
        try:
            yield Forge(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # those that no write ended, too
