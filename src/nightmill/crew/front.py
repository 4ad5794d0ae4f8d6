"""Front matter: the few lines of YAML at the head of roles and skills, read as people write them."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from nightmill.errors import SettingsError

__all__ = ["split"]

HEAD = re.compile(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
BARE = re.compile(r"^([\w-]+):[ \t]+(?![\"'|>\[{])(.*:.*)$", re.MULTILINE)


def split(text: str, source: str) -> tuple[dict[str, Any], str]:
    """The front matter of *text*, empty if it has none, and what stands below it.

    Raises:
        SettingsError: If the front matter is not YAML, nor what is often written for it.
    """
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").lstrip()
    found = HEAD.match(plain)
    if not found:
        return {}, plain.strip()
    try:
        try:
            head = yaml.safe_load(found[1])
        except yaml.YAMLError:
            # "description: Use when: …" is written everywhere and is not YAML
            head = yaml.safe_load(BARE.sub(lambda line: f"{line[1]}: {json.dumps(line[2])}", found[1]))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"{source}: the front matter is not YAML: {error}", hint="put values with ':' in quotes"
        ) from error
    return head if isinstance(head, dict) else {}, plain[found.end() :].strip()
