"""What is shown of a reply while it comes in: its newest part, one attempt alone, and never a secret or a half of one."""

from __future__ import annotations

import json

import pytest

from nightmill.kept import Draft
from nightmill.line.writing import MARGIN, ROOM, Beside, Writing, shown
from nightmill.store.redaction import Redaction

KNOWN = "correct horse battery staple"
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"
RANDOM = "q7XmP2vR9tKc4WbZ1nLd8sYf5hJg3"
HIDE = Redaction(lambda: [KNOWN])


def look(writing: Writing) -> Draft:
    header = Draft(run="r1", role=writing.role, turn=writing.turn, attempt=writing.attempt, pieces=())
    return shown(header, writing.texts, HIDE)


def texts(writing: Writing) -> list[str]:
    return [each.text for each in look(writing).pieces]


def parts(secret: str, text: str) -> list[str]:
    """What of *secret* is in *text*, four signs at a time."""
    return [secret[at : at + 4] for at in range(len(secret) - 3) if secret[at : at + 4] in text]


@pytest.fixture
def writing() -> Writing:
    made = Writing()
    made.begin(role="developer", turn=1)
    return made


@pytest.mark.parametrize("secret", [KNOWN, json.dumps(KNOWN)[1:-1], KNOWN.encode().hex(), TOKEN, RANDOM])
@pytest.mark.parametrize("kind", ["text", "thinking", "tool_call", "output"])
def test_no_part_of_a_secret_is_ever_seen_wherever_it_is_cut(writing: Writing, secret: str, kind: str) -> None:
    said = f'It says password = "{secret}", and so on. '
    for cut in range(1, len(said), 3):
        writing.begin(role="developer", turn=1)
        take = writing.output("cat")
        for part in (said[:cut], said[cut : cut + 5], said[cut + 5 :]):
            take(part.encode()) if kind == "output" else writing.hear(kind, part)
            for each in texts(writing):
                assert not parts(secret, each), (cut, each)
        assert "and so on" in texts(writing)[-1]


def test_what_may_become_a_secret_is_seen_once_it_has_not(writing: Writing) -> None:
    writing.hear("text", "It is correct ho")
    assert texts(writing) == ["It is "]
    writing.hear("text", "ney. An")
    assert texts(writing) == ["It is correct honey. "]
    writing.whole()
    assert texts(writing) == ["It is correct honey. An"]


def test_a_piece_says_at_which_sign_of_the_whole_it_begins(writing: Writing) -> None:
    said = "".join(f"word {number} " for number in range(6_000))
    for at in range(0, len(said), 997):
        writing.hear("text", said[at : at + 997])
        for piece in look(writing).pieces:
            assert piece.text
            assert said[piece.cut : piece.cut + len(piece.text)] == piece.text


def test_words_without_spaces_are_seen_as_they_come(writing: Writing) -> None:
    writing.hear("text", "符号が間違っています")
    assert texts(writing) == ["符号が間違っています"]


def test_of_much_the_newest_is_seen_and_how_much_is_not_and_no_rest_of_a_secret(writing: Writing) -> None:
    writing.hear("text", "word " * 20_000)
    seen = look(writing).pieces[0]
    assert len(seen.text) <= ROOM
    assert len(seen.text) + seen.cut == pytest.approx(100_000, abs=20)
    assert sum(map(len, writing.texts[0].parts)) < 4 * (ROOM + 2 * MARGIN)

    for begun in range(0, 60, 7):
        writing.begin(role="developer", turn=1)
        writing.hear("text", "x" * begun + f" {TOKEN} {RANDOM} {KNOWN} " * 2_000)
        assert "********" in texts(writing)[0]
        assert not [parts(each, texts(writing)[0]) for each in (TOKEN, RANDOM, KNOWN) if parts(each, texts(writing)[0])]


def test_a_call_reads_as_what_it_will_do(writing: Writing) -> None:
    writing.hear("text", "I write it.")
    writing.hear("tool", "write_file")
    given = json.dumps({"path": "a.py", "content": 'def f():\n    return "ü"\n# end'})
    for at in range(0, len(given), 3):
        writing.hear("tool_call", given[at : at + 3])
    said, call = look(writing).pieces
    assert said.text == "I write it."
    assert (call.kind, call.name) == ("call", "write_file")
    assert '"content": "def f():\n    return "ü"\n# ' in call.text
    writing.whole()
    assert texts(writing)[1].endswith('# end"}')


def test_parts_that_come_by_turns_show_no_half_of_a_secret(writing: Writing) -> None:
    for kind, part in (("text", TOKEN[:20]), ("tool", "f"), ("tool_call", "{}"), ("text", f"{TOKEN[20:]} it is. ")):
        writing.hear(kind, part)
        assert not any(parts(TOKEN, each) for each in texts(writing))
    assert texts(writing) == ["******** it is. ", ""]
    for kind, part in (("tool_call", TOKEN[:20]), ("tool", "g"), ("aside", TOKEN[20:]), ("tool_call", "{}")):
        writing.hear(kind, part)
    writing.whole()
    assert not any(parts(TOKEN, each) for each in texts(writing))


def test_a_turn_that_begins_again_shows_nothing_of_before(writing: Writing) -> None:
    writing.hear("text", "The first attempt is this. ")
    late = writing.output("make")
    first = look(writing)
    writing.begin(role="developer", turn=1)
    writing.hear("text", "Now another. ")
    late(b"of the first\n")
    second = look(writing)

    assert first.attempt != second.attempt
    assert [each.text for each in second.pieces] == ["Now another. "]


def test_explorers_write_beside_their_turn_each_for_itself_and_their_latest_reply_alone(writing: Writing) -> None:
    writing.hear("text", "I send two. ")
    one, other = Beside(writing, "explorer 1.1"), Beside(writing, "explorer 1.2")
    for each in (one, other):
        each.begin(role="explorer", turn=1)
    for at, part in enumerate(("It is ", TOKEN[:20], f"{TOKEN[20:]} there. ", "I read on. ")):
        one.hear("text", part)
        other.hear("thinking", f"Hm {at} ")
        assert not any(parts(TOKEN, each) for each in texts(writing))
    one.whole()
    first = look(writing)
    other.end()
    one.begin(role="explorer", turn=2)
    one.hear("tool", "read_file")
    second = look(writing)
    writing.begin(role="developer", turn=2)
    one.hear("text", "Too late. ")

    assert [(each.by, each.kind, each.text) for each in first.pieces] == [
        ("", "text", "I send two. "),
        ("explorer 1.1", "text", "It is ******** there. I read on. "),
        ("explorer 1.2", "thinking", "Hm 0 Hm 1 Hm 2 Hm 3 "),
    ]
    assert [(each.by, each.kind, each.name) for each in second.pieces] == [
        ("", "text", ""),
        ("explorer 1.1", "call", "read_file"),
    ]
    assert not look(writing).pieces


def test_output_stands_below_the_call_and_the_end_of_another_turn_leaves_it(writing: Writing) -> None:
    writing.hear("tool", "run_command")
    take = writing.output("make")
    assert [each.kind for each in look(writing).pieces] == ["call"]
    for body in (b"\x1b[31mred\x1b[0m caf\xc3", b"\xa9 \n"):
        take(body)
    writing.end(role="developer", turn=0)
    assert [(each.kind, each.name) for each in look(writing).pieces] == [("call", "run_command"), ("output", "make")]
    assert texts(writing)[-1] == "red café \n"
    writing.end(role="developer", turn=1)
    assert not look(writing).pieces
