"""Agents that are known: what each is called with, and how it is told where its model is."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SettingsError

__all__ = ["PRESETS", "Preset", "Start", "start"]

INSIDE = "/opt/agents"
PLACEHOLDER = "sk-nightmill-placeholder"
"""What an agent holds for a key: it means nothing anywhere."""
MACHINES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How an agent is started: see `External`."""

    argv: tuple[str, ...]
    show: Mapping[str, Path]
    env: Mapping[str, str]
    mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A known agent.

    Attributes:
        package: What npm installs.
        programs: Folders below `node_modules` with its program for a machine, the first that is there counts.
        words: What it is called with, its program's path first.
        env: Its environment for a provider; the keys are the providers whose dialect it speaks, the first is for all others.
        mode: The session mode that asks for nothing.
        under: Name of the folder inside, where its program looks for more by that name.
    """

    package: str
    programs: tuple[str, ...]
    words: tuple[str, ...]
    env: Mapping[str, Callable[[], dict[str, str]]]
    mode: str = ""
    under: str = ""


def start(name: str, *, preset: str, at: Path, provider: str) -> Start:
    """How the agent *preset* that npm installed in *at* is started, to be shown under *name*, for a model of *provider*.

    Raises:
        SettingsError: If it is not there, or not known.
    """
    known = PRESETS.get(preset)
    if known is None:
        raise SettingsError(
            f"no agent {preset!r} is known", hint=f"there are {', '.join(PRESETS)}; or give its `command`"
        )
    modules = at / "node_modules"
    machine = MACHINES.get(platform.machine(), platform.machine())
    folders = [modules / each.format(machine=machine) for each in known.programs]
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        raise SettingsError(f"{preset} is not in {str(at)!r}", hint=f"npm install --prefix {at} {known.package}")
    inside = f"{INSIDE}/{name}" + (f"/{known.under}" if known.under else "")
    argv = tuple(word.replace("{folder}", inside) for word in known.words)
    env = known.env.get(provider) or next(iter(known.env.values()))
    return Start(argv=argv, show={inside: folder}, env=env(), mode=known.mode)


def _opencode(package: str) -> Callable[[], dict[str, str]]:
    model = {"name": "{model}", "limit": {"context": 200000, "output": 8192}}
    provider = {
        "npm": package,
        "name": "nightmill",
        "options": {"baseURL": "{base_url}/v1", "apiKey": PLACEHOLDER},
        "models": {"{model}": model},
    }
    names = {"model": "nightmill/{model}", "small_model": "nightmill/{model}"}
    config = {
        "autoupdate": False,
        "share": "disabled",
        "permission": {"*": "allow"},
        "provider": {"nightmill": provider},
    }
    switches = ("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
    env = {f"OPENCODE_DISABLE_{each}": "1" for each in switches}
    return lambda: {**env, "OPENCODE_CONFIG_CONTENT": json.dumps({**config, **names})}


def _claude() -> dict[str, str]:
    models = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")
    return {
        "ANTHROPIC_BASE_URL": "{base_url}",
        "ANTHROPIC_API_KEY": PLACEHOLDER,
        **dict.fromkeys(models, "{model}"),
        "IS_SANDBOX": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _codex() -> tuple[str, ...]:
    """Codex is told everything in words: it would have to find a file in its home."""
    own = "model_providers.nightmill"
    told = {
        "model": '"{model}"',
        "model_provider": '"nightmill"',
        f"{own}.name": '"nightmill"',
        f"{own}.base_url": '"{base_url}/v1"',
        f"{own}.env_key": '"NIGHTMILL_MODEL"',
        f"{own}.wire_api": '"responses"',
        f"{own}.supports_websockets": "false",
        "approval_policy": '"never"',
        "sandbox_mode": '"danger-full-access"',
        "analytics.enabled": "false",
    }
    return tuple(word for name, value in told.items() for word in ("-c", f"{name}={value}"))


GEMINI = """\
mkdir -p ~/.gemini
test -e ~/.gemini/settings.json || printf %s '{"security":{"auth":{"selectedType":"gemini-api-key"}},"privacy":\
{"usageStatisticsEnabled":false},"telemetry":{"enabled":false}}' > ~/.gemini/settings.json
exec node "$1/@google/gemini-cli/bundle/gemini.js" --acp --skip-trust -m "$2"
"""
"""Which kind of key it has, it reads in its home only."""

PRESETS: Mapping[str, Preset] = {
    "opencode": Preset(
        package="opencode-ai",
        programs=("opencode-linux-{machine}", "opencode-linux-{machine}-baseline", "opencode-linux-{machine}-musl"),
        words=("{folder}/bin/opencode", "acp"),
        env={
            "openai": _opencode("@ai-sdk/openai-compatible"),
            "openai-responses": _opencode("@ai-sdk/openai"),
            "anthropic": _opencode("@ai-sdk/anthropic"),
        },
    ),
    "codex": Preset(
        package="@zed-industries/codex-acp",
        programs=("@zed-industries/codex-acp-linux-{machine}",),
        words=("{folder}/bin/codex-acp", *_codex()),
        env={"openai-responses": lambda: {"NIGHTMILL_MODEL": PLACEHOLDER}},
        mode="full-access",
    ),
    "claude": Preset(
        package="@agentclientprotocol/claude-agent-acp",
        programs=(".",),
        words=("node", "{folder}/@agentclientprotocol/claude-agent-acp/dist/index.js"),
        env={"anthropic": _claude},
        mode="bypassPermissions",
        under="node_modules",
    ),
    "gemini": Preset(
        package="@google/gemini-cli",
        programs=(".",),
        words=("/bin/sh", "-c", GEMINI, "gemini", "{folder}", "{model}"),
        env={"gemini": lambda: {"GEMINI_API_KEY": PLACEHOLDER, "GOOGLE_GEMINI_BASE_URL": "{base_url}"}},
        mode="yolo",
        under="node_modules",
    ),
}
"""By the name that an operator gives."""
