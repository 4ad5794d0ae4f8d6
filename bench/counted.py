"""Run `nightmill …` and count its function calls: what it does, whatever else the machine does meanwhile.

Used as `python bench/counted.py FILE WORDS…`; at the end FILE has the count per module, calls into C under "".
"""

from __future__ import annotations

import atexit
import json
import runpy
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

PROGRAM = Path(__file__).resolve()


def count(file: Path) -> None:
    """Count from now on, in this thread and in those that start later, and write *file* at the end."""
    calls: Counter[str] = Counter()

    def called(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            calls[frame.f_globals.get("__name__", "")] += 1
        elif event == "c_call":
            calls[""] += 1

    def write() -> None:
        sys.setprofile(None)
        file.write_text(json.dumps(dict(calls)))

    atexit.register(write)
    threading.setprofile(called)
    sys.setprofile(called)


if __name__ == "__main__":
    sys.path.pop(0)  # the modules of bench are no top-level ones
    count(Path(sys.argv.pop(1)))
    runpy.run_module("nightmill.cli", run_name="__main__", alter_sys=True)
