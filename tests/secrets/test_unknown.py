"""Tokens that nobody has named, in a spec, in instructions and in a file: no model is told them, no blob holds them, and work goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ScriptedFactory
from tests.secrets.relay import listening
from tests.whole import EDIT, FILES, FINISH, MODELS, PLAN, SPEC, TRY, Mill, git, repository, script

pytestmark = pytest.mark.slow

TOKENS = {name: f"ghp_{name}" + "a1B2c3D4e5" * 4 for name in ("spec", "told", "file")}
CALC = FILES["calc.py"] + f'\n\nTOKEN = "{TOKENS["file"]}"\n'


def test_what_only_looks_like_a_secret_is_in_no_request_and_no_blob(tmp_path: Path, scripted: ScriptedFactory) -> None:
    mill = Mill(folder=tmp_path)
    files = {**FILES, "calc.py": CALC, "AGENTS.md": f"The token of tests is {TOKENS['told']}.\n"}
    checkout = repository(tmp_path / "checkout", files)
    spec = tmp_path / "SPEC.md"
    spec.write_text(SPEC.format(title="") + f"\nThe token is {TOKENS['spec']}.\n", encoding="utf-8")
    read = {"text": "I read.", "tool_calls": [{"name": "read_file", "arguments": {"path": "calc.py"}}]}
    model = scripted(script(read, EDIT, TRY, FINISH, plan={"text": json.dumps(PLAN)}))

    with listening(model.url) as heard, mill.worker():
        assert mill.run("init", at=checkout).returncode == 0
        done = mill.run("run", spec, "--model", MODELS["anthropic"], "--base-url", heard.url, at=checkout)
        assert done.returncode == 0, done.stdout + done.stderr

    said = b"".join(each.body for each in heard.requests)
    kept = b"".join(path.read_bytes() for path in (mill.home / "blobs").rglob("*") if path.is_file())
    for token in TOKENS.values():
        assert token.encode() not in said
    for name in ("told", "file"):
        assert TOKENS[name].encode() not in kept
    assert b'TOKEN = \\"********' in said
    (hub,) = mill.home.glob("projects/*/hub.git")
    heads = git(hub, "for-each-ref", "--format=%(refname)").split()
    assert CALC.replace("a - b", "a + b").strip() in [git(hub, "show", f"{head}:calc.py") for head in heads]
