"""The machine that figures are measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

__all__ = ["machine", "rounded", "wait_for_calm"]


def wait_for_calm(seconds: float) -> None:
    """Wait until the processors were half idle for two seconds, or *seconds* have gone by."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = ticks()
        time.sleep(2)
        idle, every = (after - then for after, then in zip(ticks(), before, strict=True))
        if idle > every / 2:
            return


def ticks() -> tuple[int, int]:
    """Idle time and all time of the machine's processors, in ticks."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    return int(words[3]) + int(words[4]), sum(map(int, words))


def machine() -> dict[str, Any]:
    """What figures depend on."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def rounded(value: Any) -> Any:
    """*value* with four digits of each number in it."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
