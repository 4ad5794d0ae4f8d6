"""nightmill.yaml: what is wrong is told with its line, what is right survives writing and reading."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.estate import Detected, load
from nightmill.estate.file import NAME, identify, parse
from nightmill.estate.shape import FILE, schema
from nightmill.estate.write import render, write
from nightmill.review import Check
from nightmill.sandbox import Service

SCHEMA = Path(__file__).parents[2] / "docs/reference/nightmill.schema.json"

WHOLE = """
language: python
install: [uv venv /work/env]
hosts: [pypi]
env: {TZ: UTC, DEBUG: 1}
locks: [uv.lock]
checks:
  - {name: tests, run: python -m pytest, format: pytest, seconds: 900}
  - name: lint
    run: ruff check .
services:
  - {name: redis, run: redis-server, ready: redis-cli ping}
instructions: [AGENTS.md]
limits: {memory: 3 GB, seconds: 45.5, processes: 100}
requires: [user_isolated, fork]
protected: [.github/**]
co_author: Ada <ada@example.org>
"""


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(WHOLE)
    project = load(tmp_path)
    assert project.environment.env == {"TZ": "UTC", "DEBUG": "1"}
    assert project.checks == (
        Check(name="tests", command="python -m pytest", format="pytest", seconds=900.0),
        Check(name="lint", command="ruff check ."),
    )
    assert [each.program for each in project.services] == [
        Service(name="redis", run="redis-server", ready="redis-cli ping")
    ]
    assert project.requires == ("user_isolated", "fork")
    assert (project.limits.memory, project.limits.seconds, project.limits.processes) == (3 << 30, 45.5, 100)
    assert project.protected == (".github/**",)
    assert project.id == identify(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checkz: []", "nightmill.yaml:1: unknown key 'checkz'; did you mean 'checks'?"),
        ("language: python\ninstall: uv sync", "nightmill.yaml:2: install must be a list"),
        ("language: cobol", "nightmill.yaml:1: language is 'cobol'"),
        ("language: python\nlanguage: go", "nightmill.yaml:2: 'language' is given twice"),
        ("checks:\n  - run: x", "nightmill.yaml:2: checks[0] lacks 'name'"),
        ("checks:\n- {name: a, run: x}\n- {name: a, run: y}", "nightmill.yaml:3: checks: the name 'a' is used twice"),
        ("checks:\n- {name: a, run: x, seconds: soon}", "nightmill.yaml:2: checks[0].seconds must be a number"),
        ("requires: [hard_limits]", "nightmill.yaml:1: requires[0] is 'hard_limits'"),
        ("limits: {memory: lots}", "nightmill.yaml:1: limits.memory must be a size"),
        ("limits: {processes: 0}", "nightmill.yaml:1: limits.processes must be a whole number above 0"),
        ("env: {A: yes}", "reads as true or false"),
        ("env: {'A B': c}", "'A B' is no name of a variable"),
        ("install:\n- [a]", "nightmill.yaml:2: install[0] must be a text"),
        ("- a\n- b", "nightmill.yaml:1: the file must be a mapping"),
        ("a: &x [1]\nb: *x", "anchors and aliases are not allowed"),
        ("install: " + "[" * 3000, "nested deeper"),
        ("language: 'python", "not valid YAML"),
        ("a\x00b", "not valid YAML"),
        ("co_author: !!python/object/apply:os.system [id]", "must be a text"),
        ("# " + "x" * 300_000, "larger than 256 KB"),
    ],
)
def test_mistake_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), root=Path("/nowhere"))
    assert said in caught.value.message


def test_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no nightmill"):
        load(tmp_path)
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(SettingsError):
        load(tmp_path)
    with pytest.raises(SettingsError, match="not UTF-8"):
        parse(b"co_author: \xff", root=tmp_path)


def test_what_was_found_survives_writing_and_reading(tmp_path: Path) -> None:
    found = Detected(
        language="python",
        install=("uv venv /work/env", "uv pip install -e \".[test]\" 'a: b' # not a comment"),
        hosts=("pypi",),
        env={"A": "yes", "B": "1", "C": "ü: #"},
        locks=("pyproject.toml",),
        checks=(Check(name="tests", command="python -m pytest", format="pytest"),),
        services=({"name": "redis", "run": "redis-server"},),
        instructions=("AGENTS.md",),
    )
    write(tmp_path, render(found), replace=False)
    project = load(tmp_path)
    assert project.environment.install == found.install
    assert project.environment.env == found.env
    assert project.checks == found.checks
    assert [each.program for each in project.services] == [Service(name="redis", run="redis-server")]
    assert all(key.name in (tmp_path / NAME).read_text() for key in FILE)


def test_existing_file_is_never_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("language: go\n")
    with pytest.raises(SettingsError, match="there already"):
        write(tmp_path, "language: python\n", replace=False)
    assert load(tmp_path).language == "go"
    write(tmp_path, "language: python\n", replace=True)
    assert load(tmp_path).language == "python"
    assert os.listdir(tmp_path) == [NAME]  # noqa: PTH208 - nothing half-done beside it


def test_published_schema_is_the_one_in_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == schema()


def test_project_has_one_id_however_it_is_reached(tmp_path: Path) -> None:
    real = tmp_path / "Some Project!"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    assert identify(tmp_path / "link") == identify(real)
    assert identify(real).startswith("some-project-")
