"""The ledger of a run worth showing: a bug fixed, with trouble on the way."""

from __future__ import annotations

from pathlib import Path

from nightmill import event as e
from nightmill.review import CheckResult, Evidence, Failure, Verdict
from tests.report.telling import Call, Telling, sha

TEXTS = Path(__file__).parent / "texts"
DIFF, BODY, FAILED_OUTPUT, PASSED_OUTPUT = (
    (TEXTS / name).read_text("utf-8") for name in ("change.diff", "body.md", "failed.txt", "passed.txt")
)

BASE, FIRST, LAST = sha("base"), sha("first"), sha("last")
SOURCE = "src/humanize/time.py"
TESTS = "tests/test_time.py"
OLD = """        if not num_months:
            return _ngettext("%d day", "%d days", days) % days

        if num_months == 1:
            return _("a month")

        return _ngettext("%d month", "%d months", num_months) % num_months"""
NEW = """        if days < DAYS_IN_MONTH:
            return _ngettext("%d day", "%d days", days) % days

        if num_months <= 1:
            return _("a month")

        return _ngettext("%d month", "%d months", num_months) % num_months"""


TITLE = "naturaldelta rounds months to the nearest, not down"
BRANCH = "nightmill/0291-rounds-months"
SAID = "Months are rounded to the nearest. Edges of 30, 31, 45 and 46 days are pinned by tests."
EDGES = """@pytest.mark.parametrize(
    ("days", "expected"),
    [(30, "30 days"), (31, "a month"), (45, "a month"), (46, "2 months")],
)
def test_naturaldelta_rounds_months(days: int, expected: str) -> None:
    assert humanize.naturaldelta(dt.timedelta(days=days)) == expected"""
YEAR = """def test_naturaldelta_never_reaches_twelve_months() -> None:
    assert humanize.naturaldelta(dt.timedelta(days=364)) == "a year"


def test_naturaldelta_rounds_months"""
REPRODUCE = """python - <<'EOF'
import datetime as dt, humanize
for days in (30, 31, 45, 46, 60, 76, 364):
    print(days, humanize.naturaldelta(dt.timedelta(days=days)))
EOF"""
OLD_FAILURE = Failure(
    id="tests/test_i18n.py::test_default_locale_path_null__file__",
    message="AttributeError: 'NoneType' object has no attribute 'parent'",
    kind="old",
)
NEW_FAILURE = Failure(
    id=f"{TESTS}::test_naturaldelta_never_reaches_twelve_months",
    message="AssertionError: assert '12 months' == 'a year'",
    failed=3,
    runs=3,
)
COUNTS = {"passed": 696, "failed": 1, "error": 0, "skipped": 1}


def command(text: str, result: str, *, seconds: float, status: int = 0) -> Call:
    return Call("run_command", {"command": text}, text.splitlines()[0], f"{result}\n(exit status {status})", seconds)


def read(path: str, text: str, *, offset: int = 1) -> Call:
    numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(text.splitlines(), offset))
    return Call("read_file", {"path": path, "offset": offset, "limit": 60}, f"{path}:{offset}", numbered, 0.004)


def edit(path: str, *pairs: tuple[str, str], result: str = "") -> Call:
    edits = [{"old": old, "new": new} for old, new in pairs]
    return Call(
        "edit_file",
        {"path": path, "edits": edits},
        path,
        result or f"edited {path}\n150\t    years = days // 365",
        0.006,
    )


def todo(doing: str, *pending: str) -> Call:
    items = [{"text": doing, "state": "doing"}, *({"text": text, "state": "pending"} for text in pending)]
    return Call("update_todo", {"items": items}, f"0 of {len(items)} done", "noted", 0.001)


def finish(summary: str) -> Call:
    given = {"summary": summary, "evidence": [{"criterion": "AC1", "by": f"{TESTS}::test_naturaldelta_rounds_months"}]}
    return Call("finish", given, summary, "noted; the checks run now", 0.001)


def write(path: str, content: str) -> Call:
    return Call("write_file", {"path": path, "content": content}, path, f"wrote {len(content)} bytes", 0.002)


def fixed() -> Telling:
    """Fourteen turns: a provider's failure, a parked gap, a worker's death, work sent back once, a pull request."""
    t = Telling(run="7f3a-time-0291")
    t.tell(
        e.RunQueued,
        kind="task",
        title=TITLE,
        project="humanize-3f2a91c0",
        spec=sha("spec", 64),
        model="anthropic:claude-sonnet-5",
        base_branch="main",
        base_commit=sha("commit"),
    )
    t.wait(0.4)
    t.tell(e.RunStarted, worker="mill-1")
    t.tell(e.PhaseStarted, phase="prepare")
    t.wait(1.9)
    t.tell(
        e.WorkspacePrepared,
        environment=sha("env", 64),
        commit=sha("commit"),
        snapshot=sha("snapshot 0", 24),
        seconds=1.9,
    )
    t.tell(e.PhaseStarted, phase="work")
    _look(t)
    _change(t)
    _park(t)
    _die(t)
    _prove(t)
    _land(t)
    return t


def _look(t: Telling) -> None:
    t.take(
        Call(
            "list_files",
            {"path": ".", "depth": 2},
            ".",
            "src/\nsrc/humanize/\ntests/\npyproject.toml\nREADME.md",
            0.003,
        ),
        Call(
            "search",
            {"pattern": "def naturaldelta", "path": "src"},
            "'def naturaldelta' in src",
            f"{SOURCE}:86:",
            0.021,
        ),
        thinking="The report says that 60 days are shown as “a month”. That smells of integer division: 60 // 30.5 is 1. "
        "I should look at naturaldelta before believing that, and at how the tests pin the edges.",
        text="I will look at how months are counted first.",
        first=1.4,
        seconds=4.2,
        output=310,
        fresh=0,
    )
    body = 'def naturaldelta(\n    value: dt.timedelta | float,\n    months: bool = True,\n    minimum_unit: str = "seconds",\n) -> str:'
    t.take(
        read(SOURCE, body + "\n" + OLD, offset=86),
        read(TESTS, '@pytest.mark.parametrize(\n    "test_input, expected",', offset=88),
        seconds=2.1,
        output=140,
        fresh=2600,
    )
    t.take(
        command("python -m pytest -q tests/test_time.py", "421 passed in 2.91s", seconds=3.6),
        seconds=2.0,
        output=110,
        fresh=3400,
    )
    t.take(
        todo(
            "Reproduce: 60 days are “a month”",
            "Round to the nearest month",
            "Tests for the edges",
            "Changelog fragment",
        ),
        command(
            REPRODUCE,
            "30 30 days\n31 a month\n45 a month\n46 a month\n60 a month\n76 2 months\n364 11 months",
            seconds=0.4,
        ),
        text="Reproduced: 60 days give “a month”.\n\nThe edges to keep are 30 days (still days) and 31 days (a month).",
        seconds=5.1,
        output=420,
        fresh=300,
    )


def _change(t: Telling) -> None:
    pair = ("    num_months = int(days // 30.5)", "    num_months = round(days / DAYS_IN_MONTH)")
    t.take(
        edit(SOURCE, pair, (OLD, NEW), ("class Unit(Enum):", "DAYS_IN_MONTH = 30.5\n\n\nclass Unit(Enum):")),
        thinking="round() rounds halves to even, which only matters at exact halves; whole days never reach one.",
        seconds=7.8,
        first=1.1,
        output=690,
        edited=(SOURCE,),
        fresh=220,
    )
    t.begin()
    t.wait(9.2)
    t.tell(e.ModelRetried, turn=t.turn, reason="529 overloaded_error: Overloaded", wait=4.0, attempt=1)
    t.wait(4.0)
    t.reply(first=1.0, seconds=2.6, output=120)
    calls = [
        command(
            "python -m pytest -q tests/test_time.py",
            "FAILED tests/test_time.py::test_naturaldelta[31 days]\n1 failed, 420 passed in 3.02s",
            seconds=3.7,
            status=1,
        )
    ]
    t.call(0, calls[0])
    t.finish(calls, first=1.0, seconds=2.6, output=120, fresh=180)
    t.take(read(SOURCE, NEW, offset=150), seconds=1.9, output=90, fresh=700)
    t.take(
        Call(
            "edit_file",
            {"path": TESTS, "edits": [{"old": "def test_naturaldelta_months(", "new": "x"}]},
            TESTS,
            f"old is not in the file. No line of it is there: read the file again. Nothing was changed in {TESTS!r}.",
            0.003,
            ok=False,
        ),
        seconds=2.7,
        output=160,
    )


def _park(t: Telling) -> None:
    t.begin()
    for attempt in range(1, 3):
        t.wait(1.2)
        t.tell(e.ModelRetried, turn=t.turn, reason="503 Service Unavailable", wait=2.0 * attempt, attempt=attempt)
        t.wait(2.0 * attempt)
    t.wait(1.1)
    t.tell(e.RunParked, reason="the provider is down: 503 Service Unavailable", needs="time", until=t.at + 1500)
    t.wait(1500)
    t.tell(e.RunResumed, by="clock")
    t.again()
    t.reply(first=0.9, seconds=6.4, output=520)
    calls = [edit(TESTS, ("@pytest.mark.parametrize(", f"{EDGES}\n\n\n@pytest.mark.parametrize("))]
    t.call(0, calls[0])
    t.finish(calls, first=0.9, seconds=6.4, output=520, edited=(TESTS,), reuse=False, fresh=400)


def _die(t: Telling) -> None:
    """The worker dies while a command runs; the turn is taken again."""
    calls = [command("python -m pytest -q", "1 failed, 696 passed, 1 xfailed in 6.40s", seconds=7.1, status=1)]
    t.begin()
    t.reply(first=0.7, seconds=1.8, output=95)
    t.call(0, calls[0], ends=False)
    t.wait(38)
    t.tell(e.RunRecovered, worker="mill-2")
    t.tell(e.PhaseStarted, phase="prepare")
    t.wait(0.3)
    t.tell(e.WorkspaceRestored, snapshot=sha("snapshot 9", 24), seconds=0.3)
    t.tell(e.PhaseStarted, phase="work")
    t.again()
    t.reply(first=0.7, seconds=1.9, output=95)
    t.call(0, calls[0])
    t.finish(
        calls, first=0.7, seconds=1.9, output=95, text="One failure, in test_i18n; it was there before.", fresh=300
    )


def _prove(t: Telling) -> None:
    """The agent says that it is done, the engine's checks say otherwise, and it is sent back."""
    t.take(
        edit(TESTS, ("def test_naturaldelta_rounds_months", YEAR)),
        write("docs/changes/291.fix.md", "`naturaldelta` rounds to the nearest month instead of always down."),
        seconds=4.4,
        output=350,
        edited=(TESTS, "docs/changes/291.fix.md"),
        fresh=200,
    )
    t.take(finish(SAID), seconds=3.0, output=210)
    t.tell(e.AgentFinished, turn=t.turn, summary=SAID)
    t.tell(e.PhaseStarted, phase="prove")
    counts = COUNTS | {"failed": 2}
    failures = (NEW_FAILURE, OLD_FAILURE)
    tests = CheckResult(check="tests", tree=FIRST, exit=1, passed=False, failures=failures, counts=counts, seconds=7.0)
    lint = CheckResult(check="lint", tree=FIRST, exit=0, passed=True, seconds=0.4)
    t.check(tests, FAILED_OUTPUT, proof=0)
    t.check(lint, "All checks passed!\n", proof=0)
    reason = f"tests: 1 new failure, {NEW_FAILURE.id}"
    t.judge(Verdict(tree=FIRST, base_tree=BASE, passed=False, results=(tests, lint), reasons=(reason,)), proof=0)
    t.tell(e.SentBack, count=1, limit=3, reason=reason)
    t.tell(e.PhaseStarted, phase="work", round=1)
    message = "You said that you were done, but a check fails. Fix the failure before you say so again."
    t.tell(e.AgentNudged, turn=t.turn + 1, guard="said-done", message=message)
    carry = "    if num_months == 12:\n        years, num_months = years + 1, 0\n\n    if years == 0:"
    t.take(
        edit(SOURCE, ("    if years == 0:", carry)),
        command("python -m pytest -q tests/test_time.py", "428 passed in 2.95s", seconds=3.4),
        text="364 days round to twelve months, which is a year: carry it over.",
        thinking="The failing test is my own, and it is right.",
        seconds=5.6,
        output=380,
        edited=(SOURCE,),
        fresh=1500,
    )
    t.take(finish(f"{SAID} Twelve months carry over to a year."), seconds=2.4, output=190)
    t.tell(e.AgentFinished, turn=t.turn, summary=SAID)


def _land(t: Telling) -> None:
    """The second proof holds, and becomes a pull request."""
    t.tell(e.PhaseStarted, phase="prove", round=1)
    tests = CheckResult(
        check="tests", tree=LAST, exit=1, passed=True, failures=(OLD_FAILURE,), counts=COUNTS, seconds=6.9
    )
    lint = CheckResult(check="lint", tree=LAST, exit=0, passed=True, seconds=0.4)
    t.check(tests, PASSED_OUTPUT, proof=1)
    t.check(lint, "All checks passed!\n", proof=1)
    months = f"{TESTS}::test_naturaldelta_rounds_months"
    shown = (
        (
            "AC1",
            "`naturaldelta(timedelta(days=60))` gives “2 months”.",
            (f"{months}[46-2 months]", f"{months}[75-2 months]"),
        ),
        ("AC2", "30 days stay “30 days”, 31 days are “a month”.", (f"{months}[30-30 days]",)),
        ("AC3", "No length below a year is called “12 months”.", (NEW_FAILURE.id,)),
    )
    evidence = tuple(Evidence(criterion=name, text=text, state="shown", by=by) for name, text, by in shown)
    results = (tests, lint)
    t.judge(Verdict(tree=LAST, base_tree=BASE, passed=True, results=results, reasons=(), evidence=evidence), proof=1)
    t.tell(e.PhaseStarted, phase="change", round=1)
    t.wait(0.2)
    t.tell(e.CommitMade, commit=sha("made"), tree=LAST, branch=BRANCH, author="developer")
    t.wait(0.3)
    t.tell(e.PullRequestOpened, number=12, branch=BRANCH, target="main", title=TITLE)
    t.tell(e.RunDone, change=12)
