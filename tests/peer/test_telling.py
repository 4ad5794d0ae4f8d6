"""What an editor shows of what is being written and of what became of it: each word once, each call as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from acp import schema

from nightmill import event as e
from nightmill.desk.turn import Words
from nightmill.kept import Draft, Piece
from nightmill.peer.telling import AGAIN, SETTLES, Telling

RUN, ROLE = "rabcdefg", "developer"
THROWN = AGAIN.strip()


class Shown:
    """An editor that shows all it is told, at the times that the test says."""

    def __init__(self) -> None:
        self.whole = Words("", "")
        self.telling = Telling(say=lambda told: "", whole=lambda told: self.whole)
        self.now = 100.0
        self.texts = {"thinking": "", "text": ""}
        self.order: list[str] = []
        self.calls: dict[str, dict[str, Any]] = {}

    def take(self, *what: e.Event | Draft, after: float = 0.0) -> None:
        """Show what is told and written, *after* some seconds."""
        self.now += after
        told = [each for each in what if isinstance(each, e.Event)]
        drafts = [each for each in what if isinstance(each, Draft)]
        for update in self.telling.fresh(told, drafts, now=self.now):
            self._show(update)

    def _show(self, update: Any) -> None:
        match update:
            case schema.AgentMessageChunk():
                self.texts["text"] += update.content.text
                self.order.append("text")
            case schema.AgentThoughtChunk():
                self.texts["thinking"] += update.content.text
            case schema.ToolCallStart():
                assert update.tool_call_id not in self.calls, "a call begins once"
                self.order.append(f"call {update.title}")
                self.calls[update.tool_call_id] = _fields(update)
            case schema.ToolCallProgress():
                assert update.tool_call_id in self.calls, "nobody has heard of this call"
                self.calls[update.tool_call_id] |= _fields(update)

    @property
    def said(self) -> str:
        return self.texts["text"]

    @property
    def tools(self) -> list[tuple[str, str, str]]:
        """Of each call its title, its state and what is shown of it."""
        return [(each["title"], each["status"], each.get("content", "")) for each in self.calls.values()]


def _fields(update: Any) -> dict[str, Any]:
    found = {name: value for name in ("title", "status") if (value := getattr(update, name)) is not None}
    return found if update.content is None else {**found, "content": "".join(c.content.text for c in update.content)}


@pytest.fixture
def shown() -> Shown:
    return Shown()


def draft(*pieces: tuple[str, str, str], turn: int = 1, attempt: str = "a", cut: int = 0) -> Draft:
    found = tuple(Piece(kind=kind, name=name, text=text, cut=cut) for kind, name, text in pieces)
    return Draft(run=RUN, role=ROLE, turn=turn, attempt=attempt, pieces=found)


def text(words: str, **named: Any) -> Draft:
    return draft(("text", "", words), **named)


def begun(turn: int = 1) -> e.Event:
    return e.TurnStarted(run=RUN, turn=turn, role=ROLE, model="m")


def replied(turn: int = 1) -> e.Event:
    return e.ReplyReceived(run=RUN, turn=turn, first_seconds=0.1, seconds=1.0, output_tokens=10)


def started(call: str, tool: str, label: str = "", turn: int = 1) -> e.Event:
    return e.ToolStarted(run=RUN, turn=turn, call=call, tool=tool, label=label)


def finished(call: str, tool: str, label: str = "", turn: int = 1) -> e.Event:
    return e.ToolFinished(run=RUN, turn=turn, call=call, tool=tool, label=label, ok=True, seconds=0.1)


def ended(turn: int = 1, said: str = "") -> e.Event:
    return e.TurnFinished(
        run=RUN, turn=turn, role=ROLE, model="m", record="", snapshot="", usage={}, cost=0.0, calls=0, seconds=1.0, said=said
    )  # fmt: skip


def test_words_come_as_they_are_written_and_the_end_of_their_turn_brings_only_what_is_missing(shown: Shown) -> None:
    shown.take(begun(), text("The sign "))
    assert shown.said == "The sign "
    shown.take(text("The sign is"))
    shown.take(text("The sign is"))
    assert shown.said == "The sign is"
    shown.whole = Words("", "The sign is wrong.\nI mend it.")
    shown.take(ended(said="The sign is wrong. I mend it."))
    assert shown.said == "The sign is wrong.\nI mend it.\n\n"
    shown.take(text("The sign is wrong."))  # a look that came late
    assert shown.said == "The sign is wrong.\nI mend it.\n\n"


def test_what_was_never_seen_written_is_shown_whole_when_its_turn_has_ended(shown: Shown) -> None:
    shown.whole = Words("I thought of it.", "All at once.")
    shown.take(begun(), replied(), ended())
    assert (shown.said, shown.texts["thinking"]) == ("All at once.\n\n", "")


def test_thoughts_go_beside_words_and_both_become_whole(shown: Shown) -> None:
    shown.take(begun(), draft(("thinking", "", "Hm. The"), ("text", "", "I look")))
    shown.whole = Words("Hm. The cart.", "I look at it.")
    shown.take(ended())
    assert (shown.texts["thinking"], shown.said) == ("Hm. The cart.", "I look at it.\n\n")


def test_what_explorers_write_is_not_said_as_the_turns_own(shown: Shown) -> None:
    beside = Piece(kind="text", name="", text="It stands there.", cut=0, by="explorer 1.1")
    own = text("I send one.")
    shown.take(begun(), replace(own, pieces=(*own.pieces, beside)))
    assert shown.said == "I send one."


def test_a_reply_that_is_thrown_away_and_comes_again_is_shown_once(shown: Shown) -> None:
    shown.take(begun(), text("The sign is"))
    shown.take(begun(), text("The", attempt="b"))
    shown.take(text("The sign is wrong", attempt="b"))
    shown.whole = Words("", "The sign is wrong.")
    shown.take(ended())
    assert shown.said == "The sign is wrong.\n\n"


def test_other_words_in_place_of_a_reply_are_told_to_be_in_its_place(shown: Shown) -> None:
    shown.take(begun(), text("The sign is"))
    shown.take(begun(), text("The t", attempt="b"))
    assert shown.said == f"The sign is\n\n{THROWN}\n\nThe t"
    shown.whole = Words("", "The till is wrong.")
    shown.take(ended())
    assert shown.said == f"The sign is\n\n{THROWN}\n\nThe till is wrong.\n\n"


def test_words_that_are_hidden_after_all_are_no_other_reply(shown: Shown) -> None:
    shown.take(begun(), text("The key is abc"))
    shown.take(text("The key is [secret]."))
    assert shown.said == "The key is abc"


@pytest.mark.parametrize("whole", ["The till.", ""])
def test_a_turn_that_ends_with_other_words_says_so(shown: Shown, whole: str) -> None:
    shown.take(begun(), text("The sign"))
    shown.whole = Words("", whole)
    shown.take(ended())
    assert shown.said == f"The sign\n\n{THROWN}\n\n{whole}\n\n"


def test_a_turn_that_never_ends_takes_its_words_back(shown: Shown) -> None:
    shown.take(begun(), draft(("text", "", "The sign"), ("call", "edit_file", "{")))
    shown.take(e.RunStopped(run=RUN, why="cancelled", reason="Ada"))
    assert shown.said == f"The sign\n\n{THROWN}\n\n"
    assert shown.tools == [("edit_file", "failed", "")]


def test_what_was_written_faster_than_it_was_looked_at_is_no_gap_in_the_end(shown: Shown) -> None:
    long = "".join(f"line {number}\n" for number in range(2000))
    shown.take(begun(), text(long[:40]))
    shown.take(text(long[30:80], cut=30))
    assert shown.said == long[:80]
    shown.take(text(long[9000:9500], cut=9000))
    assert shown.said == long[:80]
    shown.whole = Words("", long)
    shown.take(ended())
    assert shown.said == f"{long}\n\n"


def test_a_call_stands_there_from_its_first_letter_and_is_the_same_when_it_begins(shown: Shown) -> None:
    shown.take(begun(), draft(("call", "edit_file", '{"path": ')))
    shown.take(draft(("call", "edit_file", '{"path": "calc.py"}'), ("call", "run_command", '{"command"')))
    assert shown.tools == [("edit_file", "pending", '{"path": '), ("run_command", "pending", '{"command"')]
    shown.take(draft(("call", "edit_file", '{"path": "calc.py"}'), ("call", "run_command", '{"command": "make"}')))
    shown.take(replied(), started("1", "edit_file", "calc.py"), finished("1", "edit_file", "calc.py"))
    shown.take(started("2", "run_command", "make"))
    shown.take(after=SETTLES)
    assert shown.tools == [("edit_file calc.py", "completed", ""), ("run_command make", "in_progress", "")]
    shown.take(draft(("output", "make", "it builds\n")))
    assert shown.tools[1] == ("run_command make", "in_progress", "it builds\n")
    shown.take(finished("2", "run_command", "make"), ended())
    assert shown.tools[1] == ("run_command make", "completed", "it builds\n")
    assert len(shown.calls) == 2


def test_calls_of_a_reply_that_is_thrown_away_have_failed(shown: Shown) -> None:
    shown.take(begun(), draft(("call", "write_file", '{"path": "a.py"')))
    shown.take(draft(("call", "write_file", '{"path": "b.py"'), attempt="b"))
    shown.take(replied(), started("1", "write_file", "b.py"), ended())
    assert shown.tools == [("write_file", "failed", ""), ("write_file b.py", "in_progress", "")]


def test_a_call_that_never_began_has_failed_when_its_turn_ends(shown: Shown) -> None:
    shown.take(begun(), draft(("call", "write_file", '{"path": "a.py"')))
    shown.take(replied(), ended())
    assert shown.tools == [("write_file", "failed", "")]


def test_a_call_does_not_stand_in_the_middle_of_the_words_before_it(shown: Shown) -> None:
    shown.take(begun(), text("I run "))
    shown.take(replied(), started("1", "run_command", "make"))
    shown.take(text("I run it."), after=SETTLES / 2)
    shown.take(after=SETTLES)
    assert shown.order == ["text", "text", "call run_command make"]
    assert shown.said == "I run it."


def test_a_turn_that_is_over_at_once_says_its_words_before_its_calls(shown: Shown) -> None:
    shown.whole = Words("", "I read it.")
    shown.take(begun(), replied(), started("1", "read_file", "a"), finished("1", "read_file", "a"), ended(), begun(2))
    assert shown.order == ["text", "call read_file a"]
    assert shown.tools == [("read_file a", "completed", "")]


def test_a_call_that_nobody_saw_begin_is_shown_ended(shown: Shown) -> None:
    shown.take(finished("9", "run_command", "make"))
    assert shown.tools == [("run_command make", "completed", "")]


def test_who_comes_in_the_middle_of_a_turn_sees_each_call_of_it_once(shown: Shown) -> None:
    for update in shown.telling.past([begun(), replied(), started("1", "run_command", "make")]):
        shown._show(update)
    shown.take(draft(("text", "", "I run it."), ("call", "run_command", '{"command": "make"}')))
    assert shown.tools == [("run_command make", "in_progress", "")]
    assert shown.said == "I run it."


def test_the_next_turn_waits_for_the_end_of_the_one_before(shown: Shown) -> None:
    shown.take(begun(), text("One"))
    shown.take(text("Two", turn=2, attempt="b"))
    assert shown.said == "One"
    shown.whole = Words("", "One.")
    shown.take(ended(), begun(2))
    assert shown.said == "One.\n\nTwo"


def test_the_next_turn_may_begin_before_the_one_before_has_ended(shown: Shown) -> None:
    shown.take(begun(), text("On"))
    shown.take(replied(), started("1", "run_command", "make"), begun(2))
    shown.take(text("Tw", turn=2, attempt="b"))
    shown.whole = Words("", "One.")
    shown.take(finished("1", "run_command", "make"), ended())
    assert shown.said == "One.\n\nTw"
    assert shown.order == ["text", "text", "call run_command make", "text"]


def test_nothing_that_is_written_acts_in_an_editor(shown: Shown) -> None:
    shown.take(begun(), draft(("text", "", "\x1b[2J\u202egnp"), ("call", "run\x07", "\x1b]0;x")))
    everything = shown.said + str(shown.tools)
    assert not {"\x1b", "\u202e", "\x07"} & set(everything)
