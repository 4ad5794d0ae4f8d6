"""What `make conformance` makes of what the suite found: whatever differs from what is known is told, for worse and for better."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from scripts import conformance


def suite(folder: Path, *, without: str = "", **status: str) -> Path:
    """What the suite writes where all is as is known, but for those named in *status* and the one *without*."""
    known = tomllib.loads(conformance.KNOWN.read_text(encoding="utf-8"))
    came = dict.fromkeys(known["passes"], "SUCCESS")
    came |= {name: "FAILURE" for names in known["absent"].values() for name in names}
    for name, what in (came | status).items():
        scenario, _, check = name.partition("/")
        checks = [{"id": check, "status": what, "errorMessage": "why\nnot"}, {"id": "request", "status": "INFO"}]
        place = folder / check / f"server-{scenario}-2026-11-29T01-55-02-903Z"
        place.mkdir(parents=True)
        (place / "checks.json").write_text(json.dumps([] if name == without else checks))
    return folder


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("tools-list/tools-list", "FAILURE", "tools-list/tools-list: failure: why not"),
        ("tools-list/tools-list", "WARNING", "tools-list/tools-list: warning: why not"),
        ("completion-complete/completion-complete", "SUCCESS", "it passes now"),
        ("new-scenario/new-check", "FAILURE", "new-scenario/new-check: failure"),
        ("new-scenario/new-check", "SUCCESS", "it passes now"),
    ],
)
def test_what_differs_is_told_and_is_the_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, status: str, said: str
) -> None:
    assert conformance.told(suite(tmp_path / "as known")) == 0
    assert "differ from what is known: 0\n" in capsys.readouterr().out
    assert conformance.told(suite(tmp_path / "other", **{name: status})) == 1
    assert said in capsys.readouterr().out.partition("differ from what is known: 1")[2]


def test_a_check_that_is_not_made_any_more_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.told(suite(tmp_path, without="tools-list/tools-list")) == 1
    assert "tools-list/tools-list: it was not tried" in capsys.readouterr().out
