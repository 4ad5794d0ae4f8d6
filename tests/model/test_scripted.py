"""The fixture that plays a model."""

from __future__ import annotations

from typing import Any

import httpx2


def test_scripted_model_plays_a_script_and_logs_the_request(scripted: Any) -> None:
    model = scripted({"turns": [{"text": "The plan is ready."}]})

    body = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
    reply = httpx2.post(f"{model.url}/v1/chat/completions", json=body, trust_env=False).json()

    assert reply["choices"][0]["message"]["content"] == "The plan is ready."
    (line,) = model.log(at_least=1)
    assert (line["dialect"], line["status"], line["outcome"]) == ("chat", 200, "ok")
