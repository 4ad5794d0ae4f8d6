"""From a run by an agent to a script that a person approves, and a run without any model: with nightmill's own programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import whole
from tests.conftest import Scripted
from tests.versions import FILES, TRY, Play, call, edit, installed, newest, shell, tree, work
from tests.whole import Mill

pytestmark = pytest.mark.slow

READ = {"tool_calls": [{"name": "read_file", "arguments": {"path": "pkg.py"}}]}
HALF = (
    READ,
    shell("bump-the-version 1.3.0"),
    shell("sed -i 's/1.2.0/1.3.0/' version.txt"),
    shell(r"sed -i 's/1\.2\.0/1.3.0/' VERSION"),
    shell("cat VERSION"),
)
OTHER_HALF = (edit("pkg.py", '"1.2.0"', '"1.3.0"'), TRY, whole.FINISH)
BUMP = (*HALF, *OTHER_HALF)


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """An installation with the project taken in."""
    return installed(tmp_path)


def right_tree(folder: Path, version: str) -> str:
    right = {name: text.replace("1.2.0", version) for name, text in FILES.items()}
    return whole.git(whole.repository(folder, right), "rev-parse", "HEAD^{tree}")


def states(mill: Mill) -> dict[str, str]:
    return {each["name"]: each["state"] for each in mill.json("blueprint", "list", at=mill.folder / "repo")}


def look_at_what_was_shown(said: str, folder: Path, tree: str) -> None:
    assert "the same tree" in said
    assert "version=1.3.1: what was to be expected, and its checks pass" in said
    assert "the script: 0 tokens" in said
    evidence = json.loads((folder / "evidence.json").read_text())
    assert evidence["step"] == "work/implement", "its two rounds together"
    assert [each["what"] for each in evidence["kept"]] == [r"sed -i 's/1\.2\.0/1.3.0/' VERSION", "edit_file pkg.py"]
    whys = {each["what"]: each["why"] for each in evidence["dropped"]}
    assert whys["bump-the-version 1.3.0"] == "it failed"
    assert whys["python3 -m unittest -q"] == "the tree is the same without it"
    assert evidence["minimal"] is True
    assert evidence["trial"]["tree"] == evidence["tree"] == tree
    traps = (folder / "TRAPS.md").read_text()
    assert "bump-the-version: command not found" in traps
    assert r"What worked instead: `sed -i 's/1\.2\.0/1.3.0/' VERSION`" in traps
    assert "  run: |" in (folder / "bump.yaml").read_text(), "people can read it"


def test_what_an_agent_did_by_hand_is_done_without_a_model_once_a_person_approves(
    mill: Mill, scripted: Play, tmp_path: Path
) -> None:
    """It insisted that half was all, and was sent back: its two rounds become one script, which needs one round."""
    turns = (*HALF, TRY, whole.FINISH, whole.FINISH, *OTHER_HALF)
    model, right = scripted(whole.script(*turns)), right_tree(tmp_path / "right", "1.3.0")
    with mill.worker():
        run = work(mill, model)
        asked = len(model.log(at_least=len(turns)))
        done = mill.run("distil", run, "--name", "bump", "--install", seconds=200)
        assert not done.returncode, done.stdout + done.stderr
        look_at_what_was_shown(done.stdout, mill.home / "proposals/bump", right)

        assert states(mill)["bump"] == "not approved"
        words = ("--blueprint", "bump", "--model", "anthropic:claude-sonnet-4-5", "--base-url", model.url)
        early = mill.run("run", mill.folder / "SPEC.md", *words, at=mill.folder / "repo")
        assert early.returncode
        assert "may not run" in early.stderr
        approved = mill.run(*done.stdout.strip().splitlines()[-1].split()[1:], at=mill.folder / "repo")
        assert not approved.returncode, approved.stderr
        assert states(mill)["bump"] == "approved"

        work(mill, model, "--blueprint", "bump")
        assert len(model.log()) == asked, "the script, its trials and the new run asked no model"
    assert [tree(mill, each["number"]) for each in mill.json("prs", at=mill.folder / "repo")] == [right, right]


AGENT = """name: bump
title: An agent does it.
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: proof, check: all}
  - {id: land, change: "{{ task.title }}"}
"""


@pytest.fixture
def bumped(mill: Mill, scripted: Play) -> Iterator[Scripted]:
    """An agent's way, approved and run once, and in its place what was distilled from that, approved too; the model of the run."""
    place = mill.home / "blueprints/bump.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(AGENT)
    call(mill, "blueprint", "approve", "bump")
    model = scripted(whole.script(*BUMP))
    with mill.worker():
        call(mill, "distil", work(mill, model, *BY), "--name", "bump")
        place.write_bytes((mill.home / "proposals/bump/bump.yaml").read_bytes())
        assert states(mill)["bump"] == "changed"
        call(mill, "blueprint", "approve", "bump")
        yield model


def test_another_input_needs_no_model_an_agent_takes_over_where_the_script_fails_and_it_can_be_withdrawn(
    mill: Mill, bumped: Scripted, scripted: Play, tmp_path: Path
) -> None:
    repo, asked = mill.folder / "repo", len(bumped.log())
    named = ("--model", "anthropic:claude-sonnet-4-5", "--base-url", bumped.url)
    refused = mill.run("run", mill.folder / "SPEC.md", *BY, *named, "--set", "version=1.4 0", at=repo)
    assert "it must match" in refused.stderr
    work(mill, bumped, *BY, "--set", "version=1.4.0")
    assert len(bumped.log()) == asked, "no model was asked"
    assert newest(mill) == right_tree(tmp_path / "1.4.0", "1.4.0")

    for name in ("VERSION", "pkg.py"):  # what the script is to change reads otherwise by now
        (repo / name).write_text(FILES[name].replace("1.2.0", "1.2.5"))
    whole.commit(repo, "The version is 1.2.5")
    other = scripted(whole.script(*MEND))
    work(mill, other, *BY, "--set", "version=1.5.0")
    assert len(other.log(at_least=len(MEND))) >= len(MEND), "the agent did it"
    assert "bump-the-version" in (mill.home / "blueprints/bump.yaml").read_text(), "and knows of the traps"
    assert newest(mill) == right_tree(tmp_path / "1.5.0", "1.5.0")

    place, asked = mill.home / "blueprints/bump.yaml", len(other.log())
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    call(mill, "blueprint", "revoke", "bump", "--digest", digest)
    assert states(mill)["bump"] == "not approved"
    place.write_text(AGENT)
    assert states(mill)["bump"] == "approved", "the older one still is"
    work(mill, other, *BY)
    assert len(other.log(at_least=asked + 1)) > asked, "the agent is at work again"


MEND = (shell("echo 1.5.0 > VERSION; sed -i 's/1.2.5/1.5.0/' pkg.py; python3 -m unittest -q"), whole.FINISH)
BY = ("--blueprint", "bump")


def test_what_gives_another_tree_each_time_is_not_proposed(mill: Mill, scripted: Play) -> None:
    stamped = (shell("date +%s%N > STAMP; sed -i 's/1.2.0/1.3.0/' VERSION pkg.py"), whole.FINISH)
    with mill.worker():
        run = work(mill, scripted(whole.script(*stamped)))
        before = len(mill.json("runs"))
        done = mill.run("distil", run, "--name", "bump", "--install", at=mill.folder / "repo", seconds=120)

    assert done.returncode == 1
    assert "nothing is proposed: what the agent did gives another tree" in done.stderr
    assert not (mill.home / "proposals").exists()
    assert not (mill.home / "blueprints").exists()
    assert not (mill.home / "forks").exists()
    assert len(mill.json("runs")) == before, "nothing was even tried"


@pytest.mark.parametrize("told", ["TOKEN={} sed -i s/1.2.0/1.3.0/ VERSION pkg.py", "echo {}"])
def test_a_script_with_a_secret_is_not_written_anywhere(mill: Mill, scripted: Play, told: str) -> None:
    """Not in the script, nor in what is told of commands that it does without."""
    key = "ghp_" + "a1B2" * 9
    bump = shell("sed -i 's/1.2.0/1.3.0/' VERSION pkg.py")
    first = shell(told.format(key))
    turns = (first, whole.FINISH) if "sed" in told else (first, bump, whole.FINISH)
    with mill.worker():
        run = work(mill, scripted(whole.script(*turns)))
        done = mill.run("distil", run, at=mill.folder / "repo", seconds=120)

    assert done.returncode == 1
    assert "looks like a secret" in done.stderr
    assert key not in done.stdout + done.stderr
    assert not (mill.home / "proposals").exists()
