"""The agents beside which nightmill is measured: what they are installed from, and how they are told their endpoint.

Nothing of them is part of this repository. `install` fetches them by name and version with npm and pip, into a folder of
its own (`NIGHTMILL_PEERS`, or `peers` beside the caches of the user).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PEERS", "Peer", "folder", "install"]

TASK = "Add mul and div to calc.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One agent.

    Attributes:
        package: What installs it, with its version.
        command: Its words, from the folder of all peers and the endpoint's address.
        environment: More of its environment, from its home and the endpoint's address.
        files: What its home holds beforehand, by path below it.
        history: Whether each of its requests holds the whole conversation.
    """

    name: str
    package: str
    kind: str
    command: Callable[[Path, str], list[str]]
    environment: Callable[[Path, str], Mapping[str, str]]
    files: Callable[[str], Mapping[str, str]] = field(default=lambda _: {})
    more: tuple[str, ...] = ()


def folder() -> Path:
    """Where peers are installed."""
    named = os.environ.get("NIGHTMILL_PEERS")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else caches / "nightmill-peers"


def install(peer: Peer) -> Path:
    """Have *peer* installed, and give the folder.

    Raises:
        OSError: If it cannot be had here.
    """
    place = folder() / peer.name
    mark = place / "installed"
    if not mark.exists() or mark.read_text() != peer.package:
        place.mkdir(parents=True, exist_ok=True)
        if peer.kind == "npm":
            (place / "package.json").write_text('{"private": true}\n')
            words = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", peer.package]
        else:
            subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
            words = [str(place / "venv/bin/python"), "-m", "pip", "install", "--quiet", peer.package, *peer.more]
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"{peer.package} cannot be installed: {done.stderr.strip()[-300:]}")
        mark.write_text(peer.package)
    return place


def _bin(place: Path, name: str) -> str:
    return str(place / "node_modules/.bin" / name)


def _codex(url: str) -> dict[str, str]:
    lines = (
        'model = "gpt-5"', 'model_provider = "fake"', 'approval_policy = "never"', 'sandbox_mode = "danger-full-access"',
        "[model_providers.fake]", 'name = "Fake"', f'base_url = "{url}/v1"', 'env_key = "FAKE_KEY"', 'wire_api = "responses"',
        "supports_websockets = false", "[analytics]", "enabled = false",
    )  # fmt: skip
    return {"codex/config.toml": "\n".join(lines) + "\n"}


def _opencode(url: str) -> dict[str, str]:
    model = {"name": "fake", "limit": {"context": 200000, "output": 8000}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Fake",
        "options": {"baseURL": f"{url}/v1", "apiKey": "x"},
        "models": {"fake-model": model},
    }
    settings = {
        "autoupdate": False, "share": "disabled", "model": "fake/fake-model", "small_model": "fake/fake-model",
        "permission": {"*": "allow"}, "provider": {"fake": provider},
    }  # fmt: skip
    return {".config/opencode/opencode.json": json.dumps(settings)}


def _pi(url: str) -> dict[str, str]:
    cost = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
    model = {
        "id": "fake-model", "name": "fake", "reasoning": False, "input": ["text"], "cost": cost,
        "contextWindow": 200000, "maxTokens": 8000,
    }  # fmt: skip
    provider = {"baseUrl": f"{url}/v1", "api": "openai-completions", "apiKey": "x", "models": [model]}
    return {".pi/agent/models.json": json.dumps({"providers": {"fake": provider}})}


PEERS = (
    Peer(
        name="pi",
        package="@earendil-works/pi-coding-agent@0.74.2",
        kind="npm",
        command=lambda place, _: [_bin(place, "pi"), "-p", "--provider", "fake", "--model", "fake-model", TASK],
        environment=lambda _, __: {"PI_OFFLINE": "1"},
        files=_pi,
    ),
    Peer(
        name="mini-swe-agent",
        package="mini-swe-agent==2.4.6",
        kind="pip",
        command=lambda place, _: [
            str(place / "venv/bin/mini"),
            "-m",
            "openai/fake-model",
            "-t",
            TASK,
            "-y",
            "--exit-immediately",
            "-o",
            "traj.json",
        ],
        environment=lambda home, url: {
            "MSWEA_CONFIGURED": "true",
            "MSWEA_GLOBAL_CONFIG_DIR": str(home / "mini"),
            "MSWEA_COST_TRACKING": "ignore_errors",
            "MSWEA_SILENT_STARTUP": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OPENAI_API_KEY": "x",
            "OPENAI_API_BASE": f"{url}/v1",
            "OPENAI_BASE_URL": f"{url}/v1",
        },
        more=("mcp",),
    ),
    Peer(
        name="codex",
        package="@openai/codex@0.169.0",
        kind="npm",
        command=lambda place, _: [_bin(place, "codex"), "exec", "--skip-git-repo-check", "--json", TASK],
        environment=lambda home, _: {"CODEX_HOME": str(home / "codex"), "FAKE_KEY": "x"},
        files=_codex,
    ),
    Peer(
        name="claude-code",
        package="@anthropic-ai/claude-code@2.1.197",
        kind="npm",
        command=lambda place, _: [
            _bin(place, "claude"),
            "-p",
            TASK,
            "--dangerously-skip-permissions",
            "--output-format",
            "json",
        ],
        environment=lambda _, url: {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "sk-ant-fake",
            "ANTHROPIC_MODEL": "claude-sonnet-4-5",
            "IS_SANDBOX": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    ),
    Peer(
        name="opencode",
        package="opencode-ai@1.18.33",
        kind="npm",
        command=lambda place, _: [_bin(place, "opencode"), "run", "--format", "json", TASK],
        environment=lambda _, __: {
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        },
        files=_opencode,
    ),
)
"""Those that the figures of the docs are about; how to run each is documented by its makers."""
