"""The lower bound of a turn: the least loop that talks to a model and runs its commands, with nothing kept or guarded.

python -m bench.loop URL FOLDER
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx2

TOOL = {"name": "run_command", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}


def main(url: str, folder: str) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    headers = {"x-api-key": "none", "anthropic-version": "2023-06-01"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
        while calls := ask(client, messages):
            results = [
                {"type": "tool_result", "tool_use_id": call["id"], "content": run(call["input"]["command"], folder)}
                for call in calls
            ]
            messages.append({"role": "user", "content": results})


def ask(client: httpx2.Client, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = {"model": "m", "max_tokens": 8192, "system": "You are the developer", "tools": [TOOL], "messages": messages}
    parts: dict[int, dict[str, Any]] = {}
    with client.stream("POST", "/v1/messages", json={**body, "stream": True}) as reply:
        for line in reply.iter_lines():
            event = json.loads(line[6:]) if line.startswith("data: ") else {"type": ""}
            if event["type"] == "content_block_start":
                parts[event["index"]] = {**event["content_block"], "raw": ""}
            elif event["type"] == "content_block_delta":
                delta = event["delta"]
                parts[event["index"]]["raw"] += delta.get("partial_json", delta.get("text", ""))
    said = [part | read(part.pop("raw"), part["type"]) for part in parts.values()]
    messages.append({"role": "assistant", "content": said})
    return [part for part in said if part.get("name") == "run_command"]


def read(raw: str, kind: str) -> dict[str, Any]:
    return {"input": json.loads(raw or "{}")} if kind == "tool_use" else {"text": raw}


def run(command: str, folder: str) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    return f"{done.stdout}{done.stderr}(exit status {done.returncode})"


if __name__ == "__main__":
    main(*sys.argv[1:])
