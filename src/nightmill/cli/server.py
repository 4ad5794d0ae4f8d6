"""The server: serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket as sockets

    from nightmill.access import Person
    from nightmill.cli.door import Door
    from nightmill.server.identity.provider import Provider
    from nightmill.server.site import Site

__all__ = ["register"]

PORT = 8470


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need --origin.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = PORT,
    origin: Annotated[str, typer.Option(help="Where browsers find it, such as https://mill.example.org.")] = "",
    sign_in: Annotated[bool, typer.Option("--sign-in/--no-sign-in", help="Without: whoever comes is you.")] = True,
    workers: Annotated[int, typer.Option(min=0, max=16, help="Workers to keep beside it.")] = 1,
) -> None:
    """Serve pages, the API and live events, until Ctrl-C."""
    import asyncio

    from nightmill.cli import descriptors, logs
    from nightmill.cli.door import here, own_door

    door = own_door()
    logs.begin(door.hidden.text)
    files = descriptors.raised(descriptors.SERVER, what="a server")
    found = _origin(origin, host=host)
    socket = _listen(host, port)
    found = found or f"http://{_shown(host)}:{socket.getsockname()[1]}"
    if not sign_in:
        _alone(found, host=host)
    site = _site(door, origin=found, local=None if sign_in else here())
    asyncio.run(_serve(site, socket, workers=workers, files=files))


async def _serve(site: Site, socket: sockets.socket, *, workers: int, files: int) -> None:
    from nightmill.cli.hands import hands
    from nightmill.cli.serve import end_on_signals
    from nightmill.server import process

    end_on_signals()
    async with hands(site.door, workers):
        await process.run(site, socket=socket, ready=lambda: _announce(site), files=files)


def _site(door: Door, *, origin: str, local: Person | None) -> Site:
    import time

    from nightmill.cli.starter import DoorStarter
    from nightmill.server.feed import Feed
    from nightmill.server.site import Site
    from nightmill.server.source import LedgerSource
    from nightmill.store.drafts import Drafts
    from nightmill.store.keys import Keys
    from nightmill.store.people import People

    people = People(door.database, time.time)
    provider = _provider(door, origin=origin)
    keys = Keys(door.database, time.time, known=people.known)
    return Site(
        door=door,
        people=people,
        keys=keys,
        feed=Feed(LedgerSource(door), Drafts(door.database)),
        origin=origin,
        clock=time.time,
        local=local,
        provider=provider,
        starter=DoorStarter(door, here=False),
    )


def _provider(door: Door, *, origin: str) -> Provider | None:
    """Who speaks for people besides their passwords. It is asked nothing yet: it may be down while the server starts."""
    import time

    from nightmill.cli.site import authorities
    from nightmill.server.identity import config

    if (found := config.read(door.settings)) is None:
        return None
    _name_unknown(door, {grant.project for _, grant in found.roles})
    from nightmill.server.identity.line import Line
    from nightmill.server.identity.provider import Provider

    line = Line(authorities(door.settings.authorities))
    return Provider(found, back=f"{origin}/sign-in/back", line=line, clock=time.time)


def _name_unknown(door: Door, named: set[str]) -> None:
    """Say which of the projects that are *named* in `oidc_roles` are not here: a rule gives nothing where there is none."""
    from nightmill.access import EVERY
    from nightmill.cli.screen import say
    from nightmill.store import projects

    for project in sorted(named - {EVERY} - {each.id for each in projects.known(door.database)}):
        say(f"! oidc_roles gives roles in {project!r}, and there is no such project", style="yellow")


def _announce(site: Site) -> None:
    from urllib.parse import urlsplit

    from nightmill.cli.screen import say

    if site.local is None and not site.people.anybody():
        from nightmill.access import Grant
        from nightmill.cli.door import person

        by = person()
        address = by.partition("<")[2].rstrip(">")
        secret = site.people.invite(address, grants=[Grant(role="admin")], by=by)
        say(f"nobody is let in yet. Set it up, once and within three days: {site.origin}/welcome/{secret}")
    say(f"nightmill is at {site.origin}; Ctrl-C stops it, and runs go on with the next worker")
    if not site.secure and not _is_loopback(urlsplit(site.origin).hostname or ""):
        say(f"! {site.origin} is without TLS: who is on the way reads passwords and sessions", style="yellow")


def _origin(text: str, *, host: str) -> str:
    """*text* as browsers name an origin; "" for none.

    Raises:
        SettingsError: If it is none, or one is needed.
    """
    from urllib.parse import urlsplit

    from nightmill.errors import SettingsError

    if not text:
        if not _is_loopback(host):
            raise SettingsError(
                f"{host} is not only this machine, so it has to be said where browsers find the server",
                hint="--origin https://mill.example.org, with TLS by a proxy in front",
            )
        return ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.query or "@" in text:
        raise SettingsError(f"{text!r} is no origin", hint="such as https://mill.example.org")
    return f"{parts.scheme}://{parts.netloc.casefold()}"


def _alone(origin: str, *, host: str) -> None:
    """Look whether only this machine comes to *origin*.

    Raises:
        SettingsError: If others may, who would all be taken for who started it.
    """
    from urllib.parse import urlsplit

    from nightmill.errors import SettingsError

    if not _is_loopback(host):
        raise SettingsError("without sign-in it listens on this machine only", hint="leave --host or --no-sign-in out")
    if not _is_loopback(urlsplit(origin).hostname or ""):
        raise SettingsError(
            f"without sign-in everybody who finds it at {origin} would be you",
            hint="leave --origin or --no-sign-in out",
        )


def _listen(host: str, port: int) -> sockets.socket:
    import socket

    from nightmill.errors import SettingsError

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise SettingsError(
            f"nothing can listen on {host} port {port}: {error.strerror}", hint="--port 0 takes one that is free"
        ) from error


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
