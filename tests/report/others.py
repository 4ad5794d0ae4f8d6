"""Ledgers of runs that did not simply end well: stopped by a limit, still under way, and a spec's over its tasks."""

from __future__ import annotations

from nightmill import event as e
from nightmill.review import CheckResult, Failure, Verdict
from tests.report.sample import BASE, FIRST, command, read
from tests.report.telling import START, Telling, sha


def refused() -> Telling:
    """Stopped by a limit after three proofs failed; the work is on a branch."""
    t = Telling(run="c41d-refused")
    t.tell(
        e.RunQueued,
        kind="task",
        title="Read dates of the year 0",
        project="calendar-1b22c3d4",
        spec=sha("s", 64),
        model="openai:gpt-6-mini",
    )
    t.tell(e.RunStarted, worker="mill-1")
    t.tell(e.PhaseStarted, phase="work")
    t.take(command("make test", "1 failed", seconds=2.0, status=2), output=90)
    t.tell(e.PhaseStarted, phase="prove")
    result = CheckResult(
        check="tests",
        tree=FIRST,
        exit=2,
        passed=False,
        failures=(Failure(id="", message="make: *** [test] Error 2"),),
        seconds=2.0,
    )
    t.check(result, "make: *** [test] Error 2\n", proof=0)
    t.judge(
        Verdict(
            tree=FIRST, base_tree=BASE, passed=False, results=(result,), reasons=("tests ended with exit status 2",)
        ),
        proof=0,
    )
    t.tell(e.WorkPreserved, branch="nightmill/kept/c41d", commit=sha("kept"))
    t.tell(
        e.RunStopped,
        why="limit",
        reason="the work was sent back 3 times and still does not pass",
        hint="look at the branch",
        branch="nightmill/kept/c41d",
    )
    return t


def under_way() -> Telling:
    """Turn 2 runs a command; nothing has been proven."""
    t = Telling(run="b0b0-under-way")
    t.tell(
        e.RunQueued,
        kind="task",
        title="Sort names as people do",
        project="names-77aa88bb",
        spec=sha("s", 64),
        model="openai:gpt-6-mini",
    )
    t.tell(e.RunStarted, worker="mill-1")
    t.tell(e.PhaseStarted, phase="work")
    t.take(read("names.py", "def sort(names):\n    return sorted(names)"))
    t.begin()
    t.reply(first=0.5, seconds=1.5, output=60)
    t.tell(e.ToolStarted, turn=2, call="call_2_0", tool="run_command", label="make test")
    t.wait(30)
    return t


def spec(*children: Telling) -> Telling:
    """A spec's run whose plan has a task for each of *children*, and one that has not begun."""
    t = Telling(run="5bec-months", role="architect", first_seq=4_000)
    t.tell(
        e.RunQueued,
        kind="spec",
        title="Months and years read as people say them",
        project="humanize-3f2a91c0",
        spec=sha("spec", 64),
        model="anthropic:claude-sonnet-5",
    )
    t.tell(e.RunStarted, worker="mill-1")
    t.tell(e.PhaseStarted, phase="plan")
    plain = {
        "footprint": {"paths": ["src/humanize/time.py", "tests/test_time.py"], "symbols": []},
        "instruction": "Do it.",
    }
    tasks = [
        {"id": f"T{number}", "title": each.entries[0].event.title, "criteria": [f"AC{number}"], "depends": [], **plain}
        for number, each in enumerate(children, 1)
    ]
    tasks.append({"id": "T9", "title": "Say “a year and a half”", "criteria": ["AC4"], "depends": ["T1"], **plain})
    t.take(text="Two tasks: the rounding first, then the wording that builds on it.", seconds=8.0, output=600)
    t.tell(e.PlanMade, tasks=tasks, source="architect")
    t.tell(e.PhaseStarted, phase="work")
    for number, each in enumerate(children, 1):
        t.tell(e.TaskQueued, task=f"T{number}", child=each.run)
    t.wait(max(each.at for each in children) - START)
    return t
