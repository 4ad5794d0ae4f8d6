"""Have the official client libraries of the Agent Client Protocol, from npm, try `nightmill acp`, and compare what they saw.

`make editors` fetches them. Each watches a run that asks for a yes, gives it, leaves, and takes the conversation up again
(`editor.mjs`). What differs is told, and the exit status says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.settings import load
from nightmill.store.questions import Question

PACKAGES = ("@agentclientprotocol/sdk@2.4.0", "@zed-industries/agent-client-protocol@0.4.5")
TRIALS = (
    ("@agentclientprotocol/sdk", 1),
    ("@agentclientprotocol/sdk", 99),
    ("@agentclientprotocol/sdk/unstable", 1),
    ("@zed-industries/agent-client-protocol", 1),
)
"""Libraries, and the version that each asks for: there is one that is spoken here."""
EDITOR = Path(__file__).with_name("editor.mjs")
RUN = "rabcdefg"
PATIENCE = 120.0

SEEN: list[dict[str, Any]] = [
    {"step": "initialize", "version": 1, "load": True},
    {"step": "permission", "title": "Merge it?", "asked": 1},
    {"step": "prompt", "stop": "cancelled"},
    {"step": "load", "updates": {"agent_thought_chunk": 3, "agent_message_chunk": 1}},
    {"step": "unknown", "code": -32002},
    {"step": "end", "code": 0},
]
"""What each of them is to see."""


def main() -> int:
    """Try them; the exit status."""
    worse = 0
    with tempfile.TemporaryDirectory(prefix="nightmill-editors-") as folder:
        place = Path(folder)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES], cwd=place, check=True)
        editor = place / EDITOR.name  # where it finds them
        editor.write_bytes(EDITOR.read_bytes())
        for number, (library, version) in enumerate(TRIALS):
            seen, state = tried(editor, place / str(number), library=library, version=version)
            well = (seen, state) == (SEEN, "granted")
            worse += not well
            print(f"{'passes' if well else 'fails '}  {library}, which asks for version {version}")
            if not well:
                print(f"  the question is {state}; it saw:", *map(json.dumps, seen), sep="\n  ")
    return 1 if worse else 0


def tried(editor: Path, place: Path, *, library: str, version: int) -> tuple[list[dict[str, Any]], str]:
    """(what the *library* saw step by step, what became of the question)."""
    checkout = place / "calc"
    checkout.mkdir(parents=True)
    environment = {**os.environ, "NIGHTMILL_HOME": str(place / "home"), "NIGHTMILL_PERSON": "Ada <ada@example.org>"}
    nightmill = [sys.executable, "-m", "nightmill.cli"]
    (checkout / "test_calc.py").write_text("import unittest\n")
    commit = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-qm", "First"]
    for command in (["git", "init", "-q"], ["git", "add", "."], commit, [*nightmill, "init"]):
        subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)
    door = Door(replace(load(file={}, environment={}, flags={}), home=place / "home"))
    asked = asks(door, door.project(checkout).id)
    given = {"library": library, "command": [*nightmill, "acp"], "cwd": str(checkout), "run": RUN, "version": version}
    command = ["node", str(editor), json.dumps(given)]
    done = subprocess.run(
        command, cwd=editor.parent, env=environment, stdout=-1, text=True, timeout=PATIENCE, check=False
    )
    state = door.questions.get(asked).state
    door.database.close()
    return [json.loads(line) for line in done.stdout.splitlines()], state


def asks(door: Door, project: str) -> str:
    """The id of what a run asks with which nobody is at work."""
    queued = e.RunQueued(run=RUN, kind="task", title="Mend the cart", project=project, spec="s", model="m")
    door.runs.create(queued, assignment="a")
    named: dict[str, Any] = {"run": RUN, "step": "look", "kind": "approve", "title": "Merge it?"}
    return door.questions.ask(Question(id=f"{RUN}/look", tree="a" * 40, policy="p", **named)).id


if __name__ == "__main__":
    raise SystemExit(main())
