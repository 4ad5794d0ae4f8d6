"""Ledgers that nobody should have to read: one that is hostile in every text, and one that is huge."""

from __future__ import annotations

from nightmill import event as e
from nightmill.review import CheckResult, Evidence, Failure, Verdict
from tests.report.sample import command
from tests.report.telling import Call, Telling

EVIL = (
    "\u202e\x1b]0;owned\x07\x00\ud800<script>alert(1)</script>\"'><img src=x onerror=alert(1)> javascript:alert(1) "
    "</style></title></svg>&#x3c; {{ 7*7 }} {% raw %}\r\u200b\U000e0041"
)

WRITTEN = EVIL.replace("\ud800", "")
"""What can be in a record: JSON in UTF-8 cannot hold half a surrogate pair, except escaped in arguments."""


def hostile() -> Telling:
    """Every text that a stranger could have written holds markup, scripts and unseen characters."""
    t = Telling(run=f"run{EVIL}", role=f"dev{EVIL}", model=f"m{WRITTEN}")
    t.tell(
        e.RunQueued,
        kind=f"task{EVIL}",
        title=f"title{EVIL}",
        project=f"p{EVIL}",
        spec=EVIL,
        model=EVIL,
        base_branch=EVIL,
    )
    t.tell(e.RunStarted, worker=EVIL)
    t.tell(e.WorkspacePrepared, environment=EVIL, commit=EVIL, snapshot=EVIL, seconds=1.0, drift=[EVIL, EVIL])
    t.tell(e.PhaseStarted, phase=f"work{EVIL}")
    t.tell(e.TurnStarted, turn=1, role=t.role, model=EVIL)
    t.tell(e.ModelRetried, turn=1, reason=EVIL, wait=1.0, attempt=1)
    names = ("edit_file", "write_file", "run_command", "read_file", "search", "update_todo", "finish", f"x{WRITTEN}")
    given = {
        "path": EVIL,
        "edits": [{"old": EVIL, "new": f"{EVIL}2"}, 7],
        "content": EVIL,
        "command": EVIL,
        "pattern": EVIL,
        "glob": EVIL,
        "items": [{"text": EVIL, "state": EVIL}, 3],
        "summary": EVIL,
        "evidence": [{"criterion": EVIL, "by": EVIL}, None],
        "offset": 2,
    }
    calls = [Call(name, given, EVIL, f"{WRITTEN}\n(exit status 1)", ok=name != "search") for name in names]
    calls.append(Call("edit_file", f"not json {WRITTEN}", EVIL, WRITTEN))
    calls.append(Call("run_command", "[" * 100_000, EVIL, WRITTEN))
    t.take(*calls, text=WRITTEN, thinking=WRITTEN, edited=(WRITTEN,))
    t.tell(e.AgentNudged, turn=1, guard=EVIL, message=EVIL)
    t.tell(e.TodoChanged, turn=1, items=[{"text": EVIL, "state": EVIL}])
    result = CheckResult(
        check=f"c{EVIL}",
        tree=EVIL,
        exit=1,
        passed=False,
        failures=(Failure(id=EVIL, message=EVIL),),
        counts={EVIL: 3},
        missing=(EVIL,),
        stopped=EVIL,
    )
    t.check(result, EVIL, proof=0)
    evidence = (Evidence(criterion=EVIL, text=EVIL, state="claimed", by=(EVIL,), note=EVIL),)
    t.judge(
        Verdict(tree=EVIL, base_tree=EVIL, passed=False, results=(result,), reasons=(EVIL,), evidence=evidence), proof=0
    )
    t.tell(e.SentBack, count=1, limit=3, reason=EVIL)
    t.tell(e.CommitMade, commit=EVIL, tree=EVIL, branch=EVIL, author=EVIL)
    t.tell(e.PullRequestOpened, number=1, branch=EVIL, target=EVIL, title=EVIL)
    t.tell(e.RunParked, reason=EVIL, needs="person")
    return t


HOSTILE_DIFF = f"diff --git a/{EVIL} b/{EVIL}\n--- a/x{EVIL}\n+++ b/x{EVIL}\n@@ -1,2 +1,2 @@ {EVIL}\n-{EVIL}\n+{EVIL}3\n {EVIL}\n{EVIL}\n"


def huge(*, turns: int = 200, size: int = 25_000) -> Telling:
    """Two hundred turns with outputs of 25,000 characters each, many of which need escaping."""
    t = Telling(run="d00d-huge")
    t.tell(e.RunQueued, kind="task", title="A long run", project="large-1234", spec="", model="openai:gpt-6-mini")
    t.tell(e.RunStarted, worker="mill-1")
    t.tell(e.PhaseStarted, phase="work")
    line = '<b>&amp; \x1b[31m"it\'s" \u202e </b>\n'
    for number in range(turns):
        t.take(command(f"cat part-{number}", line * (size // len(line)), seconds=0.5 + number % 7), text="On it. " * 40)
    return t
