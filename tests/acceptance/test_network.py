"""A run with a network and a credential: the operator is asked first, and what was asked for is in the ledger."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import ScriptedFactory
from tests.whole import EDIT, FILES, FINISH, MODELS, SPEC, TRY, Mill, repository, script

pytestmark = pytest.mark.slow

SECRET = "canary-secret-of-the-operator"
NETWORK = "network: {hosts: [api.nowhere.invalid], inspect: [api.nowhere.invalid]}\n"
COMMAND = "env | grep TOKEN; curl -s https://api.nowhere.invalid/v1/things?q=1; curl -s http://elsewhere.invalid/"


def test_an_agent_reaches_what_was_agreed_on_and_each_request_is_told(
    tmp_path: Path, scripted: ScriptedFactory
) -> None:
    look = {"text": "I ask.", "tool_calls": [{"name": "run_command", "arguments": {"command": COMMAND}}]}
    model = scripted(script(look, EDIT, TRY, FINISH))
    root = repository(tmp_path / "repo", {**FILES, "nightmill.yaml": FILES["nightmill.yaml"] + NETWORK})
    spec = tmp_path / "SPEC.md"
    spec.write_text(SPEC.format(title=""), encoding="utf-8")
    mill = Mill(folder=tmp_path).given(OWN_SECRET=SECRET)
    kept = mill.user / ".config/nightmill/credentials.yaml"
    kept.parent.mkdir(parents=True)
    given = f"name: own, host: api.nowhere.invalid, variable: API_TOKEN, projects: ['{root}'], from: 'env:OWN_SECRET'"
    kept.write_text(f"- {{{given}}}\n")
    kept.chmod(0o600)
    asked = ("run", spec, "--model", MODELS["anthropic"], "--base-url", model.url)

    assert mill.run("init", at=root).returncode == 0
    refused = mill.run(*asked, at=root)
    assert refused.returncode != 0
    assert "'api.nowhere.invalid' may not be reached" in refused.stderr
    agreed = mill.given(NIGHTMILL_ALLOW_HOSTS="*.nowhere.invalid")
    done = agreed.run(*asked, at=root)

    assert done.returncode == 0, done.stdout + done.stderr
    told = [each for run in mill.json("runs") if run["kind"] == "task" for each in _requests(mill, run["id"])]
    assert [(each["host"], each["reason"], each["allowed"]) for each in told] == [
        ("api.nowhere.invalid", "address", False),
        ("elsewhere.invalid", "not allowed", False),
    ]
    assert told[0]["path"] == "/v1/things"
    seen = str(model.log())
    assert SECRET not in seen + done.stdout + done.stderr
    files = [each for each in mill.home.rglob("*") if each.is_file() and not each.is_symlink()]
    assert not [each for each in files if SECRET.encode() in each.read_bytes() + os.fsencode(each)]
    assert [each for each in files if b"nightmill-placeholder-own" in each.read_bytes()], (
        "the search finds what is there"
    )


def _requests(mill: Mill, run: str) -> list[dict[str, object]]:
    done = mill.run("log", run, "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [each.get("body", each) for each in events if "request_made" in {each.get("name"), each.get("event")}]
