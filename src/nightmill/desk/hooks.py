"""Webhooks as people handle them: added with a secret that is shown once, tried out, removed, and sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import NamedTuple

from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.hook import Letter, fresh, post
from nightmill.hook.post import Outside, read_url
from nightmill.store.hooks import Hook

__all__ = ["Added", "add", "kept", "outside", "remove", "secret", "try_out"]


class Added(NamedTuple):
    """A webhook, and what its letters are signed with, which nothing shows again."""

    hook: Hook
    secret: str


def outside(door: Door) -> Outside:
    """The network as webhooks reach it."""
    return Outside(private=door.settings.private_hosts)


def add(door: Door, url: str, *, events: Collection[str], project: str, by: str) -> Added:
    """Tell *url* from now on of *events* (none: of all) in *project* ("": in every one).

    Raises:
        SettingsError: If nothing can be sent there, or an event or the project is unknown.
    """
    host = read_url(url, private=door.settings.private_hosts).hostname or ""
    made, key = door.hooks.add(url, host=host, events=events, project=project, by=by), fresh()
    try:
        door.vault.put(_named(made.id), key, at=made.added)
    except BaseException:
        door.hooks.remove(made.id, by=by)
        raise
    return Added(made, key)


def remove(door: Door, id: str, *, by: str) -> None:
    """Tell it nothing more, and forget its secret.

    Raises:
        SettingsError: If there is no such webhook.
    """
    door.hooks.remove(id, by=by)
    if _named(id) in door.vault.names():
        door.vault.remove(_named(id))


def kept(door: Door, id: str) -> str | None:
    """What letters to the webhook *id* are signed with, if it is kept in this home.

    Raises:
        SettingsError: If it cannot be opened.
    """
    return door.vault.get(_named(id))


def secret(door: Door, id: str) -> str:
    """What letters to the webhook *id* are signed with.

    Raises:
        SettingsError: If it is not kept here, or cannot be opened.
    """
    if (found := kept(door, id)) is None:
        raise SettingsError(f"the secret of webhook {id} is not in this home", hint="remove it and add it again")
    return found


async def try_out(door: Door, id: str, *, now: float) -> None:
    """Send a letter of the type "test" to the webhook *id* now, once.

    Raises:
        SettingsError: If there is no such webhook.
        Undelivered: If it did not arrive.
    """
    hook, key = await asyncio.to_thread(lambda: (door.hooks.get(id), secret(door, id)))
    body = json.dumps({"type": "test", "at": now, "hook": id}).encode()
    sent = Letter(url=hook.url, id=f"{id}.test.{now:.6f}", body=body)
    await post(sent, sent.headers(key, at=int(now)), outside(door))


def _named(id: str) -> str:
    return f"webhook.{id}"
