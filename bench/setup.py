"""How long `make demo` sets things up: in a fresh clone, with empty caches, with warm ones, and with nothing to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, spread
from bench.stage import Stage

__all__ = ["figures"]

CHECKOUT = Path(__file__).resolve().parent.parent
TARGET = ".venv/.nightmill-runtime"
"""What `demo` waits for in the Makefile."""
CONFIGURATION = (".config/pip", ".pip", ".config/uv")
"""Where packages come from is the user's choice and not what is measured."""


def figures(stage: Stage) -> Iterator[Figure]:
    """Set up three times.

    Raises:
        OSError: If it cannot be done here, with the reason: without a network, for one.
    """
    clone, home = stage.folder / "clone", stage.folder / "user"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(CHECKOUT), str(clone)], check=True)
    for name in CONFIGURATION:
        if (found := Path.home() / name).is_dir():
            shutil.copytree(found, home / name)
    home.mkdir(exist_ok=True)
    for caches in ("empty caches", "warm caches", "nothing to do"):
        if caches == "warm caches":
            shutil.rmtree(clone / ".venv")
        name = f"set-up of `make demo`, {caches}"
        yield Figure(name=name, unit=" s", values=spread([_set_up(clone, home)]))


def _set_up(clone: Path, home: Path) -> float:
    caches = {"UV_CACHE_DIR": str(home / "uv"), "PIP_CACHE_DIR": str(home / "pip")}
    started = time.monotonic()
    ran = subprocess.run(
        ["make", "--no-print-directory", TARGET],
        cwd=clone,
        env={**os.environ, "HOME": str(home), **caches},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if ran.returncode:
        raise OSError((ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1])
    return time.monotonic() - started
