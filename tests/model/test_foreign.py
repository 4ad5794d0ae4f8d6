"""What of a foreign agent's request reaches a provider, and what the provider would reach by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.model.foreign import Foreign, Unfit, read_foreign

AWAY = "https://example.org/?secret=of-the-sandbox"


def said(*messages: Any, dialect: str = "anthropic", **fields: Any) -> Foreign:
    field = "input" if dialect == "responses" else "messages"
    return read_foreign(json.dumps({field: messages, **fields}).encode(), dialect=dialect)


@pytest.mark.parametrize(
    ("dialect", "block"),
    [
        ("anthropic", {"type": "image", "source": {"type": "url", "url": AWAY}}),
        ("anthropic", {"type": "tool_result", "content": [{"type": "image", "source": {"type": "url", "url": AWAY}}]}),
        (
            "anthropic",
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "image", "source": {"type": "url", "url": AWAY}}]},
            },
        ),
        ("anthropic", {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        ("chat", {"type": "image_url", "image_url": {"url": AWAY}}),
        ("chat", {"type": "file", "file": {"filename": "a.pdf", "file_data": AWAY}}),
        ("chat", {"type": "file", "file": {"file_id": "file-1"}}),
        ("responses", {"type": "input_file", "file_url": AWAY}),
        ("responses", {"type": "input_image", "file_id": "file-1"}),
    ],
)
def test_nothing_is_passed_on_that_a_provider_would_have_to_fetch(dialect: str, block: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        said({"role": "user", "content": [{"type": "text", "text": "see"}, block]}, dialect=dialect)


def test_a_block_that_stands_alone_is_looked_at_too() -> None:
    shot = {"type": "computer_screenshot", "image_url": AWAY}
    with pytest.raises(Unfit):
        said({"type": "computer_call_output", "call_id": "c", "output": shot}, dialect="responses")


def test_what_is_sent_inline_is_passed_on() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    call = {"type": "tool_use", "id": "1", "name": "get", "input": {"url": AWAY, "content": [{"url": AWAY}]}}
    found = said({"role": "user", "content": [image]}, {"role": "assistant", "content": [call]})
    assert [each["content"] for each in found.body["messages"]] == [[image], [call]]
    pdf = {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}}
    assert said({"role": "user", "content": [pdf]}, dialect="chat").body["messages"][0]["content"] == [pdf]


def test_a_conversation_is_known_again_by_all_that_a_model_read_and_by_nothing_else() -> None:
    def text(words: str, **mark: Any) -> dict[str, Any]:
        return {"role": "user", "content": [{**mark, "type": "text", "text": words}]}

    first = said(text("a", cache_control={"type": "ephemeral"}), system="s", temperature=0)
    more = said(text("a"), text("b"), system="s", temperature=1)
    assert first.prefixes == more.prefixes[:2]
    assert said(text("a"), system="t").prefixes[-1].digest != first.prefixes[-1].digest
    assert said(text("c"), system="s").prefixes[-1].digest != first.prefixes[-1].digest
    padded = json.dumps({"messages": [text("a")], "system": "s"}).replace("{", "{" + " " * 10_000, 1)
    assert read_foreign(padded.encode(), dialect="anthropic").prefixes == first.prefixes


def test_a_body_that_would_take_a_minute_to_read_is_not_read_and_told_the_bound() -> None:
    body = b'{"messages":[' + b"[]," * 10_000_000 + b"[]]}"
    with pytest.raises(Unfit, match=r"20,000,0\d\d commas and opening brackets, and at most 1,000,000"):
        read_foreign(body, dialect="anthropic")


GO_ON = "You were interrupted. Go on."
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "sh", "input": {}}]}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": "one"}


def keys(*messages: Any, **fields: Any) -> tuple[str, ...]:
    return read_foreign(
        json.dumps({"messages": messages, **fields}).encode(), dialect="anthropic", go_on=GO_ON + "\n"
    ).keys


def test_a_question_is_known_again_when_its_agent_was_told_to_go_on() -> None:
    task = {"role": "user", "content": "Make it add."}
    (asked,) = keys(task, CALL, {"role": "user", "content": [RESULT]}, system="it is noon")

    marked = {"type": "text", "text": GO_ON, "cache_control": {"type": "ephemeral"}}
    joined = {"role": "user", "content": [RESULT, marked]}
    own = [{"role": "user", "content": [RESULT, {"type": "text", "text": "Continue."}]}]
    own += [{"role": "assistant", "content": "Very well."}, {"role": "user", "content": GO_ON}]
    assert asked in keys(task, CALL, joined, system="it is one")
    assert asked in keys(task, CALL, *own)

    apart = {"role": "user", "content": [RESULT, {"type": "text", "text": "No, do something else."}]}
    assert asked not in keys(task, CALL, apart), "who says something new wants a new answer"
    assert asked not in keys(task, CALL, joined, tools=[{"name": "other"}])
    assert asked not in keys(task, CALL, joined, CALL, {"role": "user", "content": [RESULT, marked]})
    assert keys(task)[0] not in keys(task, CALL, joined), "what a call gave is not passed over"
