"""`nightmill env`: what is found is explained, what is agreed is written down, what is built twice is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightmill import event as e
from tests import whole
from tests.cli.conftest import Here
from tests.whole import Mill

FILES = {
    "pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.9"\n',
    ".devcontainer/devcontainer.json": '{"image": "python:3.99", "forwardPorts": [1], "containerEnv": {"A": "\\u001b[2J"}}',
    "test_x.py": "def test_x():\n    pass\n",
}
LOCK = ".nightmill/environment.lock.json"


@pytest.fixture
def root(mill: Mill) -> Path:
    """A checkout that was never taken in."""
    return whole.repository(mill.folder / "own", FILES)


def test_explain_names_files_findings_and_what_was_left_out(root: Path, here: Here, mill: Mill) -> None:
    done = here("env", "explain", str(root))

    assert done.code == 0
    assert "there is no nightmill.yaml yet" in done.out
    assert "! python" in done.out
    assert "3.99 (.devcontainer/devcontainer.json)" in done.out
    assert ".devcontainer/devcontainer.json: forwardPorts: every sandbox has a loopback of its own" in done.out
    assert "no environment is agreed on" in done.out
    assert "\x1b" not in done.out
    assert not mill.home.exists(), "looking makes nothing"
    assert not (root / "nightmill.yaml").exists()

    plain = json.loads(here("env", "explain", str(root), "--json").out)
    assert plain["hash"] in done.out
    assert plain["record"]["sources"].keys() == {"pyproject.toml", ".devcontainer/devcontainer.json"}
    assert {each["what"] for each in plain["ignored"]} >= {"forwardPorts"}
    assert plain["agreed"] is None


def test_explain_says_what_a_worker_could_not_build(root: Path, here: Here, mill: Mill) -> None:
    project = json.loads(here("env", "explain", str(root), "--json").out)["project"]
    built = e.EnvironmentBuilt(run="", project=project, environment="e", commit="c", seconds=1.0)
    failed = e.EnvironmentFailed(run="", project=project, mark="m", reason="no such \x1b[2J thing")
    other = e.EnvironmentFailed(run="", project="another", mark="m", reason="not mine")
    with mill.door() as door:
        door.ledger.append([built, failed, other])

    done = here("env", "explain", str(root))
    assert "could not be built ahead of a run: no such \\x1b[2J thing" in done.out
    with mill.door() as door:
        door.ledger.append([built])
    assert json.loads(here("env", "explain", str(root), "--json").out)["failed"] == ""


def test_lock_writes_what_is_then_compared(root: Path, here: Here) -> None:
    assert "nightmill init" in here("env", "lock", str(root)).err
    (root / "nightmill.yaml").write_text("language: python\ninstall: ['true']\nlocks: [pyproject.toml]\n")
    done = here("env", "lock", str(root))

    assert done.code == 0
    assert LOCK in done.out
    assert "it is the environment agreed on" in here("env", "explain", str(root)).out
    (root / "pyproject.toml").write_text("[project]\nname='y'\n")
    (root / "nightmill.yaml").write_text("language: python\ninstall: ['false']\nlocks: [pyproject.toml]\n")
    plain = json.loads(here("env", "explain", str(root), "--json").out)
    assert [(each["what"], each["refused"]) for each in plain["agreed"]["drift"]] == [
        ("install", True),
        ("sources", False),
    ]
    again = here("env", "lock", str(root), "--json")
    assert json.loads(again.out)["hash"] == plain["hash"]
    assert "agreed anew: `install` is" in again.err


def test_lock_does_not_write_through_a_link(root: Path, here: Here, mill: Mill) -> None:
    (root / "nightmill.yaml").write_text("language: python\n")
    (mill.folder / "elsewhere").mkdir()
    (root / ".nightmill").symlink_to(mill.folder / "elsewhere")
    done = here("env", "lock", str(root))

    assert done.code == 1
    assert "nothing is written through a link" in done.err
    assert not list((mill.folder / "elsewhere").iterdir())


def test_verify_exits_by_whether_two_builds_are_the_same(root: Path, here: Here) -> None:
    (root / "nightmill.yaml").write_text("language: other\ninstall: ['mkdir /work/env; date > /dev/null']\n")
    whole.commit(root, "settings")
    same = here("env", "verify", str(root))
    assert same.code == 0, same
    assert "the same twice" in same.out
    assert "differ in times" in same.out

    (root / "nightmill.yaml").write_text("language: other\ninstall: ['mkdir /work/env; date +%N > /work/env/now']\n")
    other = here("env", "verify", str(root), "--json")
    assert other.code == 1
    plain = json.loads(other.out)
    assert plain["differences"] == [{"path": "env/now", "what": "content"}]
    assert "in no commit yet" in other.err


def test_a_run_is_not_prepared_on_an_environment_that_was_not_agreed_on(root: Path, here: Here) -> None:
    (root / "nightmill.yaml").write_text("language: other\ninstall: ['true']\n")
    here("env", "lock", str(root))
    (root / "nightmill.yaml").write_text("language: other\ninstall: ['true', 'curl x']\n")
    whole.commit(root, "settings")
    done = here("init", str(root))

    assert done.code == 1
    assert f"not the one agreed on in {LOCK}" in done.err
    assert "curl x" in done.err
