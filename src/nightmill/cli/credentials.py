"""The operator's credentials: a file beside the settings that says where each secret is, read here and nowhere else."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from nightmill.errors import SettingsError
from nightmill.estate.file import identify
from nightmill.sandbox.network.credential import Credential

if TYPE_CHECKING:
    from nightmill.desk.nouns import Use

__all__ = ["NAME", "load", "uses"]

NAME = "credentials.yaml"
LARGEST = 1 << 16

KEYS = ("name", "host", "port", "header", "scheme", "user", "variable", "projects", "from")
REQUIRED = ("name", "host", "projects", "from")
SCHEMES = ("bearer", "basic", "raw")

HINT = "each is a mapping with name, host, projects and from; see docs/guides/network.md"


def load(
    path: Path, *, environment: Mapping[str, str], kept: Callable[[str], Mapping[str, str]] = lambda _: {}
) -> tuple[Credential, ...]:
    """What the file *path* describes, secrets and all; none if there is no such file.

    *kept* gives the secrets of a name by the project whose own each is, "": the operator's. A project's own takes the place
    of the operator's there.

    Raises:
        SettingsError: If others can read it, or it cannot be used. No message holds a secret.
    """
    read = _read(path)
    sources = Sources(environment, kept)
    found = [_credential(each, index) for index, each in enumerate(read)]
    names = [each["name"] for each in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SettingsError(f"two credentials are called {twice[0]!r}", hint="every name once")
    return tuple(one for index, each in enumerate(found) for one in _opened(each, f"credential {index + 1}", sources))


def uses(path: Path) -> tuple[Use, ...]:
    """What the credentials in the file *path* take of the secrets that are kept.

    Raises:
        SettingsError: If others can read it, or it cannot be used.
    """
    from nightmill.desk.nouns import Use

    found = [_credential(each, index) for index, each in enumerate(_read(path))]
    return tuple(
        Use(secret=source, by=each["name"], host=each["host"], projects=each["projects"])
        for each in found
        if (source := each["from"].removeprefix("secret:")) != each["from"]
    )


def _read(path: Path) -> list[Any]:
    body = _private(path, missing=True)
    if body is None:
        return []
    try:
        read = yaml.safe_load(body.decode())
    except (ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""  # not its text: it could be a secret in the wrong place
        raise SettingsError(f"{str(path)!r} is not valid YAML{where}", hint=HINT) from None
    if read is not None and not isinstance(read, list):
        raise SettingsError(f"{str(path)!r} must hold a list of credentials", hint=HINT)
    return read or []


class Sources(NamedTuple):
    """Where secrets are, besides files."""

    environment: Mapping[str, str]
    kept: Callable[[str], Mapping[str, str]]


def _opened(plain: dict[str, Any], where: str, sources: Sources) -> list[Credential]:
    """The credential that *plain* describes with its secret, and those of projects that have one of their own."""
    named = {key: value for key, value in plain.items() if key != "from"}
    general, own = _secrets(plain["from"], where, sources)
    own = {project: secret for project, secret in own.items() if {project, "*"} & set(plain["projects"])}
    made = [Credential(**named | {"projects": (project,)}, of=project, secret=own[project]) for project in sorted(own)]
    return [*([Credential(**named, but=tuple(sorted(own)), secret=general)] if general is not None else []), *made]


def _credential(plain: Any, index: int) -> dict[str, Any]:
    """What *plain* says, judged as far as that is done without its secret."""
    where = f"credential {index + 1}"
    if not isinstance(plain, dict):
        raise SettingsError(f"{where} in {NAME} is no mapping", hint=HINT)
    for key in plain:
        if key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, n=1)
            raise SettingsError(f"{where}: unknown key{f'; did you mean {close[0]}?' if close else ''}", hint=HINT)
    absent = [key for key in REQUIRED if key not in plain]
    if absent:
        raise SettingsError(f"{where} lacks {', '.join(absent)}", hint=HINT)
    texts = {key: str(plain[key]) for key in ("name", "header", "user", "variable") if key in plain}
    scheme, port, projects = plain.get("scheme", "bearer"), plain.get("port", 443), plain["projects"]
    if scheme not in SCHEMES or isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 1 << 16:
        raise SettingsError(f"{where}: its scheme or port cannot be", hint=f"schemes: {', '.join(SCHEMES)}")
    if not isinstance(projects, list) or not all(map(_place, projects)):
        raise SettingsError(f"{where}: projects must be a list", hint='of whole paths of checkouts, or "*" for all')
    return texts | {
        "host": str(plain["host"]).lower().rstrip("."),
        "scheme": scheme,
        "port": port,
        "projects": tuple(each if each == "*" else identify(Path(each).expanduser()) for each in projects),
        "from": str(plain["from"]),
    }


def _place(project: Any) -> bool:
    return isinstance(project, str) and (project == "*" or project.startswith(("/", "~")))


def _secrets(source: str, where: str, sources: Sources) -> tuple[str | None, dict[str, str]]:
    """The secret at *source*, None: there are only those of projects; and these."""
    kind, _, rest = source.partition(":")
    if kind == "env" and rest:
        value = sources.environment.get(rest)
        if value is None:
            raise SettingsError(f"{where}: the environment has no {rest!r}", hint="set it where the worker is started")
        return value, {}
    if kind == "secret" and rest:
        kept = dict(sources.kept(rest))
        if not kept:
            raise SettingsError(f"{where}: no secret {rest!r} is kept", hint=f"nightmill secret set {rest}")
        return kept.pop("", None), kept
    if kind == "file" and rest:
        body = _private(Path(rest).expanduser())
        try:
            return (body or b"").decode("ascii").rstrip("\r\n"), {}
        except UnicodeDecodeError:
            raise SettingsError(f"{where}: {rest!r} is not ASCII", hint="a secret is one line of ASCII") from None
    raise SettingsError(
        f"{where}: from must be secret:NAME, env:NAME or file:PATH", hint="the secret itself is never in this file"
    )


def _private(path: Path, *, missing: bool = False) -> bytes | None:
    """The body of a file that is this user's, and that nobody else may read; None if it may be and is *missing*."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise SettingsError(f"{str(path)!r} is no small file", hint="name a file")
            if status.st_mode & 0o077 or status.st_uid != os.geteuid():
                hint = f"chmod 600 {str(path)!r}, as its owner"
                raise SettingsError(f"{str(path)!r} holds what leads to secrets, and others can read it", hint=hint)
            return file.read()
    except FileNotFoundError:
        if missing:
            return None
        raise SettingsError(f"there is no file {str(path)!r}", hint="correct the credential's `from`") from None
    except OSError as error:
        raise SettingsError(f"{str(path)!r} cannot be read: {error.strerror}", hint="look at its mode") from None
