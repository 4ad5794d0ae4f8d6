"""The demo plays what was recorded to the very conversations that its blueprint begins."""

from __future__ import annotations

import json
import re
import urllib.request
from importlib.resources import files
from typing import Any

import pytest

from nightmill.cli.demo import BLUEPRINT
from nightmill.cli.demo.playback import Playback, load

RECORDING = load()


def asked(url: str, first: str, *, said: int) -> str:
    """The reply to a conversation that begins with *first*, after as many of the assistant's as *said*."""
    user, assistant = ({"role": role, "content": [{"type": "text", "text": first}]} for role in ("user", "assistant"))
    plain = {"messages": [user, *[assistant, user] * said]}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(plain).encode())) as reply:
        body: bytes = reply.read()
    return body.decode()


@pytest.mark.parametrize("conversation", RECORDING.conversations, ids=lambda each: str(each["sees"]))
def test_each_conversation_begins_with_words_that_one_of_its_steps_says(conversation: dict[str, Any]) -> None:
    package = files("nightmill")
    blueprint = (package / f"blueprint/shipped/{BLUEPRINT}.yaml").read_text()
    texts = f"{blueprint}{(package / 'prompt/parts/architect/plan.md').read_text()}"
    assert texts.count(conversation["sees"]) == 1
    assert re.search(rf"(agent|review): {conversation['role']}\n", texts)


def test_a_reply_is_found_by_its_conversation_and_its_place_and_the_end_is_said() -> None:
    qa = next(each for each in RECORDING.conversations if each["role"] == "qa")
    with Playback(RECORDING) as server:
        for place, reply in enumerate(qa["replies"]):
            assert reply["id"] in asked(server.url, f"# Goal\n{qa['sees']}, and more.", said=place)
        assert "The recording ends here" in asked(server.url, qa["sees"], said=len(qa["replies"]))
        assert "The recording ends here" in asked(server.url, "What is nowhere recorded.", said=0)
