"""Prompts are files, and a prompt says where it came from."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib import resources
from pathlib import Path
from string import Template

import pytest

import nightmill
from nightmill.errors import SettingsError
from nightmill.prompt import part, render

PARTS = Path(str(resources.files("nightmill.prompt"))) / "parts"
NAMES = sorted(str(file.relative_to(PARTS).with_suffix("")) for file in PARTS.rglob("*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_a_part_names_itself_and_can_be_filled_in(name: str) -> None:
    raw = (PARTS / f"{name}.md").read_text(encoding="utf-8")
    found = part(name)
    values = dict.fromkeys(Template(found.text).get_identifiers(), "a value of ${title} and $5")
    filled = render(name, **values)

    assert re.match(rf"---\nname: {name}\nversion: \d+\n---\n", raw)
    assert found.digest == filled.digest == sha256(raw.encode()).hexdigest()
    assert not found.text.startswith("---")
    assert Template(found.text).is_valid()
    assert filled.text.count("${title} and $5") == len(re.findall(r"\$\{\w+\}", found.text))


@pytest.mark.parametrize("name", NAMES)
def test_a_part_is_used_somewhere(name: str) -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in Path(nightmill.__file__).parent.rglob("*.py"))
    folder, _, last = name.partition("/")

    assert f'"{name}"' in source or f"'{name}'" in source or (folder in {"guard", "finish"} and f'"{last}"' in source)


def test_a_name_without_a_value_is_an_error_that_names_it() -> None:
    with pytest.raises(SettingsError, match="'agent/review' cannot be filled in: 'inputs'"):
        render("agent/review", goal="Judge it.")


def test_a_part_that_is_not_there_is_a_damaged_installation() -> None:
    with pytest.raises(SettingsError, match="no prompt 'developer/none'"):
        part("developer/none")


def test_the_same_values_give_the_same_bytes() -> None:
    values = {"goal": "it\nfails", "inputs": ""}

    assert render("agent/review", **values) == render("agent/review", **values)
