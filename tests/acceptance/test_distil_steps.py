"""Any step of a run is distilled where it stood: after others, in a conversation that went on, in what is called, in a map."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import whole
from tests.conftest import Scripted
from tests.versions import FILES, TRY, Play, call, evidence, installed, newest, shell, work
from tests.whole import Mill

pytestmark = pytest.mark.slow


RELEASE = """name: release
title: News, a stamp, the version, and who it is told to.
inputs:
  channel: {doc: Where it is told., default: stable}
steps:
  - {id: news, agent: developer, goal: "Begin the news of {{ task.title }}."}
  - {id: stamp, run: "mkdir -p gen && cp VERSION gen/OLD && echo secret-free > local.cfg"}
  - id: bump
    agent: developer
    goal: "Set the version: {{ task.instruction }}"
    goes_on: news
    again: "Now set the version."
  - {id: credits, agent: developer, goal: "Thank everybody for {{ steps.bump.summary }}."}
  - {id: proof, check: all}
  - {id: land, change: "{{ task.title }}", summary: steps.bump.summary}
outputs: {said: steps.bump.summary, did: steps.bump.ok}
"""
SECOND = (
    shell("./bump 1.3.0"),
    shell(r"test -s local.cfg && test -s gen/OLD && sed -i 's/1\.2\.0/1.3.0/' VERSION pkg.py"),
    shell("printf 'Version 1.3.0.\\n' >> NEWS"),
)


OVER = {"tool_calls": [{"name": "finish", "arguments": {"summary": "It is done."}}]}


def writes(path: str, text: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": "write_file", "arguments": {"path": path, "content": text}}]}


def three_steps() -> dict[str, Any]:
    """A script for the three agents of `RELEASE`; the second goes on in the conversation of the first."""
    first = (writes("NEWS", "News\n"), TRY, OVER, *SECOND, TRY, OVER)
    roles = {"credits": (shell("tail -n 1 NEWS | sed 's/^/Thanks for /' > THANKS"), TRY, OVER), "news": first}
    sees = {"credits": "Thank everybody", "news": "Begin the news"}
    return {
        "roles": {
            name: {"system": "You are the developer", "user": sees[name], "turns": list(turns)}
            for name, turns in roles.items()
        }
    }


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """An installation with the project taken in."""
    return installed(tmp_path)


@pytest.fixture
def released(mill: Mill, scripted: Play) -> Iterator[tuple[Scripted, str]]:
    """A run of three agents and a command, each of which built on what was there, done; its model and its id.

    Its worker is killed in between: where exactly, and whether it was quicker, is left open, and nothing may come of it.
    """
    place = mill.home / "blueprints/release.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(RELEASE)
    call(mill, "blueprint", "approve", "release")
    model = scripted(three_steps())
    with ThreadPoolExecutor(1) as beside:
        with mill.worker() as first:
            run = beside.submit(work, mill, model, "--blueprint", "release")
            model.log(at_least=6)
            first.kill()
            first.wait()
        with mill.worker():
            yield model, run.result()


def test_a_step_in_the_middle_of_a_run_is_distilled_where_it_stands(
    mill: Mill, released: tuple[Scripted, str], tmp_path: Path
) -> None:
    """It began where an agent and a command had been, in a conversation that went on; another agent came after it."""
    (model, run), repo = released, mill.folder / "repo"
    with mill.door() as door:
        task = next(each.id for each in door.runs.list(parent=run))
    listed = mill.run("distil", run)
    assert listed.returncode == 1
    assert [line.split() for line in listed.stderr.splitlines() if "can be tried" in line] == [
        [step, "can", "be", "tried"] for step in ("news", "bump", "credits")
    ]

    asked = len(model.log())
    said = call(mill, "distil", run, "--all", "--name", "own")
    assert len(model.log()) == asked, "the trials asked no model"
    assert [line.split(":")[0] for line in said.splitlines() if "a script in place" in line] == [
        "own-news",
        "own-bump",
        "own-credits",
    ]
    made, file = evidence(mill, "own-bump"), (mill.home / "proposals/own-bump/own-bump.yaml").read_text()
    assert made["trial"]["made"] == made["made"] != made["tree"] == made["trial"]["tree"] == newest(mill)
    assert "version=1.3.1: what was to be expected" in made["varied"]["said"]
    assert [each["what"][:6] for each in made["kept"]] == ["test -", "printf"]
    assert "./bump: No such file" in file, "the agent of the step knows of the traps"

    shutil.copy(mill.home / "proposals/own-bump/own-bump.yaml", mill.home / "blueprints")
    call(mill, "blueprint", "approve", "own-bump")
    work(mill, model, "--blueprint", "own-bump", "--set", "version=1.4.0")
    assert [each["role"] for each in model.log(at_least=asked + 6)[asked:]] == ["news"] * 3 + ["credits"] * 3, (
        "nobody was asked to bump it"
    )
    files = {name: text.replace("1.2.0", "1.4.0") for name, text in FILES.items()}
    own = {"NEWS": "News\nVersion 1.4.0.\n", "THANKS": "Thanks for Version 1.4.0.\n", "gen/OLD": "1.2.0\n"}
    assert newest(mill) == whole.git(whole.repository(tmp_path / "right", files | own), "rev-parse", "HEAD^{tree}")

    shutil.rmtree(mill.home / "runs" / task / "sandbox/packs")
    late = mill.run("distil", run, "--step", "credits", at=repo)
    assert late.returncode == 1
    assert "is not there any more as the step found or left it" in late.stderr


INNER = """name: inner
inputs: {who: {doc: Whom it helps.}}
steps:
  - {id: help, agent: developer, goal: "Help {{ inputs.who }}."}
outputs: {said: steps.help.summary}
"""
OUTER = """name: outer
steps:
  - {id: begin, call: inner, inputs: {who: "'ada'"}}
  - id: each
    map: "['1.3.0', '1.4.0']"
    steps:
      - {id: attempt, agent: developer, goal: "Make {{ item }}."}
      - {id: proof, check: all}
    gives: steps.proof.ok
  - {id: all, check: all}
  - {id: land, change: "{{ task.title }}"}
"""


def test_what_is_called_is_distilled_and_an_item_of_a_map_for_all_items(mill: Mill, scripted: Play) -> None:
    (mill.home / "blueprints").mkdir(parents=True)
    for name, text in (("inner", INNER), ("outer", OUTER)):
        (mill.home / f"blueprints/{name}.yaml").write_text(text)
        call(mill, "blueprint", "approve", name)
    roles = {"Help ada": shell("echo ada > HELP")}
    roles |= {f"Make {each}": shell(rf"sed -i 's/1\.2\.0/{each}/' VERSION pkg.py") for each in ("1.3.0", "1.4.0")}
    model = scripted(
        {
            "roles": {
                sees: {"system": "You are the developer", "user": sees, "turns": [turn, TRY, OVER]}
                for sees, turn in roles.items()
            }
        }
    )
    with mill.worker():
        run = work(mill, model, "--blueprint", "outer")
        said = call(mill, "distil", run, "--name", "inner")
        with mill.door() as door:
            (task,) = door.runs.list(parent=run)
            items = sorted(each.id for each in door.runs.list(parent=task.id))
        call(mill, "distil", items[0], "--name", "outer")

    assert "the step begin/help" in said
    assert evidence(mill, "inner")["trial"]["tree"] == evidence(mill, "inner")["tree"] == newest(mill)
    shown = evidence(mill, "outer")
    assert shown["varied"]["expected"]
    assert [(each["of"], each["inputs"], each["made"] == each["trial"]["made"]) for each in shown["others"]] == [
        (items[1], {"item": "1.4.0"}, True)
    ], "of the other item, it makes what that one's agent made"
    file = (mill.home / "proposals/outer/outer.yaml").read_text()
    assert "INPUT_ITEM: item" in file
    assert "map:" in file, "the whole blueprint is there, not what an item was given of it"
