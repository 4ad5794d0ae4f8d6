"""Replies that say the same over and over, and those that only look as if they did."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.agent.guard.reply import faults
from nightmill.model import ModelReply
from nightmill.model.chant import ELSE, LONGEST_UNIT, STEP, WINDOW, WORDS, Chant
from tests.agent.conftest import BRIEF, Stage
from tests.model import hostile
from tests.model.test_deltas import STREAMS
from tests.model.test_transport import HI, USAGE, canned, reply, serve

OVER = "Wait, I need to check the parser once more before I can go on. "
LEAD = "".join(f"Module {n} reads tabs in its own way, see line {n * n}. " for n in range(40))
NAMES = {
    "openai:m": "chat",
    "openai-responses:m": "responses",
    "anthropic:m": "anthropic",
    "gemini:m": "gemini",
    "ollama:m": "ollama",
}


def watch(kind: str, pieces: Iterator[str] | list[str]) -> tuple[str, int]:
    """What was seen to be said over and over, and how many characters had come by then."""
    chant, size = Chant(), 0
    for piece in pieces:
        size += len(piece)
        if found := chant.feed(kind, piece):
            return found, size
    return "", size


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("kind", ["text", "thinking"])
@pytest.mark.parametrize(
    "unit",
    [
        OVER,
        "I will fix it.\n",
        "Let me look:\n\n```python\nassert parse(line) == wanted\n```\n\n",
        "\n".join(f"{n}. Look at the lexer" for n in range(1, 9)) + "\nAnd now from the start:\n",
        "".join(f"step {n}, " for n in range(60))[:LONGEST_UNIT],
    ],
)
@pytest.mark.parametrize("lead", ["", LEAD, f"{LEAD}\n```\nx = 1\n```\n"])
def test_words_that_come_again_to_the_letter_are_seen_soon(kind: str, unit: str, lead: str) -> None:
    found, size = watch(kind, cut(lead + unit * (20_000 // len(unit)), 3))

    assert found
    assert found in unit * 2
    assert size <= len(lead) + WORDS + WINDOW + STEP


def test_in_a_call_only_what_no_file_needs_is_a_chant() -> None:
    found, size = watch(
        "tool_call", cut('{"path": "a.py", "content": "' + "    raise NotImplementedError\\n" * 5_000, 4)
    )

    assert found
    assert ELSE <= size <= ELSE + WINDOW + STEP


TABLE = "| a column with words | another column with words | and a third |\n"
LEGITIMATE = {
    "a table of equal rows": TABLE * 400,
    "a list of equal lines": "- check the parser, the lexer and the printer for tabs\n" * 400,
    "code with equal lines": "```python\n" + "    assert parse(line) == expected_value_of_the_line\n" * 400 + "```\n",
    "rules and blank lines": ("=" * 8_000) + "\n" * 8_000 + "-" * 8_000,
    "zeros in base64": base64.b64encode(bytes(20_000)).decode(),
    "a picture in base64": base64.b64encode(bytes(n * n % 251 for n in range(30_000))).decode(),
    "an array of zeros": "0x00, " * 5_000,
    "generated tests": "".join(f"def test_parser_reads_tab_{n}():\n    assert parse('{n}\\t') == {n}\n\n" for n in range(800)),
    "a long import list": "".join(f"import com.company.product.module.parser.nodes.Node{n};\n" for n in range(900)),
    "a lock file": "".join(f'pkg-{n} = {{ version = "1.0.0", source = "registry+https://index.example" }}\n' for n in range(600)),
    "records of a fixture": json.dumps([{"id": n, "name": "name", "tags": ["a", "b"], "active": True} for n in range(600)]),
    "equal records": json.dumps([{"name": "name", "tags": ["a", "b"], "active": True}] * 500),
    "stubs": "    raise NotImplementedError\\n" * 800,
    "a log": "".join(f"2026-11-28T10:00:{n % 60:02} INFO worker is idle, queue has 0 runs, took {n * 7 % 90} ms\n" for n in range(500)),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 999, 100_000])
@pytest.mark.parametrize("name", LEGITIMATE)
def test_what_repeats_itself_by_nature_is_not_cut_off(name: str, size: int) -> None:
    text = LEGITIMATE[name]
    kinds = ["tool_call"] if name in {"equal records", "stubs"} else ["text", "thinking", "tool_call"]
    for kind in kinds:
        assert watch(kind, cut(text, size))[0] == ""
        assert watch(kind, cut(LEAD + "\n" + text + LEAD, size))[0] == ""


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 1_500), min_size=1, max_size=40), lead=st.integers(0, 1_500))
def test_it_is_seen_at_the_same_place_however_the_reply_is_cut(cuts: list[int], lead: int) -> None:
    text = LEAD[:lead] + OVER * 200
    at, pieces = 0, []
    for size in cuts:
        pieces.append(text[at : at + size])
        at += size
    chant, seen = Chant(), ""
    for piece in [*pieces, text[at:]]:
        seen = seen or chant.feed("text", piece)

    assert seen == watch("text", cut(text, 1))[0] != ""


def test_it_keeps_no_more_than_it_looks_at() -> None:
    chant = Chant()
    for number in range(300_000):
        assert not chant.feed("text", chr(97 + hash((number, 7)) % 23))
        assert len(chant._held) <= WINDOW
        assert len(chant._new) <= STEP


def endless(kind: str, events: Iterator[hostile.Event], sent: list[int]) -> object:
    """A server that goes on until its client hangs up."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        form = "application/x-ndjson" if kind == "ollama" else "text/event-stream"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {form}\r\nconnection: close\r\n\r\n".encode())
        for number, body in enumerate(hostile.bodies(kind, events)):
            writer.write(body)
            await writer.drain()
            sent.append(number)

    return answer


@pytest.mark.parametrize("name", NAMES)
def test_a_chant_is_cut_off_while_it_streams_in_paid_for_and_told(name: str) -> None:
    kind, sent = NAMES[name], list[int]()
    events = hostile.said(kind, (OVER for _ in range(400_000)))

    found, requests = serve(endless(kind, events, sent), reply, name=name)  # type: ignore[arg-type]

    assert isinstance(found, ModelReply)
    assert len(requests) == 1
    assert (found.stop, found.raw_stop) == ("chant", "chant")
    assert WORDS <= len(found.text) < 100_000
    assert len(sent) < 400_000, "the connection was not closed"
    assert found.usage.output >= len(found.text) // 3
    assert found.usage.input >= 5
    (fault,) = faults(BRIEF, Stage().state, found)
    assert (fault.guard, OVER.strip()[:20] in fault.evidence) == ("chant", True)


@pytest.mark.parametrize("name", ["anthropic:m", "openai:m", "openai-responses:m"])
def test_a_call_that_chants_is_not_run_and_counts_as_a_chant(name: str) -> None:
    kind, sent = NAMES[name], list[int]()
    events = hostile.called(kind, ('{"word": "', *("x = None\\n" for _ in range(400_000))))

    found, _ = serve(endless(kind, events, sent), reply, name=name)  # type: ignore[arg-type]
    acting = Stage()
    record = acting.turn(found)

    assert found.stop == "chant"
    assert record.guards == ("chant",)
    assert acting.log == []
    assert "said the same over and over" in record.messages[1].parts[0].text  # type: ignore[union-attr]


def test_a_reply_that_is_whole_by_then_is_left_as_it_is() -> None:
    over = (OVER * 100).encode()
    found, _ = serve(canned(HI.replace(b"hi", over) + USAGE), reply)

    assert (found.stop, found.usage.output) == ("end", 1)
    assert [fault.guard for fault in faults(BRIEF, Stage().state, found)] == ["monologue", "chant"]


class Whole(str):
    """A piece that may be joined with others, and not added to them one by one: that costs what came before each time."""

    __slots__ = ()

    def __add__(self, other: str) -> str:
        raise AssertionError("pieces were added")

    __radd__ = __iadd__ = __add__


@pytest.mark.parametrize("kind", STREAMS)
def test_pieces_of_a_character_each_are_joined_once(kind: str) -> None:
    for make in (hostile.said, hostile.called):
        reading = STREAMS[kind][1]()
        pieces = [Whole(letter) for letter in '{"word": "' + "xy z" * 25_000 + '"}']
        for event in [*make(kind, pieces), *hostile.end(kind)]:
            reading.feed(event)
        found = reading.reply()
        if make is hostile.said:
            assert found.text == "".join(pieces)
        elif kind not in {"gemini", "ollama"}:
            assert found.calls[0].arguments == "".join(pieces)
