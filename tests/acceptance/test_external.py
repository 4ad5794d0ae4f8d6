"""Real agents from npm do the developer's work, from a spec to a pull request, and are not believed or spared more than ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.stage import AGENTS, PLAN, Model, Stage, descendants, until
from nightmill import event

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PACKAGES = {
    "codex": ("@zed-industries/codex-acp@0.16.0", "openai-responses:gpt-5"),
    "opencode": ("opencode-ai@1.18.33", "openai:gpt-4o"),
    "claude": ("@agentclientprotocol/claude-agent-acp@0.49.0", "anthropic:claude-sonnet-4-5"),
    "gemini": ("@google/gemini-cli@0.61.0", "gemini:gemini-2.5-pro"),
}
"""Versions that Node 20 runs, each with a model in its own dialect."""

ADDED = {"codex": [2, 3, 2], "opencode": [2, 3, 2], "claude": [2, 4, 2]}
"""Messages that each question has more than the one before: a call and its result, and the third what it was told after the kill."""

KEYS = {
    "OPENAI_API_KEY": "sk-canary-openai-0123",
    "ANTHROPIC_API_KEY": "sk-canary-anthropic-0123",
}
SIGNATURE = "s/def total(prices):/def total(prices, discount=0):/"
WRONG = f"sed -i '{SIGNATURE}; s/return sum(prices)/return discount/' prices.py"
RIGHT = "sed -i 's/return discount/return sum(prices) * (100 - discount) \\/ 100/' prices.py"
CLAIM = {"text": "A discount is taken off.\n\nAC2: python3 -m unittest -q"}

Installed = Callable[[str], Path]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Where npm has put an agent; NIGHTMILL_AGENTS names a folder that stays."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, and the agents come from it")
    folder = Path(AGENTS) if AGENTS else tmp_path_factory.mktemp("agents")

    def install(name: str) -> Path:
        if name in {"claude", "gemini"} and not str(shutil.which("node")).startswith("/usr/"):
            pytest.skip("node is not below /usr, so no sandbox shows it")
        at, package = folder / name, PACKAGES[name][0]
        if not (at / "package-lock.json").exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(at), package]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                pytest.skip(f"npm cannot install {package}: {done.stderr[-300:]}")
        return at

    return install


def script(*turns: dict[str, Any]) -> dict[str, Any]:
    """An architect, whoever is asked for a title, and an agent with *turns*."""
    plan = {"text": json.dumps({"tasks": [PLAN]})}
    title = {"system": ["re:title generator"], "turns": [], "end": {"text": "A discount"}}
    return {
        "roles": {
            "architect": {"system": "You are the architect", "turns": [plan]},
            "title": title,
            "agent": {"turns": list(turns)},
        }
    }


def shell(command: str, **more: Any) -> dict[str, Any]:
    return {"text": "I run it.", "tool_calls": [{"shell": command}], **more}


def give(stage: Stage, at: Path, name: str, *, model: str = "", **settings: str) -> None:
    """Describe the agent *name*, which works with *model* or one in its own dialect, and set what is set."""
    folder = stage.folder / "nightmill"
    folder.mkdir(exist_ok=True)
    (folder / "agents.yaml").write_text(
        json.dumps([{"name": name, "at": str(at), "model": model or PACKAGES[name][1]}])
    )
    stage.settings |= KEYS | settings


def ask(stage: Stage, model: Model, name: str) -> subprocess.Popen[bytes]:
    return stage.start("run", "SPEC.md", "--model", f"acp:{name}", "--base-url", model.url)


def told(stage: Stage, kind: type[event.Event]) -> list[Any]:
    return [each.event() for each in stage.events(kind.name)]


def said(stage: Stage) -> str:
    return (stage.folder / "said.log").read_text(errors="replace")[-3000:]


def holds_no_key(stage: Stage) -> None:
    """No key in anything that the run wrote."""
    for value in KEYS.values():
        found = subprocess.run(["grep", "-rlF", value, str(stage.home)], capture_output=True, text=True, check=False)
        assert not found.stdout


@pytest.mark.parametrize(
    ("name", "fault"), [("codex", "disconnect"), ("opencode", "rate_limit"), ("claude", "overloaded")]
)
def test_a_real_agent_works_fails_its_checks_corrects_itself_and_is_merged_by_nobody_but_people(
    stage: Stage, installed: Installed, name: str, fault: str
) -> None:
    give(stage, installed(name), name)
    turns = [
        shell("cat prices.py"),
        shell(WRONG, fault={"kind": fault}),
        CLAIM,
        shell(RIGHT),
        shell("python3 -m unittest -q"),
        CLAIM,
    ]
    with stage.model(script(*turns), "--retry-after", "1") as model:
        assert ask(stage, model, name).wait(600) == 0, said(stage)

    (pull,) = stage.pulls()
    assert stage.hub.show(f"refs/heads/{pull['branch']}", "prices.py").endswith(
        b"return sum(prices) * (100 - discount) / 100\n"
    )
    assert len(stage.events("sent_back")) == 1
    assert stage.events("workspace_restored") == [], "it was sent back to the process that had done the work"
    (made,) = told(stage, event.CommitMade)
    assert f"developer-{name}@" in made.author
    assert len(told(stage, event.ToolFinished)) == 4
    asked = [each for each in model.requests() if each["role"] == "agent" and each["status"] == 200]
    counted = sum(each.usage["input"] + each.usage["output"] for each in told(stage, event.TurnFinished))
    assert counted >= sum(each["input_tokens"] + each["output_tokens"] for each in asked if each["outcome"] == "ok")
    assert stage.broken() is None
    holds_no_key(stage)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("codex", "anthropic:claude-sonnet-4-5"),
        ("claude", "openai-responses:gpt-5"),
        ("gemini", "anthropic:claude-sonnet-4-5"),
    ],
)
def test_a_real_agent_works_with_a_model_that_speaks_another_dialect(
    stage: Stage, installed: Installed, name: str, other: str
) -> None:
    give(stage, installed(name), name, model=other)
    right = RIGHT.replace("return discount", "return sum(prices)")
    turns = [shell(f"sed -i '{SIGNATURE}' prices.py"), shell(right, fault={"kind": "overloaded"}), CLAIM]
    with stage.model(script(*turns)) as model:
        assert ask(stage, model, name).wait(600) == 0, said(stage)
        asked = [each for each in model.requests() if each["role"] == "agent" and each["status"] == 200]

    (pull,) = stage.pulls()
    assert b"100 - discount" in stage.hub.show(f"refs/heads/{pull['branch']}", "prices.py")
    assert len(asked) == len(turns)
    sent = {each.model for each in told(stage, event.RequestForwarded)}
    assert sent == {other}
    task = stage.run("task")
    assert "differs" not in stage.call("requests", task.id)
    assert stage.broken() is None
    holds_no_key(stage)


def test_a_real_agent_that_has_used_up_its_budget_is_stopped_in_its_prompt_and_its_work_is_kept(
    stage: Stage, installed: Installed
) -> None:
    give(stage, installed("codex"), "codex", NIGHTMILL_BUDGET_TOKENS="60000")
    big = {"usage": {"input_tokens": 20000, "output_tokens": 500}}
    with stage.model(script(shell(WRONG), *[shell(f"echo {n}", **big) for n in range(20)], CLAIM)) as model:
        assert ask(stage, model, "codex").wait(300) == 4, said(stage)

    task = stage.run("task")
    assert (task.state, task.why) == ("stopped", "limit")
    assert "tokens" in task.reason
    assert task.tokens <= 60000
    assert stage.hub.show(f"refs/heads/nightmill/wip/{task.id}", "prices.py").endswith(b"return discount\n")
    assert stage.pulls() == []
    assert len([each for each in model.requests() if each["role"] == "agent"]) < 6


def sleepers() -> list[int]:
    """Those who sleep in the long command, outermost shells left out."""
    return [pid for pid, command in descendants().items() if command.startswith("sleep 300")]


@pytest.mark.parametrize("name", ADDED)
def test_a_real_agent_goes_on_in_its_session_after_every_process_was_killed_in_its_prompt(
    stage: Stage, installed: Installed, name: str
) -> None:
    give(stage, installed(name), name)
    right = RIGHT.replace("return discount", "return sum(prices)")
    turns = [
        shell(f"sed -i '{SIGNATURE}' prices.py; echo once >> times.txt"),
        shell("sleep 300; echo slept"),
        shell(right),
        CLAIM,
    ]
    with stage.model(script(*turns)) as model:
        before = list(descendants())
        ask(stage, model, name)
        until(sleepers, seconds=120, what="the long command")
        stage.end(but=before)

        worker = stage.start("worker", "--until-idle", "2")
        (sleeper,) = until(
            sleepers, seconds=120, what="the long command again: its call was paid for, and is given again"
        )
        os.kill(sleeper, signal.SIGTERM)
        assert worker.wait(300) == 0, said(stage)

        assert stage.run("task").state == "done", stage.run("task").reason
        asked = [each for each in model.requests() if each["role"] == "agent"]
    (pull,) = stage.pulls()
    branch = f"refs/heads/{pull['branch']}"
    assert stage.hub.show(branch, "times.txt") == b"once\n"
    assert b"100 - discount" in stage.hub.show(branch, "prices.py")
    assert len(asked) == len(turns), "no question is asked twice"
    added = [after["n_messages"] - before["n_messages"] for before, after in pairwise(asked)]
    assert added == ADDED[name], "it remembers all that was said"
    assert len(stage.events("workspace_restored")) == 1
    assert stage.broken() is None
    holds_no_key(stage)
