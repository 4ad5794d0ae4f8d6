"""An agent is given what it needs, from the commit it starts from, within bounds."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nightmill.crew import at_commit, find
from nightmill.errors import SpecError
from nightmill.line import brief as briefs
from nightmill.line import room
from nightmill.line.brief import MOST_INSTRUCTIONS
from nightmill.plan import single
from nightmill.review import Check
from nightmill.tool import developing
from tests import whole
from tests.line.conftest import World


def task(world: World, *instructions: str) -> briefs.Assignment:
    project = replace(world.project, instructions=instructions)
    found = world.assignment()
    return replace(found, kind="task", project=project, task=single(found.spec).tasks[0])


def test_a_developer_is_told_the_task_the_criteria_the_spec_and_the_checks(world: World) -> None:
    (world.root / "AGENTS.md").write_text("Use tabs.\n$HOME ${title} $$\n")
    whole.commit(world.root, "rules")
    made = briefs.developer(task(world, "AGENTS.md", "gone.md"), run="r1", hub=world.hub)

    assert "Adding gives the sum" in made.anchor
    assert "- AC1" in made.anchor
    assert "`calc.add(2, 3)` returns `5`" in made.anchor
    assert "No other function is added." in made.anchor
    assert "`python3 -m unittest -q`" in made.anchor
    assert "### AGENTS.md\n\nUse tabs.\n$HOME ${title} $$" in made.anchor
    assert "gone.md" not in made.anchor
    assert made.system[0].startswith("You are the developer")
    assert made.conversation == "nightmill-r1"
    assert set(made.prompts) == {"developer/task", "agent/harness", "crew/developer"}
    assert briefs.read_brief(briefs.write_brief(made)) == made


def test_a_developer_is_told_the_skills_that_fit_and_where_they_are(world: World) -> None:
    for name, about in (("adding", "How sums and adding are written here."), ("colours", "How pages are coloured.")):
        folder = world.root / ".claude/skills" / name
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {about}\n---\nSECRET BODY\n")
    whole.commit(world.root, "skills")
    made = briefs.developer(task(world), run="r1", hub=world.hub)

    assert "- adding (.claude/skills/adding/SKILL.md): How sums and adding are written here." in made.anchor
    assert "colours" not in made.anchor
    assert "SECRET BODY" not in made.anchor


def test_only_the_criteria_of_the_task_are_asked_for(world: World) -> None:
    text = whole.SPEC.format(title="").replace(
        "all existing tests pass.\n", "all existing tests pass.\n- AC2 (R1): `calc.add(1, 1)` returns `2`.\n"
    )
    found = world.assignment(text)
    first = single(found.spec).tasks[0]

    assert [each.id for each in briefs.criteria(found)] == ["AC1", "AC2"]
    assert [each.id for each in briefs.criteria(replace(found, task=replace(first, criteria=("AC2",))))] == ["AC2"]


def test_instruction_files_are_bounded_and_it_is_said(world: World) -> None:
    (world.root / "AGENTS.md").write_text("ä" * 20_000)
    (world.root / "MORE.md").write_text("m" * 20_000)
    (world.root / "HUGE.md").write_bytes(b"x" * (17 << 20))
    (world.root / "bad.md").write_bytes(b"caf\xe9")
    (world.root / "CLAUDE.md").symlink_to("/etc/passwd")
    whole.commit(world.root, "rules")
    text = briefs.instructions(task(world, "bad.md", "HUGE.md", "CLAUDE.md", "AGENTS.md", "MORE.md"), world.hub)

    assert text.startswith("\nIts own instructions:\n\n### bad.md\n\ncaf\ufffd\n")
    assert "### HUGE.md\n\n(the file is too large to be shown here)" in text
    assert "passwd" not in text, "a link is no instruction"
    assert text.count("ä") == (MOST_INSTRUCTIONS - len(b"caf\xe9(the file is too large to be shown here)")) // 2
    assert "(cut here: the file goes on)" in text
    assert "### MORE.md\n\n\n\n(cut here: the file goes on)" in text
    assert len(text.encode()) < MOST_INSTRUCTIONS + 1000


def test_a_project_without_instructions_has_none(world: World) -> None:
    assert briefs.instructions(task(world), world.hub) == ""


def test_the_architect_sees_the_files_and_the_schema(world: World) -> None:
    request = briefs.architect(world.assignment(), run="r1", hub=world.hub)
    text = request.messages[0].parts[0].text  # type: ignore[union-attr]

    assert request.system[0].startswith("You are the architect")
    assert "calc.py" in text
    assert '"tasks"' in text
    assert "AC1" in text


def test_a_large_repository_is_shown_within_bounds(world: World) -> None:
    for folder, count in {"data/all": 500, **{f"src/deep/f{number}": 20 for number in range(30)}}.items():
        (world.root / folder).mkdir(parents=True)
        for number in range(count):
            (world.root / folder / f"m{number}_{folder[-2:].strip('/')}.py").write_text("")
    whole.commit(world.root, "many")
    text = briefs.architect(world.assignment(), run="r1", hub=world.hub).messages[0].parts[0].text  # type: ignore[union-attr]
    files = text.partition("<files>\n")[2].partition("</files>")[0].strip().split("\n")

    assert "data/all/ (500 files)" in files
    assert "calc.py" in files
    assert len(files) == briefs.MOST_PATHS + 1
    assert files[-1] == f"(and {30 * 20 + 5 - briefs.MOST_PATHS} more)"


def test_files_that_are_alike_in_many_folders_are_one_line_that_names_the_folders(world: World) -> None:
    for language in ("ar", "da", "de", "fr", "it", "ja", "nl", "pt_BR"):
        (world.root / "src/locale" / language / "LC").mkdir(parents=True)
        (world.root / "src/locale" / language / "LC/calc.po").write_text("")
    for room_ in ("one", "two"):
        (world.root / "src" / room_).mkdir()
        (world.root / "src" / room_ / "__init__.py").write_text("")
    whole.commit(world.root, "languages")

    files = briefs.tree(world.hub, world.assignment().base_commit).split("\n")
    assert "src/locale/*/LC/calc.po (8 files, for *: ar, da, de, fr, it, ja, nl, pt_BR)" in files
    assert "src/one/__init__.py" in files
    assert not [file for file in files if file.startswith("src/locale/a")]


def test_facts_name_the_checks(world: World) -> None:
    two = replace(world.project, checks=(*world.project.checks, Check(name="lint", command="lint .")))

    assert "`python3 -m unittest -q`; `lint .`" in briefs.facts(replace(world.assignment(), project=two))
    assert "checks:" not in briefs.facts(replace(world.assignment(), project=replace(two, checks=())))


def test_the_sign_of_the_system_is_another_one_for_each_brief(world: World) -> None:
    """A run's id stands in commits that its sandbox may hold, so nothing is made from it."""
    tags = {briefs.developer(task(world), run="r1", hub=world.hub).tag for _ in range(3)}
    assert len(tags) == 3


NANO, MINI = "openai:gpt-4", "openai:gpt-4o"
"""Of 8,192 and of 128,000 tokens."""


def test_a_conversation_is_cut_for_the_smallest_window_of_all_that_may_be_asked(world: World) -> None:
    found = task(world)
    bounds = [
        briefs.developer(replace(found, model=model, fallbacks=more), run="r1", hub=world.hub).compact_at
        for model, more in (
            ("anthropic:claude-sonnet-4-5", ()),
            (MINI, ()),
            ("anthropic:claude-sonnet-4-5", (MINI,)),
            ("anthropic:m", ()),
            ("anthropic:m", (MINI,)),
        )
    ]

    assert bounds == [80_000, 64_000, 64_000, 80_000, 64_000]


def long(world: World, words: int) -> briefs.Assignment:
    """A task of a spec that is so long; a word is a token and a half by our count."""
    return task_of(world, whole.SPEC.format(title="") + "\nMore: " + "words " * words)


def task_of(world: World, text: str) -> briefs.Assignment:
    found = world.assignment(text)
    return replace(found, kind="task", task=single(found.spec).tasks[0], model=MINI)


def test_a_spec_that_leaves_the_work_little_room_gets_more_of_the_window(world: World) -> None:
    bounds = [
        briefs.developer(long(world, words), run="r1", hub=world.hub).compact_at for words in (1_000, 20_000, 30_000)
    ]

    assert bounds[0] == 64_000
    assert 75_000 < bounds[1] < bounds[2] <= 128_000 * 0.9


def test_a_spec_that_no_turn_could_work_beside_is_refused_with_sizes_and_what_to_do(world: World) -> None:
    with pytest.raises(SpecError, match="what stands in every request is too long") as caught:
        briefs.developer(long(world, 60_000), run="r1", hub=world.hub)

    assert re.search(r"the spec 90,\d\d\d", caught.value.message)
    assert "openai:gpt-4o holds 128,000" in caught.value.message
    assert caught.value.hint == "shorten the spec, or take models with larger windows"

    with pytest.raises(SpecError, match=r"openai:gpt-4 holds 8,192"):
        briefs.fits(replace(task(world), model=MINI, fallbacks=(NANO,), max_tokens=4_096), world.hub)
    with pytest.raises(SpecError) as caught:
        briefs.fits(replace(long(world, 60_000), model="anthropic:m"), world.hub)
    assert "raise `compact_tokens`" in caught.value.hint


def test_a_developer_has_the_tools_of_its_role_only_and_none_that_the_project_added(world: World) -> None:
    text = "---\nname: developer\ndescription: d\ntools: Read, Grep, Write, Bash\n---\nYou build.\n"
    folder = world.root / ".nightmill/crew"
    folder.mkdir(parents=True)
    (folder / "developer.md").write_text(text)
    whole.commit(world.root, "crew")
    found = world.assignment()
    crew = find(project=at_commit(world.hub, found.base_commit))
    found = replace(found, crew=crew, model="openai:m")

    assert set(room.toolset(found, briefs.role("developer", found)).tools) == {
        "read_file", "search", "write_file", "run_command", "read_output", "update_todo", "remember", "finish",
    }  # fmt: skip
    shipped = room.toolset(replace(found, crew=None), briefs.role("developer", replace(found, crew=None)))
    assert [*shipped.tools] == [*developing("openai:m").tools]
