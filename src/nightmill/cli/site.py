"""What this machine gives to projects: sandboxes with the operator's network, and where their environments are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightmill.agent.external import External
    from nightmill.cli.door import Door
    from nightmill.estate.environment import Site
    from nightmill.event import Emit
    from nightmill.sandbox.backends.choose import Choice
    from nightmill.sandbox.network.reach import Request
    from nightmill.settings import Settings

__all__ = ["agents", "authorities", "choice", "make_site", "worker_of"]


def make_site(door: Door, *, emit: Emit | None = None) -> Site:
    """The machine as *door*'s operator set it up; requests of runs are told to *emit*.

    Raises:
        SettingsError: If the credentials cannot be used, or the settings of sandboxes do not fit each other.
    """
    from nightmill.cli.door import credentials
    from nightmill.estate.environment import Site
    from nightmill.sandbox.backends.choose import choose
    from nightmill.sandbox.disk.layers import freeze
    from nightmill.sandbox.network.reach import Network

    settings = door.settings
    network = Network(
        private=frozenset(settings.private_hosts),
        on_request=_telling(emit) if emit else lambda _run, _request: None,
        authorities=authorities(settings.authorities),
        credentials=credentials(),
        upload=settings.upload_megabytes << 20,
    )
    return Site(
        home=settings.home,
        sandboxes=choose(choice(settings), environment=os.environ, network=network, shelf=settings.home / "layers"),
        image=settings.sandbox_image,
        freeze=freeze,
        variables=dict(os.environ),
        allow=settings.allow_hosts,
        credentials=network.credentials,
    )


def choice(settings: Settings) -> Choice:
    """What makes sandboxes here."""
    from nightmill.sandbox.backends.choose import Choice

    return Choice(
        backend=settings.sandbox,
        image=settings.sandbox_image,
        runtime=settings.sandbox_runtime,
        namespace=settings.sandbox_namespace,
        user=settings.sandbox_user,
        require=settings.require,
    )


def agents() -> tuple[External, ...]:
    """The operator's external agents.

    Raises:
        SettingsError: If one cannot be used.
    """
    from nightmill.cli.agents import NAME, load
    from nightmill.cli.door import settings_file

    return load(settings_file(os.environ).with_name(NAME))


def worker_of(door: Door, root: Path, *, asked: bool) -> tuple[Door, External | None]:
    """*door* with the model that is asked in the end, and the external agent that does the developer's work there.

    If nobody *asked* for a model, the developer's role of the project in *root* may name an agent.

    Raises:
        SettingsError: If there is no such agent, or it cannot be used.
    """
    from dataclasses import replace

    from nightmill import crew
    from nightmill.cli.agents import NAME, PREFIX, chosen
    from nightmill.cli.door import settings_file

    settings = door.settings
    role = crew.find(project=crew.in_folder(root), operator=crew.in_folder(settings.home, ("crew",))).role("developer")
    if not asked and role.model.startswith(PREFIX):
        settings = replace(settings, model=role.model)
    settings, agent = chosen(settings, settings_file(os.environ).with_name(NAME))
    return replace(door, settings=settings), agent


def authorities(path: Path) -> Path | None:
    """The file *path*, None if none is set; looked at now, or each sandbox would fail on it."""
    import ssl

    from nightmill.errors import SettingsError

    if path == Path():
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        path.read_bytes().decode("ascii")
    except (OSError, ValueError) as error:
        hint = "authorities: it must be a file of certificates in PEM"
        raise SettingsError(f"the certificates in {str(path)!r} cannot be used: {error}", hint=hint) from error
    return path.absolute()


def _telling(emit: Emit) -> Callable[[str, Request], None]:
    from nightmill import event

    def tell(run: str, request: Request) -> None:
        if run:  # the ledger is about runs: what `init` does is not in it
            emit(event.RequestMade(run=run, **asdict(request)))

    return tell
