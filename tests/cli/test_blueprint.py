"""blueprint list, show, check, approve, revoke, diff: from a file that somebody wrote to a process that may run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightmill.cli import gateway
from nightmill.desk.wish import Proposal
from tests import whole
from tests.cli.conftest import HOSTILE, Here, Terminal
from tests.whole import Mill

OWN = """\
name: own
title: Our own way
steps:
  - id: work
    agent: developer
    goal: Do it.
  - id: proof
    check: all
"""


@pytest.fixture
def folder(mill: Mill) -> Path:
    """A project with one blueprint of its own; the current folder of `here`."""
    subprocess.run(["git", "init", "-q", mill.folder], check=True)
    (mill.folder / "nightmill.yaml").write_text("language: python\nchecks: [{name: t, run: 'true'}]\n")
    blueprints = mill.folder / ".nightmill/blueprints"
    blueprints.mkdir(parents=True)
    (blueprints / "own.yaml").write_text(OWN)
    return blueprints


def state(here: Here, name: str) -> tuple[str, str]:
    listed = json.loads(here("blueprint", "list", "--json").out)
    return next((each["state"], each["why"]) for each in listed if each["name"] == name)


def test_a_blueprint_is_approved_changed_and_approved_again(here: Here, folder: Path) -> None:
    assert state(here, "own") == ("not approved", "nobody approved of it")
    assert state(here, "quick") == ("shipped", "approved by the release")

    said = here("blueprint", "approve", "own")
    assert said.code == 0
    assert "approved own version 1" in said.err
    assert state(here, "own")[0] == "approved"
    assert "nothing to do" in here("blueprint", "approve", "own").err

    (folder / "own.yaml").write_text(OWN.replace("Do it.", "Do it twice.").replace("check: all", "check: [t]"))
    assert state(here, "own")[0] == "changed"
    assert state(here, "own")[1].startswith("it changed since ")
    changed = here("blueprint", "diff", "own").out
    assert "~ work: goal: Do it. → Do it twice." in changed
    assert "~ proof: check: all → t" in changed
    assert "-    goal: Do it." in changed

    assert here("blueprint", "approve", "own").code == 0
    assert state(here, "own")[0] == "approved"
    assert "nothing differs" in here("blueprint", "diff", "own").err
    assert here("blueprint", "revoke", "own").code == 0
    assert state(here, "own")[0] == "not approved"
    assert "no approval of 'own' stands" in here("blueprint", "revoke", "own").err


def test_what_is_approved_is_what_was_looked_at(here: Here, folder: Path) -> None:
    digest = json.loads(here("blueprint", "show", "own", "--json").out)["digest"]
    (folder / "own.yaml").write_text(OWN.replace("Do it.", "Do something else."))

    refused = here("blueprint", "approve", "own", "--digest", digest)

    assert refused.code == 1
    assert "is not what you looked at" in refused.err
    assert state(here, "own")[0] == "not approved"


def test_a_broken_one_is_listed_with_its_line_and_cannot_be_approved(here: Here, folder: Path) -> None:
    (folder / "quick.yaml").write_text("name: quick\nsteps:\n  - {id: a, agent: nobody, goal: x}\n")

    listed = here("blueprint", "list")
    assert "quick\t?\t" not in listed.out
    assert ".nightmill/blueprints/quick.yaml:3: there is no role 'nobody'" in listed.out
    assert "takes the place of nightmill/blueprint/shipped/quick.yaml" in listed.err
    checked = here("blueprint", "check")
    assert checked.code == 2
    assert checked.out.startswith(".nightmill/blueprints/quick.yaml:3:")
    assert "12\N{NO-BREAK SPACE}blueprints, 1 broken" in checked.err
    assert here("blueprint", "check", "own").code == 0
    assert here("blueprint", "approve", "quick").code == 1


def test_a_file_from_anywhere_is_checked_shown_and_compared(here: Here, folder: Path, mill: Mill) -> None:
    other = mill.folder / "elsewhere" / "own.yaml"
    other.parent.mkdir()
    other.write_text(OWN.replace("  - id: work", "  - id: first\n    call: solo\n  - id: work"))

    assert here("blueprint", "check", str(other)).code == 0
    assert "call: the blueprint solo" in here("blueprint", "show", str(other)).out
    told = json.loads(here("blueprint", "diff", str(other), "own", "--json").out)
    assert told["steps"] == [{"what": "added", "step": "first", "said": "call: the blueprint solo"}]
    assert here("blueprint", "show", "none.yaml").code == 1
    assert here("blueprint", "show", "none").code == 1


def test_outside_of_a_project_there_are_the_shipped_ones_and_nothing_is_made(here: Here, mill: Mill) -> None:
    listed = here("blueprint", "list")

    assert len(listed.out.splitlines()) == 11
    assert "no nightmill.yaml here" in listed.err
    assert not mill.home.exists()
    assert "nothing to do" in here("blueprint", "approve", "quick").err


@pytest.mark.parametrize("columns", [80, 200])
def test_a_list_fits_the_terminal_and_nothing_in_it_moves_the_cursor(
    here: Here, folder: Path, terminal: Callable[[int], Terminal], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    title = json.dumps(f"{HOSTILE} {'long ' * 18}")
    (folder / "own.yaml").write_text(OWN.replace("Our own way", title))
    shown = terminal(columns)

    here("blueprint", "list")

    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
    assert len(lines) == 13
    assert all(len(line) <= columns for line in lines)
    assert "\x07" not in shown.getvalue()
    assert any("upgrade-dependency" in line for line in lines)


def test_what_an_agent_will_see_is_explained_with_a_spec_that_is_measured(here: Here, folder: Path, mill: Mill) -> None:
    (mill.folder / "SPEC.md").write_text(whole.SPEC.format(title=""))
    subprocess.run(
        [
            "git",
            "-C",
            mill.folder,
            "-c",
            "user.email=a@b",
            "-c",
            "user.name=a",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "x",
        ],
        check=True,
    )

    plain = json.loads(here("blueprint", "explain", "quick", "--json").out)
    told = json.loads(here("blueprint", "explain", "quick", "--spec", "SPEC.md", "--json").out)

    pieces = {each["source"]: each for each in told[0]["pieces"]}
    assert [each["step"] for each in told] == ["implement", "look", "abuse"]
    assert pieces["spec.text"]["tokens"] == -(-len(whole.SPEC.format(title="").encode()) // 4)
    assert pieces["project.facts"]["tokens"] > 0
    assert next(each for each in plain[0]["pieces"] if each["source"] == "spec.text")["tokens"] is None
    said = here("blueprint", "explain", "quick")
    assert "developer sees about" in said.out
    assert "does not see: " in said.out
    assert "not taken in yet (nightmill init)" in said.err
    assert "no agent acts in" in here("blueprint", "explain", str(nothing(folder))).out


def nothing(folder: Path) -> Path:
    """A blueprint without an agent."""
    (folder / "none.yaml").write_text("name: none\nsteps: [{id: a, check: all}]\n")
    return folder / "none.yaml"


CASES = """\
cases:
  - name: it is done
    order: [work, proof]
  - name: what fails ends it
    steps: {work: {ok: false, reason: out of turns}}
    ends: failed
    reason: out of turns
"""


def test_a_blueprint_is_tested_by_the_cases_beside_it(here: Here, folder: Path) -> None:
    assert "there are no tests of 'own'" in here("blueprint", "test", "own").err
    (folder / "own.test.yaml").write_text(CASES)

    went = here("blueprint", "test", "own")
    assert (went.code, went.out) == (0, "✓ own: it is done\n✓ own: what fails ends it\n")
    assert here("blueprint", "test", ".nightmill/blueprints/own.yaml").code == 0

    (folder / "own.yaml").write_text(OWN + "  - {id: more, check: all}\n")
    went = here("blueprint", "test", "own")
    assert went.code == 1
    assert "✗ own: it is done\n    done were work, proof, then 'more'; expected was the end\n" in went.out
    told = json.loads(here("blueprint", "test", "--json").out)
    assert {each["blueprint"] for each in told} >= {"own", "quick", "deliver"}
    assert [case["case"] for each in told for case in each["cases"] if not case["passed"]] == ["it is done"]


def test_what_a_run_would_be_given_is_shown_whatever_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"files": ["a.py"], "options": {"n": 1}, "count": 0, "loud": False, "word": "x", "no": None, "empty": ""}
    said = {"title": "t", "blueprint": "own", "what": "Counts", "approved": "approved by Ada", "project": "p"}
    none: dict[str, Any] = dict.fromkeys(("roles", "people", "notes"), ())
    gateway.show(Proposal(**said, **none, version=1, closure="c", inputs=inputs, cost={"said": "nothing"}))

    told = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert told == ["files: ['a.py']", "options: {'n': 1}", "count: 0", "loud: False", "word: x"]
