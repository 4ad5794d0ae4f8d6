"""What somebody sent from an editor: words, and the spec that they put in or named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from acp import schema

from nightmill.errors import SpecError

__all__ = ["Prompt", "read"]

MOST = 1 << 20
"""Bytes of a spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The *text* of a prompt, and the text of its *spec*, "" for none."""

    text: str
    spec: str = ""


def read(blocks: Sequence[Any], *, folder: Path) -> Prompt:
    """*blocks* as a prompt. A spec is what was put in or named as a resource, or a text that begins with a heading.

    Raises:
        SpecError: If a file that is named lies outside *folder*, or cannot be read.
    """
    text, spec = "", ""
    for block in blocks:
        if isinstance(block, schema.TextContentBlock):
            text += block.text
        elif isinstance(block, schema.EmbeddedResourceContentBlock):
            spec = spec or getattr(block.resource, "text", "")
        elif isinstance(block, schema.ResourceContentBlock):
            spec = spec or _file(block.uri, folder)
    return Prompt(text=text.strip(), spec=spec or (text if text.lstrip().startswith("#") else ""))


def _file(uri: str, folder: Path) -> str:
    """The text of the file at *uri*, which an editor names instead of sending it."""
    parts = urlsplit(uri)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or not path.resolve().is_relative_to(folder.resolve()):
        raise SpecError(f"{uri[:200]!r} is no file of this project", hint="name a spec that lies in it")
    try:
        with path.open("rb") as file:
            return file.read(MOST + 1).decode()
    except (OSError, ValueError) as error:
        raise SpecError(f"{str(path)!r} cannot be read as text", hint="a spec is Markdown in UTF-8") from error
