"""A project's skills are told where they fit, and read as people write them."""

from __future__ import annotations

from nightmill.skill import Skill, parse, relevant


def skill(name: str, description: str) -> Skill:
    return Skill(name=name, description=description, path=f".claude/skills/{name}/SKILL.md")


SKILLS = (
    skill("write-migration", "How database migrations are written here. Use when a table or column changes."),
    skill("release-notes", "Write the notes of a release. Use when a version is published."),
    skill("browser-tests", "Run and write tests in a browser with Playwright."),
)


def test_a_skill_is_read_with_the_faults_that_people_make() -> None:
    text = "---\nname: a-b\ndescription: Use when: a colon is there\nargument-hint: x\n---\nBody\n"
    assert parse(text, path="s/a-b/SKILL.md") == Skill(
        name="a-b", description="Use when: a colon is there", path="s/a-b/SKILL.md"
    )
    nameless = parse("---\ndescription: D\n---\n", path="s/folder/SKILL.md")
    assert nameless is not None
    assert nameless.name == "folder"
    assert parse("Only a body", path="s/x/SKILL.md") is None
    assert parse("---\n[: broken\n---\n", path="s/x/SKILL.md") is None


def test_what_fits_is_told_best_first_and_nothing_else() -> None:
    assert [each.name for each in relevant(SKILLS, "Add a column to the users table", most=5)] == ["write-migration"]
    assert relevant(SKILLS, "Mend the parser of dates", most=5) == ()
    both = relevant(SKILLS, "A browser test with Playwright for the notes of a release", most=5)
    assert {each.name for each in both} == {"browser-tests", "release-notes"}
    assert len(relevant(SKILLS, "browser test Playwright, release notes", most=1)) == 1


def test_one_that_is_named_fits() -> None:
    assert [each.name for each in relevant(SKILLS, "Do it as release-notes says.", most=3)] == ["release-notes"]


def test_of_two_with_one_name_the_first_counts() -> None:
    own = Skill(
        name="browser-tests", description="Ours: browser tests with Playwright", path=".nightmill/skills/b/SKILL.md"
    )
    assert relevant((own, *SKILLS), "browser tests with Playwright", most=3) == (own,)
