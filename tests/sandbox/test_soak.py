"""A sample of the soak that `make bench-soak` makes in full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nightmill.sandbox.owner import give, owner

SOAK = """
import asyncio, json, sys
from pathlib import Path
from bench.sandbox.soak import soak
from bench.stage import adopt_orphans

adopt_orphans()
found = asyncio.run(soak(Path(sys.argv[1]), layer=Path(sys.argv[2]), cycles=20, seed=int(sys.argv[3])))
print(json.dumps({"left": found.left, "cycles": len(found.seconds)}))
"""
"""In a process of its own: what it holds is what is counted."""


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_left_of_sandboxes_made_used_and_destroyed(tmp_path: Path, seed: int) -> None:
    (tmp_path / "layer" / "repo").mkdir(parents=True)
    give(tmp_path / "layer", owner())

    words = [sys.executable, "-c", SOAK, str(tmp_path / "home"), str(tmp_path / "layer"), str(seed)]
    said = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, check=False)

    assert said.returncode == 0, said.stderr.decode()
    assert json.loads(said.stdout) == {"left": {}, "cycles": 20}
