"""Webhooks as people handle them: added with a secret that is shown once, tried out, given another secret, removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection

from nightmill.desk.door import Door
from nightmill.desk.office import Added
from nightmill.errors import SettingsError
from nightmill.hook import Letter, Undelivered, fresh, post
from nightmill.hook.post import Outside, read_url
from nightmill.told import Delivery

__all__ = ["UNHEARD", "add", "forget", "kept", "outside", "remove", "rotate", "secrets", "try_out"]

UNHEARD = "look at its address and at what answers there"
"""What to do where a letter did not arrive."""
BOTH = 86_400.0
"""Seconds after a rotation in which letters are signed with the secret before, too: so long its receiver may take."""


def outside(door: Door) -> Outside:
    """The network as webhooks reach it."""
    return Outside(private=door.settings.private_hosts)


def add(door: Door, url: str, *, events: Collection[str], project: str, by: str, id: str = "") -> Added:
    """Tell *url* from now on of *events* (none: of all) in *project* ("": in every one), as the webhook *id* ("": a new one).

    Of one that is there already, as whoever made it was cut off, the secret is another then: nobody was shown it.

    Raises:
        SettingsError: If nothing can be sent there, or an event or the project is unknown.
    """
    host = read_url(url, private=door.settings.private_hosts).hostname or ""
    made, key = door.hooks.add(url, host=host, events=events, project=project, by=by, id=id), fresh()
    try:
        door.vault.put(_named(made.id), key, at=made.added, by=by)
    except BaseException:
        door.hooks.remove(made.id, by=by)
        raise
    return Added(made, key)


def remove(door: Door, id: str, *, by: str) -> None:
    """Tell it nothing more, and forget its secrets.

    Raises:
        SettingsError: If there is no such webhook.
    """
    door.hooks.remove(id, by=by)
    forget(door, id)


def forget(door: Door, id: str) -> None:
    """Forget the secrets of the webhook *id*, which is told nothing more."""
    for name in {_named(id), _before(id)} & door.vault.names().keys():
        door.vault.remove(name)


def rotate(door: Door, id: str, *, by: str, at: float, at_once: bool) -> str:
    """A new secret for the webhook *id*. That of now is good for a day more, unless it has to end *at_once*.

    Raises:
        SettingsError: If there is no such webhook, or its secret is in another home or cannot be opened.
    """
    now, key = secrets(door, id, at=at)[0], fresh()
    door.hooks.change(id, "rotated", by=by)
    if at_once and _before(id) in door.vault.names():
        door.vault.remove(_before(id))
    if not at_once:
        door.vault.put(_before(id), now, at=at, by=by)
    door.vault.put(_named(id), key, at=at, by=by)
    return key


def kept(door: Door, id: str, *, at: float) -> tuple[str, ...]:
    """What letters to the webhook *id* are signed with *at* that time, the newest first; none: it is not in this home.

    Raises:
        SettingsError: If one cannot be opened.
    """
    vault, before = door.vault, door.vault.names().get(_before(id))
    names = (_named(id), *((_before(id),) if before and at < before.at + BOTH else ()))
    return tuple(value for name in names if (value := vault.get(name)) is not None)


def secrets(door: Door, id: str, *, at: float) -> tuple[str, ...]:
    """What letters to the webhook *id* are signed with *at* that time.

    Raises:
        SettingsError: If it is not kept here, or cannot be opened.
    """
    if not (found := kept(door, id, at=at)):
        raise SettingsError(f"the secret of webhook {id} is not in this home", hint="remove it and add it again")
    return found


async def try_out(door: Door, id: str, *, now: float) -> int:
    """Send a letter of the type "test" to the webhook *id* now, once; the status of the answer.

    Raises:
        SettingsError: If there is no such webhook.
        Undelivered: If it did not arrive.
    """
    hook, keys = await asyncio.to_thread(lambda: (door.hooks.get(id), secrets(door, id, at=now)))
    body = json.dumps({"type": "test", "at": now, "hook": id}).encode()
    sent = Letter(url=hook.url, id=f"{id}.test.{now:.6f}", body=body)
    began, status, reason = asyncio.get_running_loop().time(), 0, ""
    try:
        status = await post(sent, sent.headers(keys, at=int(now)), outside(door))
    except Undelivered as error:
        status, reason = error.status, str(error)
        raise
    finally:
        seconds = asyncio.get_running_loop().time() - began
        told = Delivery(seq=0, event="test", at=now, seconds=seconds, status=status, reason=reason)
        await asyncio.to_thread(door.hooks.tried, id, told)
    return status


def _named(id: str) -> str:
    return f"webhook.{id}"


def _before(id: str) -> str:
    return f"webhook.{id}.before"
