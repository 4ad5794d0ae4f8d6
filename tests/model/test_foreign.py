"""What of a foreign agent's request reaches a provider, and what the provider would reach by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.model.foreign import Foreign, Unfit, read_foreign

AWAY = "https://example.org/?secret=of-the-sandbox"


def said(*messages: Any, dialect: str = "anthropic", **fields: Any) -> Foreign:
    field = "input" if dialect == "responses" else "messages"
    return read_foreign(json.dumps({field: messages, **fields}).encode(), dialect=dialect, model="m")


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
    assert read_foreign(padded.encode(), dialect="anthropic", model="m").prefixes == first.prefixes
