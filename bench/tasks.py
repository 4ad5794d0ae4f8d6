"""Ten small tasks with the turns of a developer who does them: what runs with faults are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.stage import call

__all__ = ["PROJECT", "SPEC", "TASKS", "Task"]

SPEC = """# {title}

## Problem

{problem}

## Requirements

- R1: {must}

## Acceptance criteria

- AC1 (R1): {criterion}

## Out of scope

- Nothing else is changed.

## Tests

Run `python3 -m unittest -q`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked for, the files before and after it, and the turns of a developer who does it."""

    name: str
    problem: str
    must: str
    criterion: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    turns: tuple[dict[str, Any], ...]


def said(text: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "tool_calls": list(calls)}


def done(*, by: str = "python3 -m unittest -q") -> dict[str, Any]:
    return said("That is all.", call("finish", summary="Done as asked.", evidence=[{"criterion": "AC1", "by": by}]))


def shell(command: str) -> dict[str, Any]:
    return said("I run it.", call("run_command", command=command))


TESTS = shell("python3 -m unittest -q")


def edit(path: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    return said("I change it.", call("edit_file", path=path, edits=[{"old": old, "new": new} for old, new in pairs]))


def read(*paths: str) -> dict[str, Any]:
    return said("I look first.", *(call("read_file", path=path) for path in paths))


def todo(*states: str) -> dict[str, Any]:
    items = [{"text": f"part {at}", "state": state} for at, state in enumerate(states, 1)]
    return said("My list.", call("update_todo", items=items))


def _tasks() -> Iterator[Task]:
    def task(name: str, before: str | dict[str, str], after: str | dict[str, str], *turns: dict[str, Any]) -> Task:
        one = f"{name}.py"
        return Task(
            name=name,
            problem=f"`{name}` does not do what its name says, as its callers noticed.",
            must=f"`{name}` MUST do what its name says, for every input that it takes.",
            criterion=f"`python3 -m unittest -q` exits 0 after `{name}` was changed as R1 says.",
            before={one: before} if isinstance(before, str) else before,
            after={one: after} if isinstance(after, str) else after,
            turns=turns,
        )

    yield task(
        "adding", "def adding(a, b):\n    return a - b\n", "def adding(a, b):\n    return a + b\n",
        read("adding.py"), edit("adding.py", ("a - b", "a + b")), TESTS, done(),
    )  # fmt: skip
    text = "def counting(words):\n    found = {}\n    for word in words:\n        found[word] = 1\n    return found\n"
    right = text.replace("found[word] = 1", "found[word] = found.get(word, 0) + 1")
    yield task(
        "counting", text, right,
        read("counting.py"), todo("doing", "pending"), edit("counting.py", ("found[word] = 1", "found[word] = found.get(word, 0) + 1")),
        TESTS, todo("done", "done"), done(),
    )  # fmt: skip
    yield task(
        "greeting", "def greeting(name):\n    return 'Hello'\n", "def greeting(name):\n    return f'Hello, {name}!'\n",
        said("I write it anew.", call("read_file", path="greeting.py"), call("search", pattern="greeting")),
        said("So.", call("write_file", path="greeting.py", content="def greeting(name):\n    return f'Hello, {name}!'\n")),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "halving", {"halving.py": "from doubling import two\n\n\ndef halving(x):\n    return x * two\n", "doubling.py": "two = 2\n"},
        {"halving.py": "from doubling import two\n\n\ndef halving(x):\n    return x / two\n", "doubling.py": "two = 2.0\n"},
        read("halving.py", "doubling.py"), edit("halving.py", ("x * two", "x / two")), edit("doubling.py", ("two = 2\n", "two = 2.0\n")),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "joining", "def joining(parts):\n    return ''.join(parts)\n\n\ndef other(parts):\n    return parts\n",
        "def joining(parts):\n    return ', '.join(parts)\n\n\ndef other(parts):\n    return list(parts)\n",
        read("joining.py"), edit("joining.py", ("''.join(parts)", "', '.join(parts)"), ("return parts\n", "return list(parts)\n")),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "keeping", "def keeping(path):\n    return open(path).read()\n",
        "def keeping(path):\n    with open(path) as file:\n        return file.read()\n",
        read("keeping.py"), shell("grep -n open keeping.py"),
        said("First a note.", call("remember", kind="discovery", text="keeping.py leaves its file open")),
        edit("keeping.py", ("    return open(path).read()\n", "    with open(path) as file:\n        return file.read()\n")), TESTS, done(),
    )  # fmt: skip
    yield task(
        "limiting", "LIMIT = 10\n\n\ndef limiting(n):\n    return n\n", "LIMIT = 10\n\n\ndef limiting(n):\n    return min(n, LIMIT)\n",
        shell("sed -n 1,20p limiting.py"), shell("sed -i 's/return n$/return min(n, LIMIT)/' limiting.py"), shell("git diff --stat"),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "naming", {"naming.py": "def old_name():\n    return 1\n"},
        {"naming.py": "def naming():\n    return 1\n", "NAMES.md": "old_name: naming\n"},
        read("naming.py"), edit("naming.py", ("old_name", "naming")),
        said("And a page.", call("write_file", path="NAMES.md", content="old_name: naming\n")), TESTS, done(),
    )  # fmt: skip
    many = (
        "".join(f"def piece_{n}(x):\n    return x + {n}\n\n\n" for n in range(60))
        + "def ordering(xs):\n    return xs\n"
    )
    yield task(
        "ordering", many, many.replace("return xs\n", "return sorted(xs)\n"),
        said("It is long.", call("search", pattern="def ordering", path="ordering.py")),
        said("There.", call("read_file", path="ordering.py", offset=235, limit=20)),
        edit("ordering.py", ("def ordering(xs):\n    return xs\n", "def ordering(xs):\n    return sorted(xs)\n")), TESTS, done(),
    )  # fmt: skip
    yield task(
        "pairing", "def pairing(a, b):\n    return a\n", "def pairing(a, b):\n    return (a, b)\n",
        read("pairing.py"), edit("pairing.py", ("return a\n", "return [a, b]\n")), done(),
        edit("pairing.py", ("return [a, b]\n", "return (a, b)\n")), TESTS, done(),
    )  # fmt: skip


TASKS = tuple(_tasks())
"""Ten, of four to seven turns: edits of one and of several files, whole files, commands, lists, notes, a wrong try."""

PROJECT = {
    "test_all.py": (
        "import unittest\n\nimport pairing\n\n\nclass All(unittest.TestCase):\n"
        "    def test_pairs_are_no_lists(self):\n        self.assertNotIsInstance(pairing.pairing(1, 2), list)\n"
    ),
    "nightmill.yaml": "language: python\ninstall: []\nchecks:\n- {name: tests, run: python3 -m unittest -q, format: exit, seconds: 60}\n",
    ".gitignore": "__pycache__/\n",
}
