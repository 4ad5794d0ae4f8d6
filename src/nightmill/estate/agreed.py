"""The environment that people agreed on: a record that is committed, and compared with what a run finds.

What decides *what is done* (install lines, hosts, variables, services, which programs) must be as agreed, or nothing
is built. What a commit or a machine brings with it (the content of lock files, a program's last digits, the platform)
is told.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from nightmill.errors import SettingsError
from nightmill.estate.record import Record
from nightmill.estate.tracked import Tracked, at_commit
from nightmill.repo import Hub

__all__ = ["FILE", "Drift", "drifts", "hold", "read", "render"]

FILE = ".nightmill/environment.lock.json"

DECIDED = ("language", "install", "hosts", "env", "locks", "services")
"""Parts that nightmill.yaml decides."""

MOST = 20
LONGEST = 500
"""Differences that are told, and characters of one."""

SERIES = 2
"""Leading numbers of a version that have to agree."""

SHAPES: dict[str, type] = {
    "language": str, "install": list, "hosts": list, "env": dict, "locks": list, "services": list,
    "sources": dict, "tools": list, "platform": dict, "version": int,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference, as a *sentence* of bounded length; *refused* says that nothing may be built with it."""

    what: str
    sentence: str
    refused: bool


def render(record: Record) -> str:
    """The text of the file for *record*."""
    held = {"hash": record.hash, "record": record.plain()}
    return json.dumps(held, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read(tracked: Tracked) -> dict[str, Any] | None:
    """The plain record that was agreed on; None if there is no file.

    Raises:
        SettingsError: If the file is not one that `render` writes.
    """
    if FILE not in tracked:
        return None
    try:
        held = json.loads(tracked.text(FILE))["record"]
        whole = all(isinstance(held[name], kind) for name, kind in SHAPES.items())
        named = whole and all(isinstance(each["name"] + each["found"], str) for each in held["tools"])
    except (ValueError, TypeError, LookupError, RecursionError):
        named = False
    if not named:
        raise SettingsError(f"{FILE} is no environment record", hint="write it anew with `nightmill env lock`")
    agreed: dict[str, Any] = held
    return agreed


def drifts(agreed: dict[str, Any], now: Record) -> tuple[Drift, ...]:
    """How *now* differs from the plain record *agreed*."""
    plain = now.plain()
    found = [] if agreed["version"] == plain["version"] else [_told("version", "it was written by another nightmill")]
    for name in DECIDED:
        if agreed[name] != plain[name]:
            sentence = f"`{name}` is {_short(plain[name])}, and agreed is {_short(agreed[name])}"
            found.append(Drift(what=name, sentence=sentence, refused=True))
    found += _tools(agreed, plain)
    for name in sorted({*agreed["sources"], *plain["sources"]}):
        if agreed["sources"].get(name) != plain["sources"].get(name):
            found.append(_told("sources", f"{name} is not as it was when the environment was agreed on"))
    if agreed["platform"] != plain["platform"]:
        found.append(
            _told("platform", f"this machine is {_short(plain['platform'])}, agreed on {_short(agreed['platform'])}")
        )
    return tuple(replace(drift, sentence=_cut(drift.sentence)) for drift in found)


def hold(now: Record, *, hub: Hub, commit: str) -> tuple[str, ...]:
    """What is to be told of *now* beside the record agreed on in *commit*; empty if there is none.

    Raises:
        SettingsError: If it differs in what has to be as agreed.
    """
    agreed = read(at_commit(hub, commit, (FILE,)))
    found = drifts(agreed, now) if agreed else ()
    refused = [drift.sentence for drift in found if drift.refused]
    if refused:
        raise SettingsError(
            f"the environment is not the one agreed on in {FILE}: {'; '.join(refused[:MOST])}",
            hint="put it right, or agree anew: `nightmill env lock`, and commit the file",
        )
    more = (f"and {len(found) - MOST} differences more",) if len(found) > MOST else ()
    return (*(drift.sentence for drift in found[:MOST]), *more)


def _tools(agreed: dict[str, Any], plain: dict[str, Any]) -> list[Drift]:
    before = {each["name"]: each["found"] for each in agreed["tools"]}
    here = {each["name"]: each["found"] for each in plain["tools"]}
    found = []
    for name in sorted({*before, *here}):
        old, new = before.get(name, ""), here.get(name, "")
        if old == new:
            continue
        refused = bool(old) and name in here and _series(old) != _series(new)
        sentence = f"{name} is {new or 'not there'}, and agreed is {old or 'none'}"
        found.append(Drift(what="tools", sentence=sentence, refused=refused))
    return found


def _series(version: str) -> list[str]:
    return re.findall(r"\d+", version)[:SERIES]


def _told(what: str, sentence: str) -> Drift:
    return Drift(what=what, sentence=sentence, refused=False)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= LONGEST // 2 else f"{text[: LONGEST // 2]}…"


def _cut(sentence: str) -> str:
    """*sentence* without what would make it long: names in the file are whoever's who wrote the commit."""
    return sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}…"
