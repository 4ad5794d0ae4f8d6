"""One execution of a check, and what its report says: where the report is, how it is read, what is not right about it."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from nightmill.errors import SettingsError, ToolError
from nightmill.review import compare
from nightmill.review.formats import FORMATS, Covered, Problem, Report, Told, tidy
from nightmill.review.formats.junit import REPORT_BYTES
from nightmill.review.nouns import Check
from nightmill.sandbox import Command, Limits, Outcome, Workspace

__all__ = ["LIMITS", "Once", "identify", "once"]

LIMITS = Limits(memory=4 << 30, processes=2048, file_size=4 << 30, output=1 << 20)
"""Bounds on a check; its seconds are its own."""

PYTEST_EMPTY = 5
MOST_FILES = 1_000
"""Files with problems that are read to tell lines apart."""
FILE_BYTES = 2 << 20
ALL_STREAMS = {"go", "cargo"}
"""Formats whose tools say on the other stream which tests they run, or why they cannot."""

numbers = re.compile(r"\d+")
summary = re.compile(r"^=*\s*((?:\d{1,7} [a-z ]{4,20}(?:, )?)+) in \d[\d.]*s\b", re.MULTILINE)
counted = re.compile(r"(\d{1,7}) ([a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One execution: *messages* are its failures by id, `compare.WHOLE` being the check itself."""

    outcome: Outcome
    tests: dict[str, Told]
    messages: dict[str, str]
    covered: Covered | None = None


async def once(workspace: Workspace, check: Check, *, limits: Limits = LIMITS) -> Once:
    """One execution of *check*, nothing compared and nothing repeated."""
    path = await _report_path(workspace, check)
    outcome = await workspace.run(_command(check, path, limits))
    if check.format == "exit":
        return Once(outcome=outcome, tests={}, messages=_whole(outcome, "") if outcome.exit or outcome.stopped else {})
    report = await _read(workspace, check, path, outcome)
    tests = report.tests
    if report.problems:
        tests = tests | await _told(workspace, report.problems)
    messages = compare.failed(tests) | compare.short(report.covered, least=check.least)
    trouble = report.gap or (disagreement(report, outcome.text) if check.format == "pytest" else "")
    trouble = "" if check.format == "pytest" and outcome.exit == PYTEST_EMPTY else trouble
    if outcome.stopped or trouble or (outcome.exit and not messages):
        messages |= _whole(outcome, trouble)
    return Once(outcome=outcome, tests=tests, messages=messages, covered=report.covered)


def identify(problems: Iterable[Problem], lines: dict[str, list[str]]) -> dict[str, Told]:
    """Each problem as a failed test with an id that outlives a move: path, rule, and a hash of its line and message.

    *lines* are the files' by path. Numbers in messages do not count; of equal problems, the second is "… #2" and so on.
    """
    found: dict[str, Told] = {}
    seen: Counter[str] = Counter()
    for each in sorted(problems):
        text = lines.get(each.path, [])
        line = text[each.line - 1].strip() if 0 < each.line <= len(text) else ""
        digest = hashlib.sha256(f"{line}\n{numbers.sub('#', each.message)}".encode()).hexdigest()[:10]
        name = " ".join(part for part in (each.path, each.rule, digest) if part)
        seen[name] += 1
        name += f" #{seen[name]}" if seen[name] > 1 else ""
        shown = f"{each.path}:{each.line}: {each.rule} {each.message}" + (f"\n    {line[:200]}" if line else "")
        found[name] = Told(id=name, outcome="failed", message=shown)
    return found


def disagreement(report: Report, printed: str) -> str:
    """Why *report* cannot be what pytest wrote, if its own last line says otherwise; "" where it says nothing."""
    found = summary.findall(printed)
    if not found:
        return ""
    said: Counter[str] = Counter()
    for number, word in counted.findall(found[-1]):
        said[word.removesuffix("s")] += int(number)
    told = Counter(test.outcome for test in report.tests.values())
    bad = said["failed"] + said["error"]
    good = said["passed"] + said["xpassed"] + said["subtest"] + said["rerun"]
    if (bad and not told["failed"] + told["error"]) or told["passed"] > good:
        return f"pytest printed {found[-1]!r} and the report tells of {dict(told)}: one of them was changed"
    return ""


async def _told(workspace: Workspace, problems: tuple[Problem, ...]) -> dict[str, Told]:
    paths = sorted({each.path for each in problems})
    if len(paths) > MOST_FILES:
        whole = (
            f"there are problems in {len(paths):,} files, more than {MOST_FILES:,}: check less, or by the exit status"
        )
        return {compare.WHOLE: Told(id=compare.WHOLE, outcome="error", message=whole)}
    lines: dict[str, list[str]] = {}
    for path in paths:
        if path and not path.startswith("/") and ".." not in PurePosixPath(path).parts:
            try:
                body = await workspace.read(f"/work/repo/{path}", limit=FILE_BYTES)
            except ToolError:
                continue
            lines[path] = body.decode("utf-8", "replace").splitlines()
    return identify(problems, lines)


async def _report_path(workspace: Workspace, check: Check) -> str:
    if check.format == "exit":
        return ""
    where = FORMATS[check.format].where
    if where == "own" or (where == "printed" and not check.report):
        # From the system's randomness: a name that no file in the tree can have prepared.
        return f"/work/home/.report-{secrets.token_hex(16)}"
    path = PurePosixPath(check.report)
    if not check.report or path.is_absolute() or ".." in path.parts:
        raise SettingsError(
            f"check {check.name!r} has the report {check.report!r}, which is no path in the repository",
            hint="name the file that the command writes, relative to the repository",
        )
    inside = f"/work/repo/{path}"
    # A report that lies in the tree says nothing of this run.
    await workspace.run(Command(argv=("rm", "-rf", "--", inside), limits=replace(LIMITS, seconds=60.0)))
    return inside


def _command(check: Check, path: str, limits: Limits) -> Command:
    script = check.command
    if check.format == "pytest":
        # xunit1 names the file of each test; by the variable, so that wrappers and pipes keep working. One file that
        # cannot be imported would keep all others from running, and on a base like that nothing could be proven.
        ours = f"-p no:cacheprovider --continue-on-collection-errors -o junit_family=xunit1 --junitxml={path}"
        script = f'export PYTEST_ADDOPTS="${{PYTEST_ADDOPTS-}} {ours}"\n{script}'
    elif check.format == "ruff":
        script = f"export RUFF_OUTPUT_FORMAT=json RUFF_OUTPUT_FILE={path} RUFF_NO_CACHE=true\n{script}"
    elif check.format != "exit" and not check.report:
        both = " 2>&1" if check.format in ALL_STREAMS else ""
        script = f"(\n{script}\n){both} | tee {path}\nexit ${{PIPESTATUS[0]}}"
    return Command(argv=("bash", "-c", script), limits=replace(limits, seconds=check.seconds, memory=check.memory))


async def _read(workspace: Workspace, check: Check, path: str, outcome: Outcome) -> Report:
    try:
        return FORMATS[check.format].parse(await workspace.read(path, limit=REPORT_BYTES))
    except ToolError:
        return Report(gap="" if outcome.stopped else "the command wrote no report")
    except ValueError as error:
        return Report(gap=str(error))


def _whole(outcome: Outcome, trouble: str) -> dict[str, str]:
    ending = f"stopped by its limit ({outcome.stopped})" if outcome.stopped else f"exit status {outcome.exit}"
    return {compare.WHOLE: "\n".join(part for part in (trouble, ending, tidy(outcome.text)) if part)}
