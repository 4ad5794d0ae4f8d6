"""What is loaded before a run begins is counted, because nobody sees how a start gets slower by a module at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
from nightmill.cli import quick
from nightmill.cli.asking import bell
quick.read(["run", "SPEC.md", "--model", "anthropic:m"])
bell.ask = lambda *_: bell.Answer(done=True)
from nightmill.cli import asking
door = asking.open_door(model="anthropic:m", base_url=None)
asking.asked(door, asking.Path("SPEC.md"), project=asking.Path(), base="", inputs=(), named=True)
"""
"""All that `run` does until a worker has the run."""

WORK = """
from nightmill.cli import quick, serve
quick.read(["worker"])
serve._load()
"""
"""All that a worker loads before it begins."""

FOLLOW = """
import nightmill.cli.asking, nightmill.cli.pulls, nightmill.cli.runs, nightmill.cli.follow, nightmill.cli.live
import nightmill.cli.advice, nightmill.forge.local, nightmill.store.ledger, nightmill.store.runs
"""
"""All that `run` loads to show how a run goes."""

AFAR = """
import nightmill.cli.desks, nightmill.cli.people, nightmill.cli.runs, nightmill.cli.lines, nightmill.client
import nightmill.cli.offices, nightmill.cli.person, nightmill.cli.secret, nightmill.cli.webhook
import nightmill.cli.changes, nightmill.cli.pulls, nightmill.client.pulls
"""
"""All that a terminal loads to look at the runs of a server, without what draws."""

HEAVY = {"asyncio", "ctypes", "email", "http", "logging", "sqlite3", "ssl", "subprocess"}
"""Parts of Python that take milliseconds each."""


def loaded(code: str, home: Path) -> set[str]:
    """The modules that *code* loads, without those that this Python loads for itself."""
    shown = (
        "import sys\nbefore = set(sys.modules)\n{}\nimport json\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", shown.format(code)],
        env={"NIGHTMILL_HOME": str(home), "HOME": str(home), "PYDANTIC_DISABLE_PLUGINS": "__all__"},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_run_loads_next_to_nothing_until_a_worker_has_the_run(tmp_path: Path) -> None:
    found = loaded(ASK, tmp_path)

    tops = {name.partition(".")[0] for name in found}
    assert not tops - sys.stdlib_module_names - {"nightmill"}
    assert not tops & HEAVY
    assert len([name for name in found if name.startswith("nightmill")]) <= 12


@pytest.mark.parametrize("name", ["alembic", "genai_prices", "markdown_it", "mcp", "rich", "tomli_w", "typer"])
def test_a_worker_does_not_load_what_its_first_request_can_do_without(name: str, tmp_path: Path) -> None:
    assert name not in {each.partition(".")[0] for each in loaded(WORK, tmp_path)}


def test_who_only_watches_loads_nothing_of_the_work(tmp_path: Path) -> None:
    found = loaded(FOLLOW, tmp_path)
    rooms = {"cli", "desk", "errors", "event", "forge", "happening", "kept", "repo", "report", "settings", "store"}

    assert {name.split(".")[1] for name in found if name.startswith("nightmill.")} <= rooms
    assert "nightmill.report.page" not in found, "it draws what nobody asked to see"
    assert not {name.partition(".")[0] for name in found} & {"pydantic", "rich", "textual", "yaml"}


def test_a_terminal_that_looks_at_a_server_loads_no_store(tmp_path: Path) -> None:
    found = loaded(AFAR, tmp_path)
    rooms = {"access", "cli", "client", "desk", "errors", "event", "happening", "kept", "report", "settings", "told"}

    assert {name.split(".")[1] for name in found if name.startswith("nightmill.")} <= rooms
    assert not {name.partition(".")[0] for name in found} & {
        "argon2",
        "pydantic",
        "rich",
        "sqlalchemy",
        "textual",
        "yaml",
    }
