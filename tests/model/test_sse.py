"""Events out of bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nightmill.model.sse import Sse, SseReader

BODY = (
    b"\xef\xbb\xbf: a comment\r\n"
    b'event: one\r\ndata: {"a":1}\r\nid: 7\r\n\r\n'
    b'data:{"b":"\xe2\x80\xa8 \xe2\x80\xa9 \xc2\x85"}\n\n'
    b"data: first\ndata: second\n\n"
    b"event: left over\n\n"
    b'{"error": "bare"}\n'
    b'{\n  "error": {\r\n    "message": "a } brace, a \\" quote {",\n    "code": 503\n  }\n}\n'
    b'[{\n  "error": []\n}\n]\n'
    b"retry: 5\n\n\n"
    b"data: [DONE]"
)
EVENTS = [
    Sse(b"one", b'{"a":1}'),
    Sse(b"", '{"b":"\u2028 \u2029 \x85"}'.encode()),
    Sse(b"", b"first\nsecond"),
    Sse(b"", b'{"error": "bare"}'),
    Sse(b"", b'{\n  "error": {\n    "message": "a } brace, a \\" quote {",\n    "code": 503\n  }\n}'),
    Sse(b"", b'[{\n  "error": []\n}\n]'),
    Sse(b"", b"[DONE]"),
]


@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=12))
def test_events_are_the_same_wherever_the_network_cuts_the_body(cuts: list[int]) -> None:
    reader, found, start = SseReader(), [], 0

    for cut in [*sorted(cuts), len(BODY)]:
        found += reader.feed(BODY[start:cut])
        start = cut
    found += reader.close()

    assert found == EVENTS


def test_a_line_in_thousands_of_pieces_costs_what_its_bytes_cost() -> None:
    reader, piece = SseReader(), b"x" * 4096

    assert not any(reader.feed(b"data: " + piece if first else piece) for first in (True, *[False] * 8191))
    assert [len(each.data) for each in reader.feed(b"\n\n")] == [32 << 20]
