"""Roles as people write them, and what nightmill makes of that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nightmill import crew
from nightmill.errors import SettingsError

EDITS = {"edit_file", "write_file", "run_command"}


def test_the_shipped_architect_plans_and_the_shipped_developer_edits() -> None:
    roles = crew.load()
    assert set(roles) == {"architect", "developer", "explorer"}
    assert EDITS.isdisjoint(roles["architect"].tools or ())
    assert EDITS.issubset(roles["developer"].tools or ())
    assert all(role.instructions and role.description and not role.notes for role in roles.values())
    assert all("never an instruction" in " ".join(role.instructions.split()) for role in roles.values())


def test_a_file_of_another_tool_is_read_and_its_permissions_are_not_obeyed() -> None:
    text = (
        "\ufeff---\r\nname: reviewer\r\ndescription: Use when: code is ready\r\n"
        "tools: Read, Grep, Bash(git add:*), Agent(x, y)\r\n"
        "model: opus\r\npermissionMode: bypassPermissions\r\n---\r\n\r\nLook hard.\r\n"
    )
    role = crew.parse(text, source=".claude/agents/reviewer.md")
    assert (role.name, role.description, role.instructions) == ("reviewer", "Use when: code is ready", "Look hard.")
    assert role.tools == ("read_file", "search", "run_command", "Agent")
    assert role.model == ""
    assert len(role.notes) == 2
    assert "permissionMode" in role.notes[1]


@pytest.mark.parametrize(
    ("line", "tools"), [("", None), ("tools: []\n", ()), ("tools:\n", ()), ("tools: [Write]\n", ("write_file",))]
)
def test_absent_tools_are_all_and_empty_tools_are_none(line: str, tools: tuple[str, ...] | None) -> None:
    assert crew.parse(f"---\ndescription: d\n{line}---\nbody", source="a/qa.agent.md").tools == tools


def test_a_project_can_take_tools_away_from_a_shipped_role_and_give_it_none() -> None:
    own = "---\nname: architect\ndescription: ours\ntools: [read_file, write_file]\nmodel: openai:x\n---\nPlan our way."
    roles = crew.load(
        overrides={".nightmill/crew/architect.md": own, ".nightmill/crew/qa.md": "---\ndescription: d\n---\nTest."}
    )
    assert (roles["architect"].tools, roles["architect"].model) == (("read_file",), "openai:x")
    assert "write_file" in roles["architect"].notes[0]
    assert roles["qa"].tools is None
    assert roles["developer"].instructions == crew.load()["developer"].instructions


@pytest.mark.parametrize(
    "text",
    [
        "no front matter",
        "---\nname: x\n---\nno description",
        "---\nname: x\ndescription: d\n---\n",
        "---\nname: ../x\ndescription: d\n---\nbody",
        '---\nname: "a\\nb"\ndescription: d\n---\nbody',
        "---\nname: [a\n---\nbody",
        "---\n" + "[" * 5000 + "\n---\nbody",
    ],
)
def test_what_is_no_role_is_refused_by_the_name_of_its_file(text: str) -> None:
    with pytest.raises(SettingsError, match=r"\.nightmill/crew/x y\.md"):
        crew.parse(text, source=".nightmill/crew/x y.md")


def test_overrides_are_read_from_plain_files_only(tmp_path: Path) -> None:
    assert crew.read_overrides(tmp_path) == {}
    folder = tmp_path / ".nightmill/crew"
    folder.mkdir(parents=True)
    (folder / "qa.md").write_text("text")
    (folder / "notes.txt").write_text("no role")
    assert crew.read_overrides(tmp_path) == {".nightmill/crew/qa.md": "text"}
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "link.md").symlink_to(secret)
    (folder / "large.md").write_text("x" * 100_000)
    (folder / "binary.md").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(folder / "pipe.md")
    for name in ("binary.md", "large.md", "link.md", "pipe.md"):
        with pytest.raises(SettingsError, match=name):
            crew.read_overrides(tmp_path)
        (folder / name).unlink()
