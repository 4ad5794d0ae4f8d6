"""The operator's external agents: a file beside the settings that says what each is, and which one a run is given to."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nightmill.agent.external import External
from nightmill.agent.external.presets import start
from nightmill.errors import SettingsError
from nightmill.model import connect

if TYPE_CHECKING:
    from nightmill.settings import Settings

__all__ = ["NAME", "PREFIX", "chosen", "load"]

NAME = "agents.yaml"
PREFIX = "acp:"
"""Before an agent's name where a model's is expected."""

KEYS = ("name", "model", "preset", "at", "command", "show", "env", "mode", "memory_megabytes")
HINT = "each is a mapping with name, model and at, or command; see docs/guides/external-agents.md"
CALLED = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")


def chosen(settings: Settings, path: Path) -> tuple[Settings, External | None]:
    """*settings* with the model that is asked in the end, and the agent of the file *path* that is to ask it, if one is.

    Raises:
        SettingsError: If there is no such agent, or it cannot be used.
    """
    if not settings.model.startswith(PREFIX):
        return settings, None
    name, known = settings.model.removeprefix(PREFIX), {each.name: each for each in load(path)}
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise SettingsError(f"no external agent is called {name!r}", hint=f"{there}; they are described in {path}")
    return replace(settings, model=known[name].model), known[name]


def load(path: Path) -> tuple[External, ...]:
    """The agents that the file *path* describes; none if there is no such file.

    Raises:
        SettingsError: If one cannot be used as it is described.
    """
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{str(path)!r} cannot be read: {' '.join(str(error).split())}", hint=HINT) from error
    if read is not None and not isinstance(read, list):
        raise SettingsError(f"{str(path)!r} must hold a list of agents", hint=HINT)
    found = tuple(_agent(each, f"agent {index} in {NAME}") for index, each in enumerate(read or (), 1))
    names = [each.name for each in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SettingsError(f"two agents are called {twice[0]!r}", hint="every name once")
    return found


def _agent(plain: Any, where: str) -> External:
    if not isinstance(plain, dict):
        raise SettingsError(f"{where} is no mapping", hint=HINT)
    for key in plain:
        if key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, n=1)
            raise SettingsError(f"{where}: unknown key {key!r}", hint=f"did you mean {close[0]}?" if close else HINT)
    name, model, memory = str(plain.get("name", "")), str(plain.get("model", "")), plain.get("memory_megabytes", 4096)
    if not CALLED.fullmatch(name):
        raise SettingsError(
            f"{where}: {name!r} is no name for an agent", hint="lower case letters, digits and '-', at most 20"
        )
    connect.check(model)
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise SettingsError(f"{where}: memory_megabytes is {memory!r}", hint="a whole number, 4096 if it is left out")
    made = External(name=name, model=model, memory=memory << 20, **_start(plain, name, model.partition(":")[0], where))
    show = {path: Path(source).expanduser() for path, source in _texts(plain.get("show"), where).items()}
    gone = next((source for source in show.values() if not source.exists()), None)
    if gone is not None:
        raise SettingsError(f"{where}: there is no {str(gone)!r} to be shown", hint="correct `show`")
    return replace(
        made,
        show={**made.show, **show},
        env={**made.env, **_texts(plain.get("env"), where)},
        mode=str(plain.get("mode", made.mode)),
    )


def _start(plain: dict[str, Any], name: str, provider: str, where: str) -> dict[str, Any]:
    """How it is started, by its own command or as a known agent."""
    if "command" in plain:
        return {"argv": _words(plain["command"], where)}
    at = Path(str(plain.get("at") or "")).expanduser()
    if not at.is_absolute():
        raise SettingsError(f"{where}: `at` must name the folder in which it is installed", hint=HINT)
    found = start(name, preset=str(plain.get("preset", name)), at=at, provider=provider)
    return {"argv": found.argv, "show": found.show, "env": found.env, "mode": found.mode}


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word for word in value):
        raise SettingsError(f"{where}: command must be a list of words", hint='such as ["/opt/agent/bin/agent", "acp"]')
    return tuple(value)


def _texts(value: Any, where: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise SettingsError(f"{where}: show and env map texts to texts", hint="put numbers in quotes")
    return dict(value)
