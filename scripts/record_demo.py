"""Make the demo's recording from a finished run: the model's replies, in order, and nothing else.

    python scripts/record_demo.py HOME RUN "who answered"

HOME is the NIGHTMILL_HOME of a run of `cli/demo/spec.md` that a real model worked through; RUN is the spec's run.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from nightmill.store import Blobs, Database, Ledger, Runs

TARGET = Path(__file__).parent.parent / "src" / "nightmill" / "cli" / "demo" / "recording.json"


def main() -> None:
    home, name, who = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    database = Database.open(f"sqlite:///{home / 'nightmill.db'}")
    ledger, blobs, runs = Ledger(database, time.time), Blobs(home / "blobs"), Runs(database, time.time)
    spec = runs.get(name)
    (task,) = runs.list(parent=spec.id)
    journal = sorted((home / "runs" / spec.id / "replies").glob("*.json"), key=lambda path: path.stat().st_mtime)
    turns = [json.loads(entry.body) for entry in ledger.read(run=task.id, names=["turn_finished"])]
    replies = {
        "architect": [_reply(json.loads(path.read_bytes())) for path in journal],
        "developer": [_reply(json.loads(blobs.get(turn["record"]))["reply"]) for turn in turns],
    }
    recording = {
        "model": spec.model.partition(":")[2],
        "who": who,
        "date": time.strftime("%Y-%m-%d", time.gmtime(spec.created)),
        "replies": replies,
    }
    TARGET.write_text(json.dumps(recording, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote { ({role: len(given) for role, given in replies.items()}) } replies")


def _reply(reply: dict[str, Any]) -> dict[str, Any]:
    """What was said and what it took; the times are those of the playback."""
    parts = [{key: value for key, value in part.items() if key != "opaque"} for part in reply["parts"]]
    return {"id": reply["id"], "parts": parts, "usage": reply["usage"]}


if __name__ == "__main__":
    main()
