"""Each hunk of a diff says which turns wrote it, what they answered and which criterion it serves; nothing is made up."""

from __future__ import annotations

import pytest

from nightmill import event as e
from nightmill.report.diff import parse
from nightmill.report.reasons import Why, reasons, told_once
from nightmill.review import Evidence
from nightmill.review.nouns import Quote
from tests.report.sample import DIFF, SOURCE, TESTS, edit, fixed, write
from tests.report.telling import Call, Telling

LANES = ("engine", "developer")


def why(told: Telling, diff: str, *evidence: Evidence, lanes: tuple[str, ...] = LANES) -> list[tuple[Why, ...]]:
    return reasons([each.event for each in told.entries], parse(diff), blob=told.blob, evidence=evidence, lanes=lanes)


def patch(path: str, *lines: str, at: int = 1) -> str:
    old, new = (sum(line[:1] in {sign, " "} for line in lines) for sign in "-+")
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{at},{old} +{at},{new} @@\n"
    return head + "\n".join(lines) + "\n"


def test_a_hunk_names_the_turns_that_wrote_its_lines_and_where_they_are() -> None:
    month, tests = "naturaldelta rounds", f"{TESTS}::test_naturaldelta_never_reaches_twelve_months"
    shown = Evidence(criterion="AC3", text=f"{month} up to a year", state="shown", by=(tests,))
    source, pinned, notes = why(fixed(), DIFF, shown)

    assert len(source) == 2
    assert [writer.role for hunk in source for writer in hunk.writers] == ["developer"] * sum(
        len(hunk.writers) for hunk in source
    )
    assert all(writer.id == f"t1-{writer.number}" for hunk in source for writer in hunk.writers)
    assert [each.criterion for each in pinned[0].serves] == ["AC3"]
    assert pinned[0].serves[0].how == "test_naturaldelta_never_reaches_twelve_months shows it"
    assert notes[0].writers or notes[0].untraced


def test_the_latest_turn_that_wrote_a_line_is_the_one_that_is_named() -> None:
    told = Telling(run="r1")
    told.take(edit("a.py", ("x = 1", "x = 2222")), text="First.")
    told.take(edit("a.py", ("x = 2222", "x = 3333")), text="Then three.")
    told.take(edit("b.py", ("x = 1", "x = 3333")), text="Another file.")

    (hunk,) = why(told, patch("a.py", "-x = 1", "+x = 3333"))[0]
    assert [(each.number, each.intent) for each in hunk.writers if each.intent == "Then three."] == [(2, "Then three.")]
    assert all(each.intent != "Another file." for each in hunk.writers)


def test_an_edit_within_a_line_is_known_by_its_part() -> None:
    told = Telling(run="r1")
    told.take(edit("calc.py", ("a - b", "a + b")), text="The sign is wrong.")

    (hunk,) = why(told, patch("calc.py", " def add(a, b):", "-    return a - b", "+    return a + b"))[0]
    assert [(each.number, each.lines, each.intent) for each in hunk.writers] == [(1, 2, "The sign is wrong.")]
    assert hunk.untraced == 0


def test_what_no_edit_holds_is_said_to_be_untraced() -> None:
    told = Telling(run="r1")
    told.take(Call("run_command", {"command": "sed -i s/one/two/ a.py"}, "sed"), text="With sed.", edited=("a.py",))
    told.take(edit("a.py", ("nowhere", "two")), text="It failed.")
    failed = Call("edit_file", {"path": "a.py", "edits": [{"old": "one", "new": "twofold"}]}, "a.py", ok=False)
    told.take(failed, text="It failed, too.")

    (hunk,) = why(told, patch("a.py", "-number = one", "+number = twofold"))[0]
    assert (hunk.writers, hunk.untraced) == ((), 2)


def test_files_that_are_written_whole_and_patches_are_traced_too() -> None:
    told = Telling(run="r1")
    told.take(write("/work/repo/new.py", "first = 1\nsecond = 2\n"), text="A new file.")
    text = "*** Begin Patch\n*** Update File: old.py\n@@\n-third = 1\n+third = 3\n*** End Patch"
    told.take(Call("apply_patch", {"patch": text}, "old.py"), text="A patch.")

    new, old = why(told, patch("new.py", "+first = 1", "+second = 2") + patch("old.py", "-third = 1", "+third = 3"))
    assert [(each.number, each.lines) for each in new[0].writers] == [(1, 2)]
    assert [(each.number, each.lines) for each in old[0].writers] == [(2, 2)]


def test_what_was_objected_before_stands_with_what_answers_it() -> None:
    told = Telling(run="r1")
    told.take(edit("a.py", ("begin", "early = 1")), text="First.")
    finding = {"severity": "major", "title": "It forgets zero", "detail": "x", "path": "a.py", "line": 2}
    other = {**finding, "title": "Far away", "line": 400}
    elsewhere = {**finding, "title": "Elsewhere", "path": "b.py"}
    told.tell(
        e.ReviewGiven, step="look", role="reviewer", tree="t", approved=False, findings=[finding, other, elsewhere]
    )
    told.take(edit("a.py", ("end", "later = 2")), text="Zero is handled.")
    told.tell(e.SentBack, count=1, limit=3, reason="a check failed")
    told.take(edit("a.py", ("last", "final = 3")), text="Mended.")

    early, later, final = (
        why(told, patch("a.py", f"+{line}"))[0][0] for line in ("early = 1", "later = 2", "final = 3")
    )
    assert early.answers == ()
    assert later.answers == ("reviewer: It forgets zero",)
    assert final.answers == ("sent back: a check failed",)


def test_what_many_hunks_have_in_common_is_told_once() -> None:
    told: set[str] = set()
    first, second = (told_once(each, told) for each in why(fixed(), DIFF)[0])

    assert all(writer.intent for writer in first.writers)
    again = [writer for writer in second.writers if writer.id in {each.id for each in first.writers}]
    assert again
    assert not [writer for writer in again if writer.intent]
    assert not set(second.answers) & set(first.answers)


def test_findings_are_named_by_their_titles() -> None:
    told = Telling(run="r1")
    told.take(write("a.py", "one = 0"), text="First.")
    findings = "QA tried. - id: Q1 severity: major title: An empty list fails test: t - id: Q2 title: So does one"
    told.tell(e.SentBack, count=1, limit=3, reason=findings)
    told.take(write("a.py", "one = 1"), text="Mended.")
    ((hunk,),) = why(told, patch("a.py", "+one = 1"))

    assert hunk.answers == ("sent back: An empty list fails; So does one",)


@pytest.mark.parametrize("at", [1, 40])
def test_a_quoted_place_serves_its_criterion_only_where_it_stands(at: int) -> None:
    quoted = Evidence(
        criterion="AC-2",
        text="it says so",
        state="inspected",
        quotes=(Quote(path=SOURCE, first=1, last=3, text="x"),),
    )
    (hunk,) = why(Telling(run="r1"), patch(SOURCE, "+words = 1", at=at), quoted)[0]
    assert [each.how for each in hunk.serves] == (["quoted for it"] if at == 1 else [])


def test_records_that_are_gone_or_hostile_explain_nothing_and_break_nothing() -> None:
    told = Telling(run="r1")
    told.take(Call("edit_file", "not json", "a.py"), text="x")
    told.take(Call("edit_file", {"path": ["a"], "edits": [{"old": 1}, "x", {"new": None}]}, "a.py"), text="y")
    told.take(Call("apply_patch", {"patch": "nonsense"}, "a.py"), text="z")
    told.take(edit("a.py", ("one", "fine = 1")), text="lost")
    last = [each.event for each in told.entries if isinstance(each.event, e.TurnFinished)][-1]
    del told.blobs[last.record]
    told.tell(e.ReviewGiven, step="s", role="qa", tree="t", approved=False, findings=[{"path": 3, "line": "x"}])

    (hunk,) = why(told, patch("a.py", "+fine = 1"))[0]
    assert hunk.untraced == 1
