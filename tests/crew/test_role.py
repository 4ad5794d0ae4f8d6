"""Roles as people write them, and what nightmill makes of that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from nightmill import crew
from nightmill.crew.role import TOOLS, parse
from nightmill.errors import SettingsError
from nightmill.repo import Hub
from nightmill.tool import developing, exploring
from tests import whole

EDITS = {"edit_file", "write_file", "run_command"}
KEPT_BY_ARCHITECT = ("read_file", "read_output", "update_todo", "finish")
"""What it asked for, and what does nothing outside its conversation."""


def test_the_shipped_architect_plans_and_the_shipped_developer_edits() -> None:
    found = crew.find()
    roles = {role.name: role for role in found.roles}
    assert set(roles) == {"architect", "dispatcher", "developer", "explorer", "qa", "reviewer", "security"}
    assert EDITS.isdisjoint(roles["architect"].tools or ())
    assert EDITS.issubset(roles["developer"].tools or ())
    assert found.notes == ()
    assert all(role.instructions and role.description and role.tools is not None for role in found.roles)
    assert all("never an instruction" in " ".join(role.instructions.split()) for role in found.roles)
    assert len({role.point_of_view for role in found.roles} - {""}) == len(found.roles), "a view of its own"
    writes = {name: role.writes for name, role in roles.items() if role.writes != "nothing"}
    assert writes == {"developer": "code", "qa": "tests"}


def test_a_file_of_another_tool_is_read_and_its_permissions_are_not_obeyed() -> None:
    text = (
        "\ufeff---\r\nname: reviewer\r\ndescription: Use when: code is ready\r\n"
        "tools: Read, Grep, Bash(git add:*), Agent(x, y)\r\n"
        "model: opus\r\npermissionMode: bypassPermissions\r\n---\r\n\r\nLook hard.\r\n"
    )
    role = crew.parse(text, source=".claude/agents/reviewer.md")
    assert (role.name, role.description, role.instructions) == ("reviewer", "Use when: code is ready", "Look hard.")
    assert role.tools == ("read_file", "search", "run_command", "explore")
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
    new = "---\ndescription: d\n---\nTest."
    found = crew.find(project={".nightmill/crew/architect.md": own, ".nightmill/crew/writer.md": new})
    architect, shipped = found.role("architect"), crew.find().role("architect")
    assert (architect.tools, architect.model, architect.writes) == (KEPT_BY_ARCHITECT, "openai:x", "nothing")
    assert architect.point_of_view == shipped.point_of_view
    assert any("write_file" in note for note in found.notes)
    assert (found.role("writer").tools, found.role("writer").writes) == (None, "code")
    assert found.role("developer") == crew.find().role("developer")


def test_who_judges_is_not_made_to_write_by_a_project_but_by_the_operator() -> None:
    own = {"crew/reviewer.md": "---\ndescription: d\n---\nWrite."}
    assert crew.find(project=own).role("reviewer").writes == "nothing"
    assert crew.find(operator=own).role("reviewer").writes == "code"
    narrow = {".claude/agents/reviewer.md": "---\ndescription: d\ntools: Read\n---\nRead."}
    both = crew.find(operator=own, project=narrow).role("reviewer")
    assert (both.writes, both.source) == ("nothing", ".claude/agents/reviewer.md")


@pytest.mark.parametrize(
    ("head", "writes"),
    [
        ("", "code"),
        ("tools: [read_file]\n", "nothing"),
        ("tools: [read_file]\nwrites: code\n", "nothing"),
        ("tools: [run_command]\n", "code"),
        ("tools: [run_command]\nwrites: nothing\n", "nothing"),
        ("tools: [edit_file]\nwrites: tests\n", "tests"),
        ("writes: everything\n", "nothing"),
        ("writes: [code]\n", "nothing"),
    ],
)
def test_what_a_role_writes_is_what_it_says_within_what_its_tools_can(head: str, writes: str) -> None:
    assert crew.parse(f"---\ndescription: d\n{head}---\nbody", source="a.md").writes == writes


def test_a_file_for_another_program_that_is_no_role_is_left_out_and_told_and_ours_goes_first() -> None:
    role = "---\nname: writer\ndescription: d\n---\n{}"
    found = crew.find(
        project={
            ".claude/agents/notes.md": "remember the milk",
            ".claude/agents/writer.md": role.format("theirs"),
            ".nightmill/crew/writer.md": role.format("ours"),
        }
    )
    assert found.role("writer").instructions == "ours"
    assert any("notes.md" in note and "left out" in note for note in found.notes)
    assert any("goes before .claude/agents/writer.md" in note for note in found.notes)
    with pytest.raises(SettingsError, match="no role 'notes'"):
        found.role("notes")


def test_a_crew_crosses_the_store() -> None:
    adapter = TypeAdapter(crew.Crew)
    assert adapter.validate_json(adapter.dump_json(crew.find())) == crew.find()


def test_roles_are_read_from_the_commit_and_not_from_what_lies_beside_it(tmp_path: Path) -> None:
    root = whole.repository(tmp_path / "repo")
    folder = root / ".nightmill/crew"
    folder.mkdir(parents=True)
    (folder / "writer.md").write_text("---\ndescription: d\n---\nAs committed.")
    (folder / "deep").mkdir()
    (folder / "deep/other.md").write_text("no role of ours")
    whole.git(root, "add", "-A")
    whole.git(root, "commit", "-qm", "roles")
    (folder / "writer.md").write_text("---\ndescription: d\n---\nChanged since.")
    hub = Hub(tmp_path / "hub.git")
    hub.create(branch="main", format="sha1", signers=tmp_path / "signers")
    commit = hub.take(root, "HEAD")

    found = crew.at_commit(hub, commit)
    assert list(found) == [".nightmill/crew/writer.md"]
    assert crew.find(project=found).role("writer").instructions == "As committed."
    assert crew.find(project=crew.in_folder(root)).role("writer").instructions == "Changed since."


def test_a_link_in_a_commit_is_no_role(tmp_path: Path) -> None:
    root = whole.repository(tmp_path / "repo")
    (root / ".nightmill/crew").mkdir(parents=True)
    (root / ".nightmill/crew/qa.md").symlink_to("/etc/passwd")
    whole.git(root, "add", "-A")
    whole.git(root, "commit", "-qm", "a link")
    hub = Hub(tmp_path / "hub.git")
    hub.create(branch="main", format="sha1", signers=tmp_path / "signers")
    commit = hub.take(root, "HEAD")

    with pytest.raises(SettingsError, match="is a link"):
        crew.at_commit(hub, commit)


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
    assert crew.in_folder(tmp_path) == {}
    folder = tmp_path / ".nightmill/crew"
    folder.mkdir(parents=True)
    (folder / "qa.md").write_text("text")
    (folder / "notes.txt").write_text("no role")
    assert crew.in_folder(tmp_path) == {".nightmill/crew/qa.md": "text"}
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "link.md").symlink_to(secret)
    (folder / "large.md").write_text("x" * 100_000)
    (folder / "binary.md").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(folder / "pipe.md")
    for name in ("binary.md", "large.md", "link.md", "pipe.md"):
        with pytest.raises(SettingsError, match=name):
            crew.in_folder(tmp_path)
        (folder / name).unlink()


def test_the_names_of_tools_are_those_that_there_are() -> None:
    assert {*developing("openai:m").tools, *exploring().tools} == TOOLS


@pytest.mark.parametrize(
    ("tools", "line", "near"),
    [("[read_file, serch]", 4, "search"), ("\n  - Read\n  - Bsh", 6, "Bash"), ("Read, quantum_leap", 4, "edit_file")],
)
def test_a_tool_that_nobody_has_is_refused_with_its_place_and_what_is_near(tools: str, line: int, near: str) -> None:
    text = f"---\nname: tester\ndescription: Tests.\ntools: {tools}\n---\nYou test.\n"
    with pytest.raises(SettingsError, match=rf"crew/tester\.md:{line}: there is no tool") as caught:
        parse(text, source=".nightmill/crew/tester.md")
    assert near in caught.value.hint


def test_tools_of_claude_code_are_ours_and_those_that_we_do_not_have_are_noted() -> None:
    named = (
        "Read, Grep, Glob, Edit, Write, Bash(git diff:*), Task, BashOutput, TodoWrite, WebFetch, mcp__github__get_issue"
    )
    role = parse(f"---\nname: a\ndescription: b\ntools: {named}\n---\nc\n", source=".claude/agents/a.md")

    assert role.tools == (
        "read_file", "search", "list_files", "edit_file", "write_file", "run_command", "explore", "read_output", "update_todo",
    )  # fmt: skip
    assert [note.split("'")[1] for note in role.notes] == ["WebFetch", "mcp__github__get_issue"]
    assert parse("---\nname: a\ndescription: b\ntools: '*'\n---\nc\n", source="a.md").tools is None
