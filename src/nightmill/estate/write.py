"""A first nightmill.yaml from what was found, each part under a comment that says what it is for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from nightmill.errors import SettingsError
from nightmill.estate import shape
from nightmill.estate.file import NAME
from nightmill.estate.found import Detected
from nightmill.review import Check

__all__ = ["put", "render", "write"]

HEAD = "# How nightmill builds, tests and changes this project. Written by `nightmill init`; it is yours to change."


def render(found: Detected) -> str:
    """The text of the file. Keys with nothing to say stand there as comments, so that they can be found."""
    values = _values(found)
    parts = [HEAD, *(f"# {line}" for line in found.advice)]
    for key in shape.FILE:
        parts.append(f"\n# {key.doc}")
        value = values.get(key.name)
        parts.append(_dump(key.name, value) if value else f"# {key.name}: {_example(key)}")
    return "\n".join(parts) + "\n"


def write(root: Path, text: str, *, replace: bool) -> Path:
    """Write *text* to *root*'s nightmill.yaml, whole or not at all.

    Raises:
        SettingsError: If there is one already and *replace* is False, or it cannot be written.
    """
    return put(root, NAME, text, replace=replace)


def put(folder: Path, called: str, text: str, *, replace: bool) -> Path:
    """Write *text* to the file *called* in *folder*, whole or not at all; a link of that name is not followed.

    Raises:
        SettingsError: If there is one already and *replace* is False, or it cannot be written.
    """
    target = folder / called
    try:
        handle, name = tempfile.mkstemp(prefix=f".{called}.", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        try:
            # A link fails where a file stands; a rename would replace it.
            Path(name).replace(target) if replace else os.link(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
    except FileExistsError as error:
        raise SettingsError(
            f"{str(target)!r} is there already", hint="change it by hand, or have it written anew with --again"
        ) from error
    except OSError as error:
        raise SettingsError(f"{str(target)!r} cannot be written: {error.strerror}") from error
    return target


def _values(found: Detected) -> dict[str, Any]:
    return {
        "language": found.language,
        "install": list(found.install),
        "hosts": list(found.hosts),
        "env": found.env,
        "locks": list(found.locks),
        "checks": [_check(check) for check in found.checks],
        "services": list(found.services),
        "instructions": list(found.instructions),
    }


def _check(check: Check) -> dict[str, Any]:
    read = {"report": check.report, "least": check.least}
    plain = {"name": check.name, "run": check.command, "format": check.format}
    return plain | {name: value for name, value in read.items() if value} | {"seconds": int(check.seconds)}


def _dump(name: str, value: Any) -> str:
    return yaml.safe_dump(
        {name: value}, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=False
    ).strip()


def _example(key: shape.Key) -> str:
    examples = {
        "budget": "20",
        "checks": "[{name: tests, run: make test, format: exit, seconds: 600}]",
        "limits": "{seconds: 30, memory: 2 GB, processes: 512}",
        "protected": "[.github/**]",
        "co_author": "Ada Example <ada@example.org>",
        "env": "{TZ: UTC}",
        "policy": "{rules: [{paths: [src/payments/**], reviews: {security: 1}, approvals: 2}]}",
        "services": "[{use: postgres}, {name: web, run: exec python3 -m http.server 8000, ready: curl -sf localhost:8000}]",
    }
    return examples.get(key.name, "[]")
