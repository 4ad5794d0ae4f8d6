"""A program of measurements: parts that can be made one by one, their results in a file and in a table of the docs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, table
from bench.machine import machine, rounded, wait_for_calm
from bench.page import circumstances, put
from bench.stage import SCRIPTED, adopt_orphans, end_all

__all__ = ["Suite", "need_scripted"]

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What `python -m PROGRAM` and `make TARGET` measure.

    Attributes:
        about: What it says of itself in its help.
        file: Name of the file beside this one that keeps the results.
        parts: Each is given a folder of its own; OSError: it could not be made on this machine.
        notes: Lines between where it was measured and the table.
    """

    program: str
    target: str
    about: str
    file: str
    parts: Mapping[str, Callable[[Path], Iterator[Figure]]]
    notes: Sequence[str] = ()
    prepare: Callable[[], None] | None = None
    """What comes before any part, and may end the program."""

    def main(self) -> None:
        """Make the parts that the command line names, or all; the others' results stay as they are."""
        options = self._options()
        adopt_orphans()
        if self.prepare:
            self.prepare()
        results = HERE / self.file
        kept = json.loads(results.read_text())["parts"] if results.exists() else {}
        for name in options.part or self.parts:
            wait_for_calm(options.calm)
            kept[name] = self.measured(name)
            found = {each: kept[each] for each in self.parts if each in kept}
            results.write_text(json.dumps({"machine": machine(), "parts": found}, indent=1, ensure_ascii=False) + "\n")
        lines = [*circumstances(found), *self.notes, "", *table(found, program=self.program)]
        put(lines, begin=f"<!-- bench: made by `make {self.target}` -->", end=f"<!-- /{self.target} -->")
        missed = [each["name"] for part in found.values() for each in part["figures"] if each["met"] is False]
        print(f"goals missed: {'; '.join(missed) or 'none'}")

    def measured(self, name: str) -> dict[str, Any]:
        """The figures of one part, with the load that the machine had."""
        load, began = os.getloadavg()[0], time.monotonic()
        found: list[Figure] = []
        skipped = ""
        with tempfile.TemporaryDirectory(prefix="nightmill-bench-", ignore_cleanup_errors=True) as folder:
            try:
                for figure in self.parts[name](Path(folder)):
                    found.append(figure)
                    print(f"{name}: {figure.name}: {figure.values.median:.3g}{figure.unit} {figure.detail}", flush=True)
            except OSError as error:
                skipped = str(error)
                print(f"{name}: not measured: {skipped}", flush=True)
            finally:
                end_all()
        return {
            "at": datetime.now(UTC).isoformat(timespec="minutes"),
            "seconds": round(time.monotonic() - began),
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "skipped": skipped,
            "figures": [rounded(asdict(figure) | {"met": figure.met}) for figure in found],
        }

    def _options(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=self.about, prog=f"python -m {self.program}")
        parser.add_argument(
            "part",
            nargs="*",
            choices=[*self.parts, []],
            metavar="part",
            help=f"of {', '.join(self.parts)}; default: all",
        )
        parser.add_argument(
            "--calm", type=float, default=0.0, help="seconds to wait at most for a machine that is half idle"
        )
        return parser.parse_args()


def need_scripted() -> None:
    """End the program if there is no scripted model."""
    if not SCRIPTED.is_file():
        sys.exit(f"bench: the scripted model is not at {SCRIPTED}; NIGHTMILL_SHARED names the folder above its own")
