"""Which specs are accepted, which are refused, and what their authors are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightmill import spec

HERE = Path(__file__).parent / "specs"
THRESHOLD = 70

GOOD = {
    "bug_fix.md": ("markdown", 80),
    "feature.md": ("markdown", 95),
    "gherkin.md": ("markdown", 80),
    "labels.md": ("markdown", 80),
    "ears.md": ("markdown", 95),
    "windows.md": ("markdown", 80),
    "specs/004-team-invites": ("spec-kit", 95),
    "openspec/changes/add-rate-limit": ("openspec", 80),
    "openspec/specs/export": ("openspec", 70),
    ".kiro/specs/dark-mode": ("kiro", 90),
}

BAD = {
    "vague.md": {"no-behaviour", "no-criteria"},
    "placeholder.md": {"placeholder"},
    "clarification.md": {"placeholder"},
    "todo.md": {"placeholder", "requirement-untraced"},
    "no_criteria.md": {"no-criteria"},
    "no_title.md": {"no-title"},
    "no_goal.md": {"no-goal", "no-behaviour"},
    "untraced.md": {"requirement-untraced"},
    "uncheckable.md": {"criterion-uncheckable"},
    "contradiction.md": {"contradiction"},
    "out_of_scope_twice.md": {"contradiction"},
    "twice.md": {"duplicate-id"},
    "weasels.md": {"criterion-uncheckable"},
    "hidden_in_code.md": {"no-criteria"},
    "specs/001-empty-template": {"placeholder", "requirement-untraced"},
    "openspec/changes/loose": {"no-criteria", "task-dependency"},
}


def judged(folder: str, name: str) -> tuple[spec.Spec, spec.Assessment]:
    found = spec.read(HERE / folder / name)
    return found, spec.assess(found, threshold=THRESHOLD)


@pytest.mark.parametrize("name", GOOD)
def test_good_spec_is_accepted(name: str) -> None:
    shape, score = GOOD[name]
    found, verdict = judged("good", name)

    assert [flaw.sentence for flaw in verdict.flaws if flaw.gate] == []
    assert verdict.accepted
    assert verdict.score >= score
    assert found.format == shape


@pytest.mark.parametrize("name", BAD)
def test_bad_spec_is_refused_for_its_own_reason(name: str) -> None:
    _, verdict = judged("bad", name)

    assert not verdict.accepted
    assert {flaw.rule for flaw in verdict.flaws if flaw.gate} == BAD[name]


def test_every_spec_in_the_folder_is_judged() -> None:
    for folder, table in (("good", GOOD), ("bad", BAD)):
        named = {HERE / folder / name for name in table}
        files = [path for path in (HERE / folder).rglob("*.md") if not {path, *path.parents} & named]
        assert files == []


@pytest.mark.parametrize(
    ("folder", "name", "sentence"),
    [
        ("bad", "uncheckable.md", ("criterion AC2 cannot be checked: “looks professional” is not something one sees"
         " (line 11). Say what a user would see.")),
        ("bad", "todo.md", "“TODO” is still to be written (line 8). Replace it with what you mean."),
        ("bad", "untraced.md", ("requirement R2 is shown by no criterion (line 8)."
         " Add a criterion that shows it, or name R2 in one that does.")),
        ("bad", "openspec/changes/loose", ("task 1.1 depends on 9.9, which is not there (tasks.md line 2)."
         " Name a task of this spec.")),
        ("bad", "weasels.md", "“fast” means something else to everyone (line 7). Give the value, or what one would see."),
        ("bad", "weasels.md", ("“should probably” leaves open whether it is wanted (line 4)."
         " Decide: build it, or put it out of scope.")),
        ("bad", "weasels.md", "a question is open (line 9). Answer it here, or put it out of scope."),
        ("bad", "specs/001-empty-template", "a comment of the template is left (line 10). Do what it says and remove it."),
    ],
)  # fmt: skip
def test_flaw_says_what_where_and_what_to_do(folder: str, name: str, sentence: str) -> None:
    _, verdict = judged(folder, name)

    assert sentence in [flaw.sentence for flaw in verdict.flaws]


def test_score_is_the_sum_of_its_parts_and_of_a_hundred() -> None:
    _, verdict = judged("good", "feature.md")

    assert verdict.score == sum(earned for earned, _ in verdict.parts.values())
    assert sum(possible for _, possible in verdict.parts.values()) == 100


def test_threshold_decides_where_no_gate_fails() -> None:
    found = spec.read(HERE / "good" / "openspec" / "specs" / "export")

    assert spec.assess(found, threshold=70).accepted
    assert not spec.assess(found, threshold=95).accepted


@pytest.mark.parametrize(
    ("criterion", "checkable"),
    [
        ("The list is empty after the last entry was deleted.", True),
        ("`total([1, 2])` returns 3.", True),
        ("The response has status 404.", True),
        ("Given a full cart, when I pay, then the page shows my order.", True),
        ("Two people cannot book the same seat.", True),
        ("Drafts survive a restart of the server.", True),
        ("The following holds:\n\n  ```\n  >>> f()\n  1\n  ```", True),
        ("It works.", False),
        ("The app is fast and user-friendly.", False),
        ("Given a user, when she opens the page, then it works correctly.", False),
        ("The code is clean.", False),
        ("Errors are handled properly.", False),
        ("Dark mode is supported.", False),
        ("It must be pleasant.", False),
    ],
)
def test_criterion_is_checkable_when_somebody_can_see_it(tmp_path: Path, criterion: str, checkable: bool) -> None:  # noqa: FBT001
    path = tmp_path / "s.md"
    path.write_text(f"# T\n\n## Goal\n\nA goal.\n\n## Acceptance criteria\n\n- {criterion}\n")

    rules = [flaw.rule for flaw in spec.assess(spec.read(path), threshold=0).flaws]

    assert ("criterion-uncheckable" not in rules) is checkable


@pytest.mark.parametrize(
    ("line", "placeholder"),
    [
        ("[FEATURE NAME]", True),
        ("TBD", True),
        ("The format is to be decided.", True),
        ("What about ???", True),
        ("Lorem ipsum dolor", True),
        ("[NEEDS CLARIFICATION]: which one?", True),
        ("<describe what happens>", True),
        ("<…>", True),
        ("(TODO) the rest", True),
        ("A list of TODO items", False),
        ("`TODO` and `<your name>` in code", False),
        ('The cell shows "TBD" without a date', False),
        ("See [the guide](https://example.com/TBD-guide)", False),
        ("See [THE GUIDE](guide.md) for more", False),
        ("a dict[str, int] and a list[0]", False),
        ("- [x] done", False),
        ("[P] [US1] marks", False),
        ("a <br> b and <https://example.com/a>", False),
        ("if a < b and c > d", False),
        ("press [Add item]", False),
    ],
)
def test_placeholder_is_told_from_text_that_looks_like_one(tmp_path: Path, line: str, placeholder: bool) -> None:  # noqa: FBT001
    path = tmp_path / "s.md"
    path.write_text(f"# T\n\n## Goal\n\nA goal.\n\n{line}\n")

    flaws = [flaw for flaw in spec.assess(spec.read(path), threshold=0).flaws if flaw.rule == "placeholder"]

    assert bool(flaws) is placeholder
    assert [flaw.line for flaw in flaws] == [7] * placeholder


def test_opposite_conditions_are_no_contradiction(tmp_path: Path) -> None:
    path = tmp_path / "s.md"
    path.write_text(
        "# T\n\n## Acceptance criteria\n\n- Users see the delete button when signed in.\n"
        "- Users do not see the delete button when signed out.\n"
    )

    assert "contradiction" not in [flaw.rule for flaw in spec.assess(spec.read(path), threshold=0).flaws]


def test_a_flood_of_flaws_is_counted_not_listed(tmp_path: Path) -> None:
    path = tmp_path / "s.md"
    path.write_text("# T\n\n## Goal\n\n" + "It is fast.\n" * 500)

    flaws = [flaw for flaw in spec.assess(spec.read(path), threshold=0).flaws if flaw.rule == "weasel-word"]

    assert len(flaws) < 20
    assert flaws[-1].message.startswith("492 more")
