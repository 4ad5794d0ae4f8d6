"""Measure the sandbox, keep the results in bench/sandbox.json, and write its table in docs/benchmarks.md.

python -m bench.sandbox                   all parts but the soak, as `make bench-sandbox` does
python -m bench.sandbox soak …            some; the others' results stay as they are
python -m bench.sandbox --files 3000 --share 0.1 --no-table …     while one works on a measurement

Root is not who it measures: started by root, the parts run as the user nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import table
from bench.machine import machine, rounded, wait_for_calm
from bench.page import circumstances, put
from bench.process import total
from bench.sandbox.commands import install
from bench.sandbox.ground import FILES
from bench.sandbox.part import LONG, PARTS
from nightmill.sandbox.disk.layers import remove

RESULTS = Path(__file__).resolve().parent.parent / "sandbox.json"
CHECKOUT = RESULTS.parent.parent
BEGIN, END = "<!-- bench: made by `make bench-sandbox` -->", "<!-- /bench-sandbox -->"


def main() -> None:
    options = asked()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))  # which removes what there is
    wanted = options.part or set(PARTS) - LONG
    chosen = [name for name in PARTS if name in wanted and name != "ground"]
    kept = json.loads(RESULTS.read_text())["parts"] if RESULTS.exists() else {}
    with new_home(options.home) as home:
        for name in ["ground", *chosen]:
            if name == "srt":
                prepare_srt(home / "srt")
            if name != "ground":
                wait_for_calm(options.calm)
            kept[name] = measured(name, home, options)
            if options.table:
                keep(kept)
    if options.table:
        write(kept)
    missed = [each for name in chosen for each in kept[name]["figures"] if each["met"] is False]
    print(f"goals missed: {'none' if not missed else ''}")
    for each in missed:
        print(f"- {each['name']}: {each['values']['median']:.3g}{each['unit']}; {each['detail']}")


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure nightmill's sandbox.", prog="python -m bench.sandbox")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="default: all but the soak")
    parser.add_argument("--home", type=Path, help="folder for the repository and all else; default: the system's own")
    parser.add_argument("--files", type=int, default=FILES, help="how many the repository has")
    parser.add_argument("--share", type=float, default=1.0, help="which part of the usual rounds is made")
    parser.add_argument("--calm", type=float, default=0.0, help="seconds to wait at most for a half idle machine")
    parser.add_argument("--no-table", dest="table", action="store_false", help="keep and write nothing")
    return parser.parse_args()


@contextmanager
def new_home(above: Path | None) -> Iterator[Path]:
    """A folder for everything, its user's; nothing of it is left."""
    home = Path(tempfile.mkdtemp(prefix="nightmill-bench-", dir=above))
    try:
        home.chmod(0o755)
        (home / "ours").mkdir()
        if os.geteuid() == 0:
            os.chown(home / "ours", *user())
        yield home / "ours"
    finally:
        remove(home)


def user() -> tuple[int, int]:
    """Who is measured instead of root."""
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


def prepare_srt(folder: Path) -> None:
    """Fetch it as who started this, whose npm knows where from."""
    folder.mkdir()
    why = install(folder)
    (folder / "why").write_text(why)
    print(f"srt: {why or 'installed'}", flush=True)


def measured(name: str, home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one part, with the load that the machine had; why it has none, if it could not be made."""
    load, began = os.getloadavg()[0], time.monotonic()
    figures: list[dict[str, Any]] = []
    words = [sys.executable, "-m", "bench.sandbox.part", name, str(home), str(options.files), str(options.share)]
    changed: dict[str, Any] = {}
    if os.geteuid() == 0:
        number, group = user()
        changed = {"user": number, "group": group, "extra_groups": []}
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=env,
        **changed,
    ) as running:
        try:
            for figure in heard(running):
                figures.append(rounded(figure))
                print(f"{name}: {figure['name']}: {figure['values']['median']:.3g}{figure['unit']}", flush=True)
        except BaseException:
            running.terminate()
            raise
        assert running.stderr is not None
        said = running.stderr.read()
    skipped = "" if running.returncode == 0 else said.strip().splitlines()[-1]
    if skipped:
        print(f"{name}: not measured: {said}", flush=True)
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "seconds": round(time.monotonic() - began),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "skipped": skipped,
        "figures": figures,
    }


def heard(running: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The figures that a part tells; its questions are answered."""
    assert running.stdin is not None
    assert running.stdout is not None
    for line in running.stdout:
        told = json.loads(line)
        if "pids" in told:
            running.stdin.write(f"{total(told['pids']).pss}\n")
            running.stdin.flush()
        else:
            yield told["figure"]


def keep(parts: dict[str, Any]) -> None:
    """Write down what there is so far."""
    ordered = {name: parts[name] for name in PARTS if name in parts}
    RESULTS.write_text(json.dumps({"machine": machine(), "parts": ordered}, indent=1, ensure_ascii=False) + "\n")


def write(parts: dict[str, Any]) -> None:
    """Put the table between the marks of the page."""
    ordered = {name: parts[name] for name in PARTS if name in parts}
    put([*circumstances(ordered), "", *table(ordered, program="bench.sandbox")], begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
