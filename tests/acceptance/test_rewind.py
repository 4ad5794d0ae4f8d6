"""Going on from any moment of a run, as people edit it there: what happened before is neither done nor paid again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from bench.stage import GIT, Stage, shell, until
from nightmill import event as e
from nightmill.store import Ledger
from tests.acceptance.test_process import CASE, EVIDENCE, OLD, RIGHT, WRONG, edit, over, process, said, script, told
from tests.beside import require
from tests.recorder import Recorder, recording

pytestmark = pytest.mark.slow

OWN = """
name: own
steps:
  - {id: which, ask: "Percent, or cents?"}
  - {id: implement, agent: developer, goal: "{{ task.title }}, in {{ steps.which.answer }}", inputs: {criteria: task.criteria}}
  - {id: proof, check: all, may_fail: true}
  - {id: mend, agent: developer, goes_on: implement, goal: "Mend it.", again: "It is not in {{ steps.which.answer }}: mend it."}
  - {id: sure, check: all}
  - {id: land, change: "{{ task.title }}", summary: steps.mend.summary}
"""
DEVELOPER = (
    edit(OLD, WRONG),
    shell("python3 -m unittest -q"),
    over("Added.", evidence=EVIDENCE),
    shell("echo what it was | tee left.txt"),
    edit(WRONG, RIGHT),
    shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
    over("Mended.", evidence=EVIDENCE),
)


def first(stage: Stage, model: Recorder) -> str:
    """A run of `OWN` to its end, and its id."""
    named = ("--model", "anthropic:claude-sonnet-4-5", "--base-url", model.url)
    assert stage.start("run", "SPEC.md", *named, "--blueprint", "own").wait(120) == 3, said(stage)
    (asked,) = told(stage, "question_asked")
    stage.call("answer", asked.run, "percent")
    until(lambda: stage.run("spec").over, what="the end")
    assert stage.run("task").state == "done", said(stage)
    return str(asked.run)


def ended(stage: Stage, run: str) -> Any:
    def over() -> Any:
        return next(each for each in stage.runs() if each.id == run).over

    until(over, what="the end")
    found = next(each for each in stage.runs() if each.id == run)
    assert found.state == "done", f"{found.reason}\n{said(stage)}"
    return found


def refusal(stage: Stage, *words: str) -> str:
    """What a command says that must not go well."""
    command = [sys.executable, "-m", "nightmill.cli", *words]
    ran = subprocess.run(command, cwd=stage.repo, env=stage.environment, capture_output=True, text=True, check=False)
    assert ran.returncode, ran.stdout
    return ran.stdout + ran.stderr


def own(stage: Stage, run: str, name: str) -> list[Any]:
    return [each for each in told(stage, name) if each.run == run]


def workers_die(stage: Stage) -> None:
    """All of them, at once; another one comes."""
    for worker in stage.beats():
        os.kill(worker, signal.SIGKILL)
    stage.start("worker")


def edited(stage: Stage, run: str) -> None:
    """What *run* made holds the person's file, says so, and is not theirs to merge."""
    (pull,) = (each for each in stage.pulls() if each["run"] == run)
    assert stage.hub.show(pull["head"], "docs/note.txt") == b"by hand\n"
    assert "left.txt" not in [each.path for each in stage.hub.files(pull["head"])]
    assert "edited the file `docs/note.txt` at `developer/4`" in pull["body"]
    assert "deleted the file `left.txt` at `developer/4`" in pull["body"]
    assert "Co-authored-by" in stage.hub.log(pull["head"], limit=1)[0].message
    assert "author" in refusal(stage, "pr", "merge", str(pull["number"]))


def compared(stage: Stage, old: str, new: str) -> None:
    """Beside each other they show what they have in common and how their trees differ."""
    beside = json.loads(stage.call("compare", old, new, "--json"))
    assert [each["number"] for each in beside["common"]] == [1, 2, 3, 4]
    assert "docs/note.txt" in beside["diff"]


def commented(stage: Stage, run: str) -> str:
    """The number of what *run* made, about which somebody wrote something at a forge."""
    (pull,) = (each for each in stage.pulls() if each["run"] == run)
    number = str(pull["number"])
    assert "nothing is written about pull request" in refusal(stage, "pr", "again", number)
    named = {"project": pull["project"], "forge": "github", "change": pull["number"], "comment": "note/5"}
    wrote = e.CommentHeard(run=run, by="bob", text="Use cents.", path="prices.py", line=1, **named)
    Ledger(stage.store(), time.time).append([wrote])
    assert "bob wrote at github about this change on prices.py line 1." in stage.call("pr", "show", number)
    return number


def test_a_later_step_is_gone_on_from_with_what_a_person_edits_and_they_do_not_approve_of_it(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, OWN)
    (stage.folder / "note").write_text("by hand\n")
    with stage.model(script(DEVELOPER)) as played, recording(played.url) as model:
        old = first(stage, model)
        before, paid = stage.run("task"), len(model.bodies)
        stage.start("worker")
        edits = (
            "--file",
            f"docs/note.txt={stage.folder}/note",
            "--delete",
            "left.txt",
            "--result",
            "1=It was WRONG all along.",
        )
        new = stage.call("rewind", old, "--to", "4", "--instruction", "Leave a note.", *edits).strip()
        ended(stage, new)

        assert len(model.bodies) - paid == 3, "the turns before are not paid again"
        asked = json.dumps(json.loads(model.bodies[paid])["messages"])
        heard = ("It was WRONG all along.", "what it was\\n", "It is not in percent", "Leave a note.")
        assert [asked.count(words) for words in heard] == [1, 0, 1, 1]
        assert stage.call("requests", new).count("as sent") == 3

        number = commented(stage, new)
        paid = len(model.bodies)
        again = stage.call("pr", "again", number).strip()
        until(lambda: own(stage, again, "workspace_prepared"), what="that it has taken over what was")
        workers_die(stage)
        ended(stage, again)
        assert "bob wrote at github" in json.dumps(json.loads(model.bodies[paid]))
        assert stage.call("requests", again).count("as sent") == len(model.bodies) - paid

    assert [each for each in stage.runs() if each.id == old] == [before], "the old one stays as it is"
    assert [each.step for each in own(stage, new, "step_finished")] == ["mend", "sure", "land"]
    assert len(own(stage, new, "verdict_given")) == 1
    assert [(each.kind, each.at, "@" in each.by) for each in own(stage, new, "past_edited")] == [
        ("file", "developer/4", True),
        ("file", "developer/4", True),
        ("result", "developer/4", True),
    ]
    for run in (new, again):
        edited(stage, run)
    compared(stage, old, new)
    assert stage.broken() is None


def test_an_answer_is_edited_where_it_was_given_and_all_after_it_is_done_anew(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, OWN)
    with stage.model(script(DEVELOPER)) as played, recording(played.url) as model:
        old = first(stage, model)
        paid = len(model.bodies)
        stage.start("worker")
        for words, why in (
            (("--to", "9"), "developer 1 to 2, 4 to 6"),
            (("--to", "4", "--file", "../note=SPEC.md"), "no file of the checkout"),
            (("--to", "4", "--delete", "nightmill.yaml", "--file", "nightmill.yaml=SPEC.md"), "edited and deleted"),
            (("--to", "4", "--delete", ".git/HEAD"), "no file of the checkout"),
            (("--to", "2", "--delete", "left.txt"), "there is no file 'left.txt'"),
            (("--to", "4", "--file", "left.txt/note=SPEC.md"), "'left.txt' is a file, and no folder"),
            (("--to", "4", "--result", "2=x"), "1 (run_command)"),
            (("--answer", "who=x"), "which"),
        ):
            assert why in refusal(stage, "rewind", old, *words)
        assert len(stage.runs()) == 2, "what is refused begins nothing"
        new = stage.call("rewind", old, "--answer", "which=cents").strip()
        ended(stage, new)
        asked = [json.dumps(json.loads(each)["messages"]) for each in model.bodies[paid:]]

    assert len(asked) == len(DEVELOPER)
    assert "in cents" in asked[0]
    assert not any("in percent" in each for each in asked)
    assert not own(stage, new, "question_asked")


def test_a_database_goes_back_with_the_run(stage: Stage) -> None:
    require("redis")
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    described = stage.repo / "nightmill.yaml"
    described.write_text(f"{described.read_text()}services: [{{use: redis}}]\n")
    subprocess.run(
        ["git", "commit", "-q", "-a", "-m", "A queue"], cwd=stage.repo, env={**stage.environment, **GIT}, check=True
    )
    count = shell("exec 3<>/dev/tcp/127.0.0.1/6379; echo INCR orders >&3; head -1 <&3")
    case = shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q")
    developer = (edit(OLD, RIGHT), count, count, count, case, over("Added.", evidence=EVIDENCE))
    with stage.model(script(developer)) as played, recording(played.url) as model:
        named = ("--model", "anthropic:claude-sonnet-4-5", "--base-url", model.url)
        assert stage.start("run", "SPEC.md", *named, "--blueprint", "solo").wait(120) == 0, said(stage)
        assert counted(model) == [":1", ":2", ":3"]
        stage.start("worker")
        new = stage.call("rewind", stage.run("task").id, "--to", "2", "--instruction", "Go on.").strip()
        ended(stage, new)
        assert counted(model) == [":1", ":2", ":3"], "it goes on from what the database held then"


def counted(model: Recorder) -> list[str]:
    """What the database said, by the newest request."""
    said = json.dumps(json.loads(model.bodies[-1])["messages"])
    return re.findall(r":\d+(?=\\r)", said)
