"""What a devcontainer.json asks for: what can be honoured here, and what cannot, each with the reason.

The file describes a container; a sandbox is none. It gives versions, variables and commands, and all that would
widen the sandbox or run on the host is left out and said to be.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from nightmill.estate.found import Ignored
from nightmill.estate.tools import KNOWN, Wish, known_as
from nightmill.estate.tracked import Tracked, section

__all__ = ["FOLDER", "NAME", "Devcontainer", "files", "read"]

FOLDER = ".devcontainer"
NAME = "devcontainer.json"
COMMANDS = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
"""Those that make the environment, in the order in which they run."""

OWNED = {"PATH", "HOME", "USER", "SHELL", "TERM", "LANG", "LOGNAME"}
"""Variables that the sandbox sets."""

MOST = 100
LONGEST = 4000

WHY = {
    "build": "no image is built: /usr is this machine's own",
    "dockerFile": "no image is built: /usr is this machine's own",
    "dockerComposeFile": "no container is started; name what tests need under `services`",
    "service": "no container is started; name what tests need under `services`",
    "runServices": "no container is started; name what tests need under `services`",
    "forwardPorts": "every sandbox has a loopback of its own, and no port leads out of it",
    "portsAttributes": "every sandbox has a loopback of its own, and no port leads out of it",
    "otherPortsAttributes": "every sandbox has a loopback of its own, and no port leads out of it",
    "appPort": "every sandbox has a loopback of its own, and no port leads out of it",
    "mounts": "nothing of the host is shown inside but /usr",
    "workspaceMount": "the checkout is always /work/repo",
    "workspaceFolder": "the checkout is always /work/repo",
    "runArgs": "they are options of a container's engine",
    "privileged": "a sandbox has no privileges",
    "capAdd": "a sandbox has no capability",
    "securityOpt": "they would loosen what holds the sandbox",
    "remoteUser": "a sandbox has one user",
    "containerUser": "a sandbox has one user",
    "updateRemoteUserUID": "a sandbox has one user",
    "secrets": "secrets never enter a sandbox",
    "initializeCommand": "it would run on this machine itself, and nothing of a repository does",
    "postStartCommand": "it runs at each start of a container; name a program that tests need under `services`",
    "postAttachCommand": "it is for a person who opens a terminal",
    "hostRequirements": "the sandbox has the machine that it is on; `limits` bounds a command",
    "customizations": "it is for editors",
    "remoteEnv": "it is for editors; what tests need belongs into `env`",
}
"""Keys that cannot be honoured."""

SILENT = (
    "$schema",
    "name",
    "shutdownAction",
    "waitFor",
    "overrideCommand",
    "init",
    "userEnvProbe",
    "overrideFeatureInstallOrder",
)
"""Keys that ask for nothing that could be missed."""

tag = re.compile(
    r"(?:^|/)(python|node|javascript-node|typescript-node|go|golang|rust|ruby|php|java)(?::([\w.-]{1,60}))?$"
)
dotted = re.compile(r"(?:^|-)(\d{1,4}(?:\.\d{1,6}){0,2})(?=-|$)")
root_only = re.compile(r"(?:^|[\s;&|(])(?:sudo|apt|apt-get|apk|dnf|yum|su|docker|systemctl|service)\s")
place = re.compile(r"\$\{(?:containerWorkspaceFolder|localWorkspaceFolder)\}")


@dataclass(slots=True)
class Devcontainer:
    """What one file gave."""

    file: str
    wishes: list[Wish] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    install: list[tuple[str, str]] = field(default_factory=list)
    """Lines that make the environment, each after the key that it stands under."""
    ignored: list[Ignored] = field(default_factory=list)

    def leave(self, what: str, why: str) -> None:
        """Note that *what* is not honoured."""
        self.ignored.append(Ignored(file=self.file, what=_short(what), why=why))


def files(tracked: Tracked) -> list[str]:
    """Names of all devcontainer files, the one that counts first."""
    first = [name for name in (f"{FOLDER}/{NAME}", f".{NAME}") if name in tracked]
    more = [
        PurePosixPath(name) for name in tracked.names if name.startswith(f"{FOLDER}/") and name.endswith(f"/{NAME}")
    ]
    return first + sorted(str(path) for path in more if len(path.parts) == 3)[:MOST]  # one folder down


def read(tracked: Tracked) -> Devcontainer | None:
    """What the repository's devcontainer asks for; None: there is none."""
    names = files(tracked)
    if not names:
        return None
    found = Devcontainer(names[0])
    for other in names[1:]:
        found.ignored.append(Ignored(file=other, what="the whole file", why=f"{names[0]} comes first"))
    held = tracked.json(names[0])
    if not isinstance(held, dict):
        found.leave("the whole file", "it is no JSON object")
        return found
    keys = list(held)[:MOST]
    for key in (*(name for name in COMMANDS if name in keys), *(name for name in keys if name not in COMMANDS)):
        _key(found, key, held[key])
    return found


def _key(found: Devcontainer, key: str, value: Any) -> None:
    if key == "image":
        _image(found, value)
    elif key == "features":
        _features(found, value)
    elif key == "containerEnv":
        _variables(found, value)
    elif key in COMMANDS:
        _commands(found, key, value)
    elif key in WHY:
        found.leave(key, WHY[key])
    elif key not in SILENT:
        found.leave(key, "nightmill does not know this key")


def _image(found: Devcontainer, value: Any) -> None:
    found.leave(f"image {value}", "no image is used: /usr is this machine's own; only a version in its tag is compared")
    read_tag = tag.search(value) if isinstance(value, str) else None
    if read_tag:
        name = {"javascript-node": "node", "typescript-node": "node"}.get(read_tag[1], read_tag[1])
        version = _version(read_tag[2] or "", first="/devcontainers/" not in str(value))
        found.wishes.append(Wish(tool=known_as(name), version=version, file=found.file))


def _version(label: str, *, first: bool) -> str:
    """The version in an image's tag. Tags of devcontainer images begin with the image's own: 1-3.12-bookworm."""
    numbers = dotted.findall(label)
    return "" if not numbers else numbers[0] if first or len(numbers) == 1 else numbers[1]


def _features(found: Devcontainer, value: Any) -> None:
    for reference, options in list(value.items())[:MOST] if isinstance(value, dict) else []:
        name = known_as(PurePosixPath(str(reference).partition(":")[0].partition("@")[0]).name)
        if name not in KNOWN:
            found.leave(
                f"feature {reference}", "a feature changes an image, and there is none: install it on the machine"
            )
            continue
        version = options if isinstance(options, str) else section(value, reference).get("version", "")
        wanted = version if isinstance(version, str) and len(version) <= MOST and version.isprintable() else ""
        found.wishes.append(Wish(tool=name, version=wanted, file=found.file))


def _variables(found: Devcontainer, value: Any) -> None:
    for name, given in list(value.items())[:MOST] if isinstance(value, dict) else []:
        text = place.sub("/work/repo", given) if isinstance(given, str) else ""
        if name in OWNED or name.lower().endswith("_proxy"):
            found.leave(f"containerEnv.{name}", "the sandbox sets it")
        elif not isinstance(given, str) or not text.isprintable() or len(text) > LONGEST:
            found.leave(f"containerEnv.{name}", "it is no line of text")
        elif "${" in text:
            found.leave(f"containerEnv.{name}", "it takes from an environment that a sandbox does not see")
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,80}", name):
            found.leave(f"containerEnv.{name}", "it is no name of a variable")
        else:
            found.env[name] = text


def _commands(found: Devcontainer, key: str, value: Any) -> None:
    for line in _lines(value):
        text = place.sub("/work/repo", line).strip()
        if "\0" in text or len(text) > LONGEST or not text:
            found.leave(key, "it is no command")
        elif root_only.search(f" {text} "):
            found.leave(
                f"{key}: {text}", "it changes the system, and a sandbox's /usr is read-only: do it on the machine"
            )
        else:
            found.install.append((key, text))


def _lines(value: Any) -> Iterator[str]:
    """A command is a text, a list of words, or several of both by name."""
    for each in list(value.values())[:MOST] if isinstance(value, dict) else [value]:
        if isinstance(each, str):
            yield each
        elif isinstance(each, list) and all(isinstance(word, str) for word in each):
            yield shlex.join(each)


def _short(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= 2 * MOST else f"{line[: 2 * MOST]}…"
