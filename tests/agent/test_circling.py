"""Who goes in circles is stopped, however the circle is dressed; work that only looks alike goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nightmill import event
from nightmill.agent.spelling import plain
from nightmill.model import ToolCall
from nightmill.tool import Answer, ToolContext, Toolset
from nightmill.tool.base import Arguments, digest, known_as
from nightmill.tool.work import FinishWork, UpdateTodo
from tests.agent.conftest import BRIEF, Stage, replace, reply

FAILS = "E   assert parse('1') == 1, where parse('1') is None\n1 failed in 0.1 s\n(exit status 1)"
Step = tuple[str, dict[str, Any] | str]


class RunCommand:
    """A test of the parser always fails alike; what is not a test says what was asked, or nothing."""

    name, description, reads = "run_command", "Runs.", False

    class Call(Arguments):
        command: str

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.command

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        program, _, about = arguments.command.partition(" ")
        said = {"grep": "(no hits)", "mkdir": "(exit status 0, no output)", "make": f"{about}: {FAILS}"}.get(
            program, FAILS
        )
        return Answer(text=said, changed=True, ran=((arguments.command, program == "mkdir", said),))


class ReadFile:
    """Each file holds the same."""

    name, description, reads = "read_file", "Reads.", True

    class Call(Arguments):
        path: str
        limit: int = 0

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.path

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        return Answer(
            text="1\tdef parse(text):\n2\t    return None  # nothing yet\n", seen=((known_as(arguments.path), "d"),)
        )


class WriteFile:
    """Keeps nothing but the digest."""

    name, description, reads = "write_file", "Writes.", False

    class Call(Arguments):
        path: str
        content: str

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.path

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        seen = ((known_as(arguments.path), digest(arguments.content.encode())),)
        return Answer(text="wrote", changed=True, edited=(arguments.path,), seen=seen)


def played(step: Callable[[int], Step], *, turns: int = 40) -> Stage:
    """An agent that makes the call of *step* at each turn, until it is stopped."""
    stage = Stage(brief=replace(BRIEF, tag="[system 1]", objective="Mend the parser.", checks=("pytest",)))
    stage.tools = Toolset((RunCommand(), ReadFile(), WriteFile(), UpdateTodo(), FinishWork()))
    for number in range(turns):
        name, given = step(number)
        arguments = given if isinstance(given, str) else json.dumps(given)
        stage.turn(reply(ToolCall(id=f"c{number}", name=name, arguments=arguments)))
        if stage.state.ending:
            break
    return stage


def ran(command: str) -> Step:
    return "run_command", {"command": command}


def todo(text: str, state: str = "pending") -> Step:
    return "update_todo", {"items": [{"text": text, "state": state}]}


CIRCLES: dict[str, Callable[[int], Step]] = {
    "blanks in the JSON": lambda n: ("run_command", '{"command":' + " " * n + '"pytest -q"}'),
    "blanks in the command": lambda n: ran("pytest" + " " * (n + 1) + "-q"),
    "a comment that counts": lambda n: ran(f"pytest -q  # attempt {n}"),
    "quotes that say nothing": lambda n: ran("pytest '-q'" if n % 2 else "pytest -q"),
    "an option that changes nothing": lambda n: ran(f"pytest -q --maxfail={n + 1}"),
    "an argument that there is not": lambda n: ("run_command", {"command": "pytest -q", "attempt": n}),
    "names that other harnesses have": lambda n: (("bash", "shell", "execute_command")[n % 3], {"command": "pytest"}),
    "other spellings of a path": lambda n: ("read_file", {"path": "./" * n + "src/parse.py"}),
    "a limit that grows": lambda n: ("read_file", {"path": "src/parse.py", "limit": 10 + n}),
    "three in turn, each time otherwise": lambda n: ran(("pytest -q", "git diff", "ls src")[n % 3] + " " * n),
    "seven in turn": lambda n: ran(f"pytest tests/test_{n % 7}.py"),
    "a file written back and forth": lambda n: ("write_file", {"path": "src/parse.py", "content": "ab"[n % 2]}),
    "a file in three ways": lambda n: ("write_file", {"path": "src/parse.py", "content": "abc"[n % 3]}),
    "an item done and undone": lambda n: todo("mend the parser", ("done", "pending")[n % 2]),
    "a list in other words": lambda n: todo(f"mend the parser, in a way of which there are {n}"),
}


@pytest.mark.parametrize("circle", CIRCLES)
def test_a_circle_ends_however_it_is_dressed(circle: str) -> None:
    stage = played(CIRCLES[circle])

    assert stage.state.ending is not None, "it goes on"
    assert stage.state.ending.kind == "stuck"
    assert stage.state.turn <= 30
    measures = [told.measure for told in stage.told if isinstance(told, event.AgentNudged)]
    assert [each for each in measures if each in {"fresh", "stop"}][-1] == "stop"
    assert measures[0] == "nudge"


WORK: dict[str, Callable[[int], Step]] = {
    "searches without a hit": lambda n: ran(f"grep -rn parse_{n} src"),
    "commands that say nothing": lambda n: ran(f"mkdir -p src/part_{n}"),
    "other files that look alike": lambda n: ("read_file", {"path": f"src/part_{n}.py"}),
    "a file that grows": lambda n: ("write_file", {"path": "src/parse.py", "content": "x" * n}),
    "items done one after another": lambda n: todo(f"part {n}", "done"),
    "one check after another": lambda n: ran(f"make test-{n}"),
}


@pytest.mark.parametrize("work", WORK)
def test_work_that_only_looks_alike_goes_on(work: str) -> None:
    stage = played(WORK[work], turns=24)

    assert stage.state.ending is None
    assert not [told for told in stage.told if isinstance(told, event.AgentNudged)]


def test_calls_are_the_same_only_if_what_is_run_is() -> None:
    def key(command: str) -> tuple[str, str]:
        return plain(ToolCall(id="", name="bash", arguments=json.dumps({"command": command})))

    assert key("pytest  -q # again") == key("pytest -q")
    assert key("echo 'a  b'") != key("echo 'a b'"), "blanks inside quotes are part of it"
    assert key("echo 'not closed") == key("echo  'not closed # at all")
    assert plain(ToolCall(id="", name="x", arguments="{broken")) == ("x", "{broken")
    assert plain(ToolCall(id="", name="write_file", arguments='{"path": "a", "content": "x  y"}')) != plain(
        ToolCall(id="", name="write_file", arguments='{"path": "a", "content": "x y"}')
    )
