"""A change cannot bend what proves it: each way is a real change of a small repository, run through real pytest."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from nightmill.code import Change
from nightmill.estate.baseline import measure
from nightmill.review import Baseline, Case, Check, Verdict, prove
from nightmill.review.again import again, worth
from nightmill.review.bend import RULES, find
from tests.review.bends import BASE, BENDS, BROKEN, HONEST, Bend

PASSES = {"expected value changed"}
"""What is only shown: whether 3 or -1 is right, no code can say."""

MEASURED: dict[str, Baseline] = {}
"""The base is one for all: how its checks end is measured once."""

InSandbox = Callable[[Callable[[Any], Any]], None]


async def put(bench: Any, before: dict[str, str], after: dict[str, str | None]) -> tuple[str, tuple[Change, ...]]:
    changes = []
    for path, text in after.items():
        await bench.shell(f"rm -f {shlex.quote(f'repo/{path}')}")
        led = text is not None and text.startswith("-> ")
        final = after[text[3:]] if text and led else text
        if text and led:
            await bench.shell(f"ln -s {text[3:]} {shlex.quote(f'repo/{path}')}")
        elif text is not None:
            await bench.shell(f"mkdir -p $(dirname {shlex.quote(f'repo/{path}')})")
            await bench.workspace.write(f"/work/repo/{path}", text.encode())
        if before.get(path) != final:
            changes.append(Change(path, before.get(path), final))
    tree = await bench.shell("cd repo && git add -A && git commit -q --allow-empty -m x && git rev-parse 'HEAD^{tree}'")
    return tree, tuple(changes)


async def judged(bench: Any, files: dict[str, str | None], *, command: str) -> Verdict:
    style = "pytest" if command.startswith("python -m pytest") else "exit"
    check = Check(name="tests", command=command, format=style, seconds=60.0)  # type: ignore[arg-type]
    base = await bench.commit(BASE)
    if command not in MEASURED:
        MEASURED[command] = await measure(bench.workspace, (check,), tree=base, progress=lambda _: None)
    tree, changes = await put(bench, BASE, files)
    case = Case(tree=tree, base_tree=base, checks=(check,), baseline=MEASURED[command], changes=changes)
    verdict = await prove(bench.workspace, case, tell=lambda _: None, keep=lambda _: "", progress=lambda _: None)
    if verdict.passed and worth(case, verdict):  # as a run does
        await bench.shell("cd repo && git clean -fdq")
        verdict = await again(bench.workspace, case, verdict, progress=lambda _: None)
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", BENDS)
def test_bend_is_found_and_does_not_pass(in_sandbox: InSandbox, name: str) -> None:
    bend: Bend = BENDS[name]
    files = {"calc.py": BROKEN, **bend.files} if bend.broken else bend.files

    async def story(bench: Any) -> None:
        verdict = await judged(bench, files, command=bend.command)
        told = {each.kind for each in verdict.findings}
        assert bend.kind in told or not bend.kind, verdict.findings
        assert verdict.passed == (name in PASSES), verdict

    in_sandbox(story)


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST)
def test_honest_change_passes(in_sandbox: InSandbox, name: str) -> None:
    async def story(bench: Any) -> None:
        verdict = await judged(bench, HONEST[name], command="python -m pytest")
        assert verdict.passed, verdict.reasons
        assert not [each for each in verdict.findings if each.blocks]

    in_sandbox(story)


HOSTILE = [
    "",
    "\0",
    "x = " + "(" * 5_000,
    "x = " + "+".join(["1"] * 20_000),
    "a" + ".a" * 2_000,
    "def test_a():\n" + "".join(" " * n + "if x:\n" for n in range(1, 95)) + " " * 95 + "pass\n",
    "[" * 50_000,
    "[tool.pytest]\naddopts = " + "[" * 5_000,
    "[tool]\npytest = 3\nruff = [1]\nmypy = {overrides = 3}\ncoverage = 'x'\n",
    "[project]\nentry-points = 3\n",
    "assert x\n" * 5_000,
    '"' * 100_001,
    "test:\n" + "test: test\n" * 5_000,
    "%s" * 10_000,
    "\ud800",
    "# noqa" * 50_000,
    "it('" * 50_000,
    '{"scripts": [1], "rules": 3, "compilerOptions": "x"}',
]
PATHS = [
    "tests/test_a.py", "tests/conftest.py", "a.py", "pyproject.toml", "tox.ini", "setup.cfg", "package.json", "Makefile",
    "a.test.js", "a_test.go", "tests/a.rs", "tsconfig.json", ".eslintrc.json", "ruff.toml", ".coveragerc", "é\n.py",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_text_crashes_the_search(path: str) -> None:
    checks = tuple(Check(name=each, command=each) for each in ("make test", "npm test", "tox", "sh 'unfinished"))
    for before in (None, HOSTILE[3]):
        for after in (None, *HOSTILE):
            find((Change(path, before, after),), checks)


MAKE = "PY = $(TOOL) -q\nTOOL := pytest\n\ntest: deps\n\t$(PY)\n\ndeps:\n\techo d\n\nother:\n\techo $(Z)\n"


@pytest.mark.parametrize(
    ("after", "bent"),
    [
        (MAKE.replace("TOOL := pytest", "TOOL := true"), "what stands outside of targets: TOOL := true"),
        (MAKE + "TOOL = true\n", "what stands outside of targets: TOOL = true"),
        (MAKE + "PY += || true\n", "what stands outside of targets: PY += || true"),
        ("include fast.mk\n" + MAKE, "what stands outside of targets: include fast.mk"),
        (".ONESHELL:\n" + MAKE, "what stands outside of targets: .ONESHELL:"),
        ("ifdef CI\n" + MAKE + "endif\n", "what stands outside of targets: ifdef CI"),
        ("test: PY = true\n" + MAKE, "the target 'test'"),
        (MAKE.replace("echo d", "exit 1"), "the target 'deps'"),
        ("# said\n.PHONY: test\n" + MAKE + "X = 1\nmore:\n\techo $(X)\n", ""),
        (MAKE + "Z = 2\n", ""),
        (MAKE.replace("TOOL := pytest\n", "") + "TOOL := pytest\n", ""),
    ],
)
def test_what_a_make_file_changes_of_what_the_check_runs_stands_in_the_way(after: str, bent: str) -> None:
    found = find((Change("Makefile", MAKE, after),), (Check(name="t", command="make test"),))
    told = [each.what for each in found if each.blocks]
    assert told[-1:] == ([f"check 't' runs {bent}"] if bent else [])


def test_policy_decides_what_blocks() -> None:
    change = Change("a.py", "x = 1\n", "x = 1  # noqa\n")
    assert [(each.kind, each.blocks, each.line) for each in find((change,), ())] == [("suppressed", False, 1)]
    assert find((change,), (), rules={**RULES, "suppressed": "block"})[0].blocks
    assert find((change,), (), rules={})[0].blocks  # what a policy does not know fails closed
