"""What a role did wrong follows it: a note in its memory, told in its next run, and then a tool and the network less."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nightmill import event as e
from nightmill.crew import Memory, signers
from nightmill.estate.file import identify
from nightmill.line import replay
from nightmill.line.assignment import read
from nightmill.repo import Hub
from nightmill.store import Run
from tests.conftest import ScriptedFactory
from tests.recorder import recording
from tests.whole import FILES, FINISH, MODELS, SPEC, TRY, Mill, git, repository, script

pytestmark = pytest.mark.slow

POLICY = """\
ladder:
- {mistake: claim, note: 1}
- {mistake: claim, permission: 2, takes: [explore, network]}
"""
NETWORK = "network: {hosts: [api.nowhere.invalid]}\n"


def use(name: str, **arguments: Any) -> dict[str, Any]:
    return {"text": "On it.", "tool_calls": [{"name": name, "arguments": arguments}]}


def change(old: str, new: str) -> dict[str, Any]:
    return use("edit_file", path="calc.py", edits=[{"old": old, "new": new}])


REACH = use("run_command", command="echo proxies: $(env | grep -c -i ^https_proxy)")
CLAIM = (change("a - b", "a * b"), FINISH, FINISH)
"""Wrong, and handed over; it is asked once what was run."""
MEND = (change("a * b", "a + b"), TRY, FINISH)
ASK = use("explore", questions=[{"question": "Where is add?"}])
FIRST = (*CLAIM, *MEND)
SECOND = (REACH, *CLAIM, ASK, REACH, *MEND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Two runs of one spec, and the requests of each as its endpoint saw them."""

    mill: Mill
    root: Path
    tasks: list[Run] = field(default_factory=list)
    bodies: list[list[bytes]] = field(default_factory=list)

    def seen(self, number: int) -> list[dict[str, Any]]:
        return [json.loads(each) for each in self.bodies[number]]

    def told(self, name: str) -> list[Any]:
        with self.mill.door() as door:
            return [each.event() for run in self.tasks for each in door.ledger.read(run=run.id, names=(name,))]


@pytest.fixture
def played(scripted: ScriptedFactory, tmp_path: Path) -> Played:
    root = repository(tmp_path / "calc", {**FILES, "nightmill.yaml": FILES["nightmill.yaml"] + NETWORK})
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    mill = Mill(folder=tmp_path).given(NIGHTMILL_PLAN="single", NIGHTMILL_ALLOW_HOSTS="*.nowhere.invalid")
    assert mill.run("init", at=root).returncode == 0
    (mill.home / "policy.yaml").write_text(POLICY)
    found = Played(mill=mill, root=root)
    for turns in (FIRST, SECOND):
        with mill.worker(), recording(scripted(script(*turns)).url) as endpoint:
            asked = ("run", tmp_path / "SPEC.md", "--model", MODELS["anthropic"], "--base-url", endpoint.url)
            done = mill.run(*asked, at=root, seconds=240)
            assert not done.returncode, done.stderr + mill.run("log", "r", at=root).stdout
        found.bodies.append(endpoint.bodies)
    with mill.door() as door:
        found.tasks.extend(reversed([run for run in door.runs.list() if run.kind == "task"]))
    return found


def test_a_mistake_is_noted_told_in_the_next_run_and_takes_a_tool_away(played: Played) -> None:
    note = noted_by_its_role(played)
    told_from_then_on(played, note)
    works_without(played)
    rebuilt(played)
    people_see_it_and_have_the_last_word(played, note)


def noted_by_its_role(played: Played) -> str:
    """The first note: each mistake is a signed commit by the role's identity."""
    memory, (first, second) = Memory(played.mill.home), played.tasks
    hub = Hub(memory.folder)
    log = hub.log("main")
    subjects = [each.message.splitlines()[0] for each in reversed(log)]
    assert subjects == [f"developer: claim in {first.id}", f"developer: claim in {second.id}"]
    assert {(each.author, each.email.partition("@")[0]) for each in log} == {("nightmill developer", "developer")}
    assert all(hub.verify(each.sha, signers=signers(played.mill.home)) for each in log)
    assert git(memory.folder, "ls-tree", "-r", "--name-only", "main") == f"{first.project}/developer.md"
    assert [each.commit for each in played.told("note_written")] == [each.sha for each in reversed(log)]
    note, other = memory.page(first.project, "developer").notes
    assert f" {first.id} claim: it said that it was done, and the checks failed: `tests`" in note
    assert second.id in other
    return note


def told_from_then_on(played: Played, note: str) -> None:
    assert note not in json.dumps(played.seen(0), ensure_ascii=False)
    assert all(f"\n- {note}" in each["messages"][0]["content"][0]["text"] for each in played.seen(1))


def works_without(played: Played) -> None:
    """After the second mistake the tool is not offered, a call of it is refused, and commands reach nothing."""
    requests = played.seen(1)
    offered = ["explore" in {tool["name"] for tool in each["tools"]} for each in requests]
    assert offered == [True] * 4 + [False] * 5
    texts = json.dumps(requests[-1]["messages"])
    assert "your role does not have explore" in texts
    assert texts.index("proxies: 2") < texts.index("your role does not have") < texts.index("proxies: 0")
    assert not played.told("explorer_sent")
    (told,) = played.told("permission_taken")
    assert (told.run, told.role, told.kind, told.times) == (played.tasks[1].id, "developer", "claim", 2)
    assert (told.takes, told.asked, told.step) == (["network", "explore"], [], "work.2/implement")


def rebuilt(played: Played) -> None:
    """Both runs, from the ledger, byte for byte."""
    with played.mill.door() as door:
        for run, bodies in zip(played.tasks, played.bodies, strict=True):
            assignment = read(door.blobs.get(run.assignment))
            found = list(replay.requests(run.id, assignment=assignment, ledger=door.ledger, blobs=door.blobs))
            assert [each.body for each in found] == bodies
            assert all(each.same for each in found)


def people_see_it_and_have_the_last_word(played: Played, note: str) -> None:
    mill, root = played.mill, played.root
    log = mill.run("log", played.tasks[1].id).stdout
    assert "developer works without network, explore (work.2/implement): claim 2 times by anthropic:" in log
    assert (
        "claim 2 (anthropic:claude-sonnet-4-5): permission, without network, explore"
        in mill.run("crew", at=root).stdout
    )
    explained = mill.run("blueprint", "explain", "solo", at=root).stdout
    assert "notes: memory of the developer" in explained
    listed = mill.run("crew", "developer", "--memory", at=root)
    assert listed.stdout.startswith(f"  1  {note}\n  2  ")
    assert str(mill.home / "memory.git") in listed.stderr
    assert mill.run("crew", "developer", "--forget", "1", at=root).returncode == 0
    (kept,) = mill.json("crew", "developer", "--memory", at=root)["notes"]
    assert played.tasks[1].id in kept


WITHIN = "ladder:\n- {mistake: claim, permission: 1, takes: [footprint, search]}\n"
BEYOND = use("write_file", path="other.py", content="X = 2\n")
ROUND = use("run_command", command="echo 'X = 2' > other.py")
BACK = use("run_command", command="git checkout HEAD -- other.py; git status --short")
REPORT = {"tool_calls": [{"name": "report", "arguments": {"findings": "It is in calc.py:4."}}]}
WITHIN_TURNS = (ASK, BEYOND, change("a - b", "a + b"), ROUND, TRY, FINISH, BACK, TRY, FINISH)


def test_who_lost_the_way_beyond_the_footprint_is_refused_it_and_what_a_command_did_there_comes_back(
    scripted: ScriptedFactory, tmp_path: Path
) -> None:
    root = repository(tmp_path / "calc", {**FILES, "other.py": "X = 1\n"})
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    mill = Mill(folder=tmp_path)
    assert mill.run("init", at=root).returncode == 0
    (mill.home / "policy.yaml").write_text(WITHIN)
    project = identify(root)
    with mill.door() as door:
        before = e.RunQueued(run="rold", kind="task", title="t", project=project, spec="s", model="m")
        door.runs.create(before, assignment="a")
        named = {"project": project, "role": "developer", "model": MODELS["anthropic"], "kind": "claim", "on": "tree"}
        door.ledger.append([e.MistakeMade(run="rold", **named), e.RunDone(run="rold")])
    played = script(*WITHIN_TURNS)
    played["roles"] = {"explorer": {"system": "You are an explorer", "turns": [REPORT]}, **played["roles"]}
    with mill.worker(), recording(scripted(played).url) as endpoint:
        asked = ("run", tmp_path / "SPEC.md", "--model", MODELS["anthropic"], "--base-url", endpoint.url)
        done = mill.run(*asked, at=root, seconds=240)
        assert not done.returncode, done.stderr + mill.run("log", "r", at=root).stdout

    refused(endpoint.bodies)
    came_back(mill, project, endpoint.bodies)


def refused(bodies: list[bytes]) -> None:
    """Neither the developer nor whom it sent out had what was taken, and its tools wrote nothing beyond."""
    requests = [json.loads(each) for each in bodies]
    offered = {
        who: {tool["name"] for each in requests if who in json.dumps(each["system"]) for tool in each["tools"]}
        for who in ("You are the developer", "You are an explorer")
    }
    assert {who: ("search" in tools, "read_file" in tools) for who, tools in offered.items()} == dict.fromkeys(
        offered, (False, True)
    )
    last = json.dumps(requests[-1]["messages"])
    assert "is outside of what this task was planned to touch (calc.py)" in last
    assert "writing beyond that was" in last.partition("The system looked at what you changed")[2]


def came_back(mill: Mill, project: str, bodies: list[bytes]) -> None:
    """What a command did beyond is not in the change; and all that was asked is rebuilt, explorers too."""
    with mill.door() as door:
        (run,) = (each for each in door.runs.list() if each.kind == "task" and each.id != "rold")
        (back,) = (each.event() for each in door.ledger.read(run=run.id, names=("sent_back",)))
        (pull,) = door.forge.unmerged()
        hub = door.hub(project)
        changed = [each.path for each in hub.changes(hub.resolve("refs/heads/main") or "", pull.head)]
        assignment = read(door.blobs.get(run.assignment))
        rebuilt = replay.requests(run.id, assignment=assignment, ledger=door.ledger, blobs=door.blobs)
        assert {each.body for each in rebuilt} <= set(bodies)
    assert "other.py" in back.reason
    assert changed == ["calc.py"]
