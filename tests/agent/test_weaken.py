"""Tests that are weakened are seen in the text before and after; tests that are only moved or mended are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill import agent, event
from nightmill.agent import AgentState, Told
from nightmill.agent.guard import balance, settled, weaken
from nightmill.code import Change
from nightmill.code.weaken import deltas
from nightmill.code.weaken import tests as named
from nightmill.model import ToolCall
from nightmill.tool import ToolContext, standard
from tests.agent.conftest import BRIEF, replace, reply
from tests.tool.conftest import Bench, Tell, tell

__all__ = ["tell"]

PYTHON = """import pytest


def test_one():
    assert parse("1") == 1
    assert parse("2") == 2


@pytest.mark.xfail(reason="known")
def test_two():
    assert parse("x") is None
"""
CASES = """import pytest


@pytest.mark.parametrize("n", [1, 2, 3])
def test_many(n):
    assert half(2 * n) == approx(n)
"""
TWO = PYTHON[PYTHON.index("@pytest") :]


def seen(*changes: tuple[str, str | None, str | None], state: AgentState | None = None) -> list[str]:
    return [
        f"{each.path}: {each.what}"
        for each in weaken.findings(state or AgentState(), [Change(*each) for each in changes])
    ]


@pytest.mark.parametrize(
    ("path", "before", "after", "what"),
    [
        ("tests/test_a.py", PYTHON, PYTHON.replace(TWO, ""), "test test_two is gone"),
        ("tests/test_a.py", PYTHON, None, "test test_one is gone"),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace('    assert parse("2") == 2\n', ""),
            '1 fewer assertions: assert parse("2") == 2',
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace("def test_one", "@pytest.mark.skip\ndef test_one"),
            "new: @pytest.mark.skip",
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace('    assert parse("1") == 1', "    assert True\n    assert parse"),
            "new: assert True",
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace('parse("1") == 1', 'parse("1") == 1 or True'),
            'test_one has 1 assertion(s) fewer: assert parse("1") == 1'.replace('"', "'"),
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace("def test_one():\n", "def test_one():\n    return\n"),
            "test_one asserts nothing any more: assert parse('1') == 1; assert parse('2') == 2",
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace("== 1", "is not None"),
            "test_one asserts less: assert parse('1') == 1 became assert parse('1') is not None",
        ),
        ("tests/test_a.py", CASES, CASES.replace("[1, 2, 3]", "[]"), "test_many is run with 0 of 3 values"),
        ("tests/test_a.py", CASES, CASES.replace("[1, 2, 3]", "[1]"), "test_many is run with 1 of 3 values"),
        (
            "tests/test_a.py",
            CASES,
            CASES.replace("approx(n)", "approx(n, abs=1e9)"),
            "test_many asserts less: assert half(2 * n) == approx(n) became assert half(2 * n) == approx(n, abs=1000000000.0)",
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace("def test_one():\n", "def test_one():\n    raise SkipTest\n"),
            "new: raise SkipTest",
        ),
        (
            "tests/conftest.py",
            None,
            "def pytest_collection_modifyitems(items):\n    items.clear()\n",
            "new: def pytest_collection_modifyitems(items):",
        ),
        ("conftest.py", None, 'collect_ignore = ["tests"]\n', 'new: collect_ignore = ["tests"]'),
        ("pytest.ini", None, "addopts = --ignore=tests/slow", "new: addopts = --ignore=tests/slow"),
        ("src/a.test.ts", 'it("adds", () => { expect(f()).toBe(1) })', "", "test adds is gone"),
        ("src/a.test.ts", 'it("adds", () => {\n})', 'it.only("adds", () => {\n})', 'new: it.only("adds", () => {'),
        ("a_test.go", "func TestAdd(t *testing.T) {\n}", "package a", "test TestAdd is gone"),
        (
            "a_test.go",
            "func TestAdd(t *testing.T) {\n}",
            'func TestAdd(t *testing.T) {\nt.Skip("x")\n}',
            'new: t.Skip("x")',
        ),
        ("tests/a.rs", "#[test]\nfn adds() {}\n", "", "test adds is gone"),
        (
            "tests/a.rs",
            "#[test]\nfn adds() {}\n",
            "#[test]\n#[ignore]\nfn adds() {}\n",
            "new: #[test] #[ignore] fn adds() {}",
        ),
        ("src/ATest.java", "@Test\npublic void adds() {\n}", "class A {}", "test adds is gone"),
        ("pyproject.toml", "fail_under = 90\n", "fail_under = 60\n", "fail_under was 90 and is 60"),
        ("pyproject.toml", "[tool.coverage.report]\nfail_under = 90\n", "", "fail_under is gone"),
        ("package.json", '"lines": 80,', '"lines": 10,', "lines was 80 and is 10"),
        ("ruff.toml", "max-complexity = 8", "max-complexity = 30", "max-complexity was 8 and is 30"),
        ("Makefile", "test:\n\tpytest\n", "test:\n\tpytest || true\n", "new: pytest || true"),
        (
            ".github/workflows/ci.yml",
            "- run: make",
            "- run: make\n  continue-on-error: true",
            "new: continue-on-error: true",
        ),
        ("pytest.ini", "addopts = -q", "addopts = -q --ignore=tests/slow", "new: addopts = -q --ignore=tests/slow"),
    ],
)
def test_each_way_to_weaken_is_named(path: str, before: str | None, after: str | None, what: str) -> None:
    assert f"{path}: {what}" in seen((path, before, after))


@pytest.mark.parametrize(
    "changes",
    [
        [("tests/test_a.py", PYTHON, PYTHON.replace(TWO, "")), ("tests/test_b.py", None, TWO)],
        [("tests/test_a.py", PYTHON, None), ("tests/deep/test_a.py", None, PYTHON)],
        [("tests/test_a.py", PYTHON, PYTHON.replace("test_one", "test_better_name"))],
        [("tests/test_a.py", PYTHON, PYTHON + "\n\ndef test_three():\n    assert True is parse('t')\n")],
        [("tests/test_a.py", PYTHON, PYTHON.replace('parse("2") == 2', 'parse("2") == 3'))],
        [("tests/test_a.py", PYTHON, PYTHON.replace('reason="known"', 'reason="known"'))],
        [
            (
                "tests/test_new.py",
                None,
                "pytest.importorskip('x')\n@pytest.mark.skipif(WINDOWS)\ndef test_n():\n    pass\n",
            )
        ],
        [("src/parse.py", PYTHON, "")],
        [("pyproject.toml", "fail_under = 60\n", "fail_under = 90\nline-length = 100\n")],
        [("pyproject.toml", 'addopts = "--ignore=slow"', 'addopts = "--ignore=slow"\nname = "x"')],
        [("tests/conftest.py", "x = 1\n", "x = 2\n")],
        [("tests/conftest.py", None, "import pytest\n")],
        [("tests/test_a.py", CASES, CASES.replace("[1, 2, 3]", "[1, 2, 3, 4]"))],
        [("tests/test_a.py", CASES, CASES.replace("[1, 2, 3]", "NUMBERS"))],
        [("tests/test_a.py", CASES, CASES.replace("approx(n)", "n"))],
        [
            (
                "tests/test_a.py",
                PYTHON,
                PYTHON.replace('    assert parse("2") == 2\n', "")
                + '\n\ndef test_more():\n    assert parse("2") == 2\n',
            )
        ],
    ],
)
def test_what_weakens_nothing_is_none(changes: list[tuple[str, str | None, str | None]]) -> None:
    assert seen(*changes) == []


def test_a_test_that_was_written_in_this_work_may_go_again() -> None:
    own = "def test_own():\n    assert 1 + 1 == 2\n"
    state = AgentState(tests=named(deltas([Change("tests/test_own.py", None, own)])))
    assert seen(("tests/test_own.py", own, None), state=state) == []


def test_a_test_that_is_renamed_first_and_then_taken_away_is_gone_all_the_same() -> None:
    renamed = PYTHON.replace("test_two", "test_too")
    state = AgentState(tests=named(deltas([Change("tests/test_a.py", PYTHON, renamed)])))
    assert seen(("tests/test_a.py", renamed, renamed[: renamed.index("@pytest")]), state=state) == [
        "tests/test_a.py: 1 fewer tests"
    ]


def test_a_test_that_turns_up_again_later_is_forgotten() -> None:
    change = Change("tests/test_a.py", PYTHON, PYTHON.replace(TWO, ""))
    gone, found = deltas([change]), weaken.findings(AgentState(), [change])
    back = balance(named(gone), named(deltas([Change("tests/test_b.py", None, TWO)])))

    assert settled(found, named(gone)) == found
    assert settled(found, back) == ()


# With the tools that an agent has, in a real sandbox


class Developer:
    """An agent with real tools."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.state = AgentState()
        self.told: list[event.Event] = []
        self.brief = replace(BRIEF, checks=("python3 -m pytest",))

    async def does(self, tool: str, **arguments: Any) -> list[str]:
        """Make one call; what the guard of tests said of it."""
        before = len(self.told)
        call = ToolCall(id=f"c{self.state.turn}", name=tool, arguments=json.dumps(arguments))
        context = ToolContext(workspace=self.bench.workspace, limits=self.bench.limits, known=self.state.known)
        told = Told(run="r", emit=self.told.append, clock=lambda: 0.0)
        record = await agent.act(self.brief, self.state, reply(call), tools=standard(), context=context, told=told)
        self.state = agent.apply(self.brief, self.state, record)
        new = [each for each in self.told[before:] if isinstance(each, event.AgentNudged)]
        return [each.evidence for each in new if each.guard == "weakened_tests"]


def test_edits_and_commands_that_weaken_tests_are_seen(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("tests/test_a.py", PYTHON.encode())
        await bench.put("tests/test_b.py", TWO.replace("two", "four").encode())
        await bench.put("tests/test_c.py", b"def test_six():\n    assert 6\n")
        developer = Developer(bench)

        skipped = await developer.does(
            "edit_file",
            path="tests/test_a.py",
            edits=[{"old": "def test_one", "new": "@pytest.mark.skip\ndef test_one"}],
        )
        assert skipped == ["tests/test_a.py: new: @pytest.mark.skip"]
        assert await developer.does("run_command", command="sed -i 's/assert parse/parse/' tests/test_a.py") == [
            'tests/test_a.py: 3 fewer assertions: assert parse("1") == 1; assert parse("2") == 2; assert parse("x") is None'
        ]
        assert await developer.does("run_command", command="cd tests && rm -f test_b.py") == [
            "tests/test_b.py: test test_four is gone"
        ]
        assert [each.measure for each in developer.told if isinstance(each, event.AgentNudged)] == [
            "nudge", "firmer", "note",
        ]  # fmt: skip
        (gone,) = await developer.does("run_command", command="cd /work/repo && rm -r tests")
        assert "test test_six is gone" in gone
        record = await developer.does("finish", summary="Mended it.")
        assert developer.state.ending is None, "the summary says nothing of it"
        assert "weakened_tests" in developer.state.refused
        assert record == []

    tell(story)


def test_looking_at_tests_running_them_and_moving_them_is_no_weakening(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("tests/test_a.py", PYTHON.encode())
        developer = Developer(bench)
        for command in (
            "python3 -m unittest tests/test_a.py > out.txt 2>&1",
            "cat tests/test_a.py | grep -c assert",
            "mkdir tests/deep && git init -q && mv tests/test_a.py tests/deep/test_a.py",
            "printf 'def test_new():\\n    assert 1 + 1 == 2\\n' > tests/test_new.py",
            "rm tests/test_new.py",
        ):
            assert await developer.does("run_command", command=command) == [], command
        assert await developer.does("write_file", path="tests/test_more.py", content=TWO.replace("two", "five")) == []

    tell(story)


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        "\n" * MEGABYTE,
        "#[test" * (MEGABYTE // 6),
        "@Test a()" + " " * MEGABYTE,
        "[Fact" * (MEGABYTE // 5),
        "[Fact] a" * (MEGABYTE // 8),
        "@Test a" * (MEGABYTE // 7),
        "target" + " " * MEGABYTE,
        "max-args" + " " * MEGABYTE,
        "it(" + " " * MEGABYTE,
    ],
)
def test_a_megabyte_of_anything_holds_nobody_up(text: str) -> None:
    """Some of these took hours, in which no other run of the worker went on."""
    for path in ("tests/test_a.py", "tests/a.rs", "src/ATest.java", "pyproject.toml"):
        assert not seen((path, text, text + " x"))
