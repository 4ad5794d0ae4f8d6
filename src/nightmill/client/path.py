"""Paths of the API. What somebody typed never leaves its place in one."""

from __future__ import annotations

from urllib.parse import quote

from nightmill.errors import SettingsError

__all__ = ["API", "path"]

API = "/api/v1"


def path(*names: str) -> str:
    """The path of these *names*, each of them one step.

    Raises:
        SettingsError: If one is none: no text, or what leads elsewhere on its way, as `..` does.
    """
    if any(name in {"", ".", ".."} for name in names):
        raise SettingsError(
            f"{next(each for each in names if each.strip('.') == '')!r} names nothing", hint="give a name"
        )
    try:
        return "/".join((API, *(quote(name, safe="") for name in names)))
    except UnicodeEncodeError as error:
        raise SettingsError(f"{error.object!r} is no text", hint="give a name") from error
