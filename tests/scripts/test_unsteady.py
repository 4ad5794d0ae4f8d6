"""What fails beside other tests is run once more alone; only then is the run's end known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

LUCK = "    from pathlib import Path\n    first = not Path('{0}').exists()\n    Path('{0}').touch()\n    assert not first, 'bad luck'\n"
"""A test that fails the first time."""


class Ran(NamedTuple):
    exit: int
    said: str


def suite(folder: Path, *, workers: int = 0, **tests: str) -> Ran:
    """Run *tests*, by their names, in a suite of their own."""
    body = "".join(f"def test_{name}():\n{text.format(folder / name)}\n\n" for name, text in tests.items())
    (folder / "test_it.py").write_text(body)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q\n")
    beside = ("-p", "xdist", "-n", str(workers)) if workers else ()
    words = [sys.executable, "-m", "pytest", "-p", "scripts.unsteady", *beside]
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout)


def test_a_run_passes_if_all_that_failed_passes_alone_and_each_is_told_with_how_it_failed(tmp_path: Path) -> None:
    ran = suite(tmp_path, workers=2, good="    pass", luck=LUCK, other=LUCK)

    assert ran.exit == 0, ran.said
    for name in ("luck", "other"):
        _, _, told = ran.said.partition(f"unsteady: test_it.py::test_{name} failed beside others and passed alone")
        assert "AssertionError: bad luck" in told
    assert ran.said.rstrip().endswith("all that failed is unsteady (2): the run passes, the tests above need mending")


def test_a_run_fails_if_one_test_fails_alone_too_and_what_was_unsteady_is_told_nevertheless(tmp_path: Path) -> None:
    ran = suite(tmp_path, luck=LUCK, wrong="    assert False")

    assert ran.exit == 1
    assert "unsteady: test_it.py::test_luck" in ran.said
    assert "fails alone, too: test_it.py::test_wrong" in ran.said
    assert "the run passes" not in ran.said


@pytest.mark.parametrize(
    ("workers", "tests"),
    [
        (0, {f"luck{number}": LUCK for number in range(4)}),
        (0, {"luck": LUCK, "cut": "    assert (\n"}),
        (1, {"luck": LUCK, "crash": "    import os\n    os._exit(1)"}),
    ],
    ids=["more_than_three", "an_error_of_collection", "a_crash"],
)
def test_nothing_is_run_again_after(tmp_path: Path, workers: int, tests: dict[str, str]) -> None:
    ran = suite(tmp_path, workers=workers, **tests)

    assert ran.exit in {1, 2}
    assert "once more" not in ran.said
