"""What every command starts with: settings, and who is there. Only here is the environment read."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmill.desk.door import STALE, Door
from nightmill.errors import SettingsError
from nightmill.settings import Settings, load

__all__ = [
    "KEYS",
    "STALE",
    "Door",
    "credentials",
    "fingerprints",
    "for_workers",
    "here",
    "keeper",
    "keys",
    "new_key",
    "open_door",
    "own_door",
    "person",
    "server",
    "settings",
    "settings_file",
    "token",
    "vault",
]

if TYPE_CHECKING:
    from nightmill.access import Person
    from nightmill.desk.nouns import Use
    from nightmill.sandbox.network.credential import Credential
    from nightmill.store.vault import Vault

PERSON = re.compile(r"[^<>@]+ <[^\s@<>]+@[^\s@<>]+>")

KEYS = {account: f"{account.upper()}_API_KEY" for account in ("anthropic", "openai", "gemini", "ollama")}


server: ContextVar[str | None] = ContextVar("server", default=None)
"""What `--server` says, which stands before the command; None: it was not given."""


def settings(**flags: Any) -> Settings:
    """The settings in force: file, then environment, then *flags*.

    Raises:
        SettingsError: If the file or a value is wrong.
    """
    environment = dict(os.environ)
    found = load(file=_file(environment), environment=environment, flags={"server": server.get(), **flags})
    if found.home == Path():
        data = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        found = replace(found, home=data / "nightmill")
    return replace(found, home=found.home.absolute())


def open_door(**flags: Any) -> Door:
    """The store here.

    Raises:
        SettingsError: If the settings are wrong, or name a server: what comes here can only be done where its store is.
    """
    found = settings(**flags)
    if found.server:
        raise SettingsError(
            f"this works on a store itself, and not through the server {found.server!r}",
            hint='`nightmill --server "" …` does it here; else give the command where the server runs',
        )
    return Door(found, secrets=_secrets, key=_key, uses=_uses, keys=_checked_keys)


def token() -> str:
    """What is shown to a server; never on a command line, where other users of the machine see it."""
    return os.environ.get("NIGHTMILL_TOKEN", "").strip()


def keys() -> dict[str, str]:
    """Providers' keys, by provider: of the environment, or else of the secrets that are kept.

    Raises:
        SettingsError: If one is kept and cannot be opened.
    """
    kept = _kept()
    found = {provider: os.environ.get(name) or (kept and kept.get(name)) for provider, name in KEYS.items()}
    return {provider: value for provider, value in found.items() if value}


def fingerprints() -> dict[str, str]:
    """By provider, what tells its key from any other and does not give it away; none where kept ones cannot be opened here."""
    from hashlib import sha256

    with suppress(SettingsError):
        return {provider: sha256(key.encode()).hexdigest() for provider, key in keys().items()}
    return {}


def _checked_keys() -> dict[str, str]:
    """As `keys`, where the operator's credentials can be used, too: what is wrong with them is said before money is spent."""
    credentials()
    return keys()


def credentials() -> tuple[Credential, ...]:
    """The operator's credentials.

    Raises:
        SettingsError: If they cannot be used.
    """
    from nightmill.cli.credentials import NAME, load

    return load(settings_file(os.environ).with_name(NAME), environment=os.environ, kept=_kept_as)


def keeper() -> Door:
    """The store of the secrets, which is here whatever server is looked at.

    Raises:
        SettingsError: If the settings are wrong.
    """
    return Door(settings(), secrets=_secrets, key=_key, uses=_uses)


def own_door() -> Door:
    """The store here, for what is about it whatever server the environment or the settings file name.

    Raises:
        SettingsError: If the settings are wrong, or `--server` names one all the same.
    """
    if named := server.get():
        raise SettingsError(
            f"this is about the store here, and never about the server {named!r}",
            hint="leave out --server; at the server it is started there",
        )
    return open_door(server="")


def vault() -> Vault:
    """The secrets that are kept in the home.

    Raises:
        SettingsError: If NIGHTMILL_SECRET_KEY is no key.
    """
    return keeper().vault


def _kept_as(name: str) -> dict[str, str]:
    """The secrets called *name*, by the project whose own each is; "": the operator's."""
    kept, found = vault(), {}
    for each in kept.names():
        project, _, its = each.rpartition("/")
        if its == name and (value := kept.get(each)) is not None:
            found[project] = value
    return found


def _uses() -> tuple[Use, ...]:
    """What takes secrets that are kept: providers, and the credentials."""
    from nightmill.cli.credentials import NAME, uses
    from nightmill.desk.nouns import Use

    models = [
        Use(secret=name, by=f"models of {account}", hidden=bool(os.environ.get(name))) for account, name in KEYS.items()
    ]
    return (*models, *uses(settings_file(os.environ).with_name(NAME)))


def _key() -> bytes | None:
    from nightmill.store.vault import read_key

    given = os.environ.get("NIGHTMILL_SECRET_KEY")
    return read_key(given) if given else None


def _kept() -> Vault | None:
    """The secrets, if there are any: what must start at once loads nothing for none."""
    return vault() if (settings().home / "secrets.json").exists() else None


def new_key() -> bytes | None:
    """The key to which `secret rotate` goes; None: one of its own making.

    Raises:
        SettingsError: If NIGHTMILL_SECRET_KEY_NEW is no key.
    """
    from nightmill.store.vault import read_key

    given = os.environ.get("NIGHTMILL_SECRET_KEY_NEW")
    return read_key(given) if given else None


def _secrets() -> list[str]:
    """Everything that must be in no ledger and no blob. What cannot be read now is not used by this process either."""
    found: list[str] = []
    for some in (_of_providers, _of_vault, _of_credentials):
        with suppress(SettingsError, OSError):
            found += some()
    return found


def _of_providers() -> list[str]:
    return [*keys().values(), *filter(None, [token()])]


def _of_vault() -> list[str]:
    kept = _kept()
    return list(kept.values().values()) if kept else []


def _of_credentials() -> list[str]:
    there = settings_file(os.environ).with_name("credentials.yaml").exists()  # nothing is loaded for none
    return [each.secret for each in credentials()] if there else []


def for_workers(door: Door) -> dict[str, str]:
    """The environment of workers that are started here: all but what is for looking at a server."""
    left = {name: value for name, value in os.environ.items() if name not in {"NIGHTMILL_SERVER", "NIGHTMILL_TOKEN"}}
    return {**left, "NIGHTMILL_HOME": str(door.settings.home)}


def person() -> str:
    """Who is at this terminal, as "Name <address>", for the record, for approvals and for merges.

    Raises:
        SettingsError: If the setting `person` does not say it.
    """
    environment = dict(os.environ)
    if said := load(file=_file(environment), environment=environment, flags={}).person:
        if not PERSON.fullmatch(said):
            raise SettingsError(f"the setting person is {said!r}", hint="write it as 'Ada Example <ada@example.org>'")
        return said
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user} <{user}@{os.uname().nodename}>"


def here() -> Person:
    """Whoever is at this terminal, who may do everything with this store anyway."""
    from email.utils import parseaddr

    from nightmill.access import Grant, Person

    name, address = parseaddr(person())
    return Person(name=name, address=address.casefold(), grants=(Grant(role="admin"),), way="local")


def settings_file(environment: Mapping[str, str]) -> Path:
    """Where the settings file is, or would be."""
    config = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(environment.get("NIGHTMILL_SETTINGS") or config / "nightmill" / "settings.yaml")


def _file(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the settings file holds; only one that is named has to be there."""
    named, path = environment.get("NIGHTMILL_SETTINGS"), settings_file(environment)
    hint = "it holds lines like `budget_turns: 50`"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if named:
            raise SettingsError(f"there is no settings file {named!r}", hint="correct NIGHTMILL_SETTINGS") from error
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, error, hint) from error
    import yaml  # what must start at once mostly has no file to read

    try:
        read = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise _unreadable(path, error, hint) from error
    if read is not None and not isinstance(read, dict):
        raise SettingsError(f"the settings file {str(path)!r} must hold `name: value` lines", hint=hint)
    return read or {}


def _unreadable(path: Path, error: Exception, hint: str) -> SettingsError:
    return SettingsError(f"the settings file {str(path)!r} cannot be read: {' '.join(str(error).split())}", hint=hint)
