"""What the guide tells people to write into their programs' settings is read by those, and starts what it says."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.whole import Mill, repository

GUIDE = Path(__file__).parents[2] / "docs/guides/assistant.md"


def test_each_snippet_is_of_its_language_and_each_command_in_it_serves(tmp_path: Path) -> None:
    mill = Mill(folder=tmp_path)
    found = re.findall(r"```(json|toml)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    commands = {words for kind, text in found for words in started((json if kind == "json" else tomllib).loads(text))}

    assert {words[1] for words in commands} == {"mcp", "acp"}
    for program, *words in commands:
        assert program == "nightmill"
        done = subprocess.run(
            [*mill.command(), *words], cwd=repository(tmp_path / "calc" / "-".join(words)), env=mill.variables(),
            input=b"", capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, b""), done.stderr


def started(value: Any) -> Iterator[tuple[str, ...]]:
    """The commands in *value*, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("command"), str):
            yield (value["command"], *value["args"])
        elif isinstance(value.get("command"), list):
            yield tuple(value["command"])
        for each in value.values():
            yield from started(each)
