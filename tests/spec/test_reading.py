"""What is read from a spec, and what cannot be read."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from nightmill import spec
from nightmill.errors import SpecError

GOOD = Path(__file__).parent / "specs" / "good"


def written(folder: Path, text: str, name: str = "spec-of-mine.md") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_spec_states_everything_its_author_wrote() -> None:
    found = spec.read(GOOD / "feature.md")

    assert found.title == "Saved searches"
    assert found.goal.startswith("People who search")
    assert [each.id for each in found.requirements] == ["R1", "R2", "R3"]
    assert [(each.id, each.requirements) for each in found.criteria] == [
        ("AC1", ("R1",)),
        ("AC2", ("R1",)),
        ("AC3", ("R2",)),
        ("AC4", ("R3",)),
    ]
    assert found.guardrails == ("Do not change the search syntax.", "No sharing between users.")
    assert len(found.contracts) == 2
    assert found.tests == ("API tests for each status code, one browser test for saving.",)
    assert found.ui == ("The button stands right of the search field.",)
    assert found.skills == ("fastapi", "playwright")


def test_lines_are_those_of_the_file_with_bom_and_crlf() -> None:
    found = spec.read(GOOD / "windows.md")

    assert found.title == "Windows file with BOM"
    assert [each.line for each in found.criteria] == [13, 19]
    assert "```\n3\n```" in found.criteria[0].text


def test_examples_stand_for_requirements_without_ids() -> None:
    found = spec.read(GOOD / "bug_fix.md")

    assert [each.requirements for each in found.criteria] == [("R1", "R2")] * 3


def test_criterion_that_begins_with_a_requirements_id_shows_it() -> None:
    found = spec.read(GOOD / "ears.md")

    assert [(each.id, each.requirements) for each in found.criteria] == [
        ("AC1", ("R1",)),
        ("AC2", ("R2",)),
        ("AC3", ("R3",)),
    ]


def test_scenarios_in_a_code_block_are_criteria() -> None:
    found = spec.read(GOOD / "gherkin.md")

    assert [each.line for each in found.criteria] == [13, 18, 23]
    assert found.criteria[0].text.startswith("the sixth attempt\nGiven an account")


def test_spec_kit_folder_joins_stories_requirements_and_tasks() -> None:
    found = spec.read(GOOD / "specs" / "004-team-invites")

    assert found.title == "Team invites"
    assert [each.id for each in found.requirements] == ["US1", "US2", "FR-001", "FR-002", "FR-003"]
    assert {each.id: each.requirements for each in found.criteria} == {
        "US1.1": ("US1", "FR-001"),
        "US1.2": ("US1", "FR-002"),
        "US2.1": ("US2", "FR-003"),
        "SC-001": (),
        "SC-002": (),
    }
    tasks = {task.id: task for task in found.tasks}
    assert tasks["T001"].done
    assert tasks["T002"].parallel
    assert tasks["T002"].requirements == ("US1",)
    assert tasks["T004"].depends == ("T002", "T003")
    assert tasks["T004"].paths == ("src/teams/api.py",)
    assert tasks["T005"].group == "Phase 3: User Story 2 - Withdraw an invite (Priority: P2)"
    assert "contracts/invites.yaml" in found.contracts
    assert "FastAPI, SQLAlchemy" in found.contracts
    assert "no new service" in found.guardrails


def test_lines_of_the_joined_text_lead_back_to_the_files() -> None:
    folder = GOOD / "specs" / "004-team-invites"
    found = spec.read(folder)
    lines = found.text.split("\n")

    for file in found.files:
        first = (folder / file.name).read_text(encoding="utf-8").split("\n")[0]
        assert lines[file.line - 1] == first
        assert lines[file.line - 3] == f"# File: {file.name}"


def test_openspec_change_links_scenarios_and_turns_a_removal_into_a_criterion() -> None:
    found = spec.read(GOOD / "openspec" / "changes" / "add-rate-limit")

    assert [(each.id, each.requirements, each.file) for each in found.criteria] == [
        ("AC1", ("R1",), "specs/api/spec.md"),
        ("AC2", ("R1",), "specs/api/spec.md"),
        ("AC3", ("R2",), "specs/api/spec.md"),
    ]
    assert found.criteria[2].text == "“Unlimited internal keys” no longer holds."
    assert [task.id for task in found.tasks] == ["1.1", "1.2", "2.1"]


def test_kiro_folder_numbers_criteria_as_its_tasks_name_them() -> None:
    found = spec.read(GOOD / ".kiro" / "specs" / "dark-mode")

    assert found.title == "Dark mode"
    assert [(each.id, each.requirements) for each in found.criteria] == [
        ("1.1", ("R1",)),
        ("1.2", ("R1",)),
        ("2.1", ("R2",)),
    ]
    assert [(task.id, task.requirements) for task in found.tasks] == [
        ("1", ("1.1",)),
        ("2.1", ("1.1",)),
        ("2.2", ("1.2", "2.1")),
    ]


@pytest.mark.parametrize(
    "inner",
    [
        "specs/004-team-invites/tasks.md",
        "specs/004-team-invites/contracts/invites.yaml",
        "openspec/changes/add-rate-limit/specs/api/spec.md",
        ".kiro/specs/dark-mode/design.md",
    ],
)
def test_file_inside_a_spec_folder_means_the_folder(inner: str) -> None:
    folder = next(
        folder
        for folder in (GOOD / inner).parents
        if folder.name in {"004-team-invites", "add-rate-limit", "dark-mode"}
    )

    assert spec.read(GOOD / inner).digest == spec.read(folder).digest


def test_folder_is_found_from_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(GOOD / "specs" / "004-team-invites", tmp_path / "004-team-invites")
    monkeypatch.chdir(tmp_path / "004-team-invites")

    assert spec.read(Path("spec.md")).format == "spec-kit"
    assert spec.read(Path()).source == "."


@pytest.mark.parametrize(
    "heading",
    ["Done When", "## 3. ACCEPTANCE CRITERIA (MVP)", "Definition of done:", "#### ✅ Acceptance Criteria for the API"],
)
def test_headings_people_really_use_are_known(tmp_path: Path, heading: str) -> None:
    text = heading if heading.startswith("#") else f"**{heading.rstrip(':')}:**"
    found = spec.read(written(tmp_path, f"# T\n\nA goal.\n\n{text}\n\n* [ ] It prints `1`.\n1. It prints `2`.\n"))

    assert [each.text for each in found.criteria] == ["It prints `1`.", "It prints `2`."]


def test_items_below_an_item_belong_to_it_unless_it_only_names_them(tmp_path: Path) -> None:
    text = "# T\n\n## Done when\n\n- It prints\n  - `1` for a\n  - `2` for b\n- Errors:\n  - `x` is refused\n  - `y` is refused\n"
    found = spec.read(written(tmp_path, text))

    assert [(each.text, each.line) for each in found.criteria] == [
        ("It prints\n- `1` for a\n- `2` for b", 5),
        ("`x` is refused", 9),
        ("`y` is refused", 10),
    ]


def test_spaces_in_code_stay_as_they_are(tmp_path: Path) -> None:
    text = "# T\n\n## Goal\n\nIt keeps\n`a  b`.\n\n## Done when\n\n- `f('a  b')` returns\n  `'a b'`\n"
    found = spec.read(written(tmp_path, text))

    assert found.goal == "It keeps `a  b`."
    assert found.criteria[0].text == "`f('a  b')` returns `'a b'`"


def test_what_a_terminal_would_obey_does_not_reach_the_spec(tmp_path: Path) -> None:
    found = spec.read(written(tmp_path, "# Red \x1b[31malert\u202e\n\n## Goal\n\nA \x1b]0;title\x07 goal.\n"))

    assert found.title == "Red [31malert"
    assert "\x1b" not in found.text


def test_spec_crosses_the_store_unchanged() -> None:
    for path in (GOOD / "feature.md", GOOD / "specs" / "004-team-invites"):
        found = spec.read(path)
        assert spec.from_plain(json.loads(json.dumps(spec.to_plain(found)))) == found


def test_digest_follows_the_text_and_nothing_else(tmp_path: Path) -> None:
    one = spec.read(written(tmp_path, "# T\n\ntext\n", "a.md"))
    same = spec.read(written(tmp_path, "\ufeff# T\r\n\r\ntext\r\n", "b.md"))
    other = spec.read(written(tmp_path, "# T\n\ntext!\n", "c.md"))

    assert one.digest == same.digest != other.digest


BODIES = {
    "empty": (b"", "is empty"),
    "spaces": (b" \n\t\r\n \xef\xbb\xbf", "only white space"),
    "invisible": ("\ufeff\u200b \u2060".encode(), "only white space"),
    "binary": (b"# T\n\0\1\2", "is binary (NUL at byte 4)"),
    "latin-1": (b"# T\n\ncaf\xe9\n", "is not UTF-8 (byte 8, line 3)"),
    "utf-16": ("# T".encode("utf-16"), "is UTF-16"),
    "5 MB": (b"a" * 5_000_000, "larger than 1,048,576 bytes"),
    "too many lines": (b"\n" * 30_000 + b"a", "has 30,001 lines"),
}


@pytest.mark.parametrize("name", BODIES)
def test_file_that_is_no_text_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    body, reason = BODIES[name]
    (tmp_path / "bad.md").write_bytes(body)

    with pytest.raises(SpecError) as caught:
        spec.read(tmp_path / "bad.md")

    assert reason in caught.value.message
    assert "bad.md" in caught.value.message
    assert caught.value.hint


def test_path_that_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "loop.md").symlink_to(tmp_path / "loop.md")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere.md")
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("x")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock.md"))
        reasons = {
            tmp_path / "pipe.md": "is a named pipe",
            tmp_path / "loop.md": "leads back to itself",
            tmp_path / "gone.md": "is a link to nothing",
            tmp_path / "plain": "holds no spec.md",
            tmp_path / "missing.md": "does not exist",
            tmp_path / "file" / "below.md": "does not exist",
            tmp_path / "sock.md": "is a socket",
            tmp_path / ("x" * 300): "cannot be read",
            Path("/dev/zero"): "is a device",
            Path("a\0b"): "cannot be the name of a file",
        }
        for path, reason in reasons.items():
            with pytest.raises(SpecError) as caught:
                spec.read(path)
            assert reason in caught.value.message
            assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "# T\n")
    path.chmod(0)

    with pytest.raises(SpecError, match="may not be read"):
        spec.read(path)


def test_link_out_of_a_spec_folder_is_refused(tmp_path: Path) -> None:
    secret = written(tmp_path, "a secret", "secret.md")
    folder = tmp_path / "004-team-invites"
    shutil.copytree(GOOD / "specs" / "004-team-invites", folder)
    (folder / "contracts" / "more.md").symlink_to(secret)

    with pytest.raises(SpecError, match="a link out of its folder"):
        spec.read(folder)


def test_pipe_inside_a_spec_folder_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    written(tmp_path, "# T\n", "spec.md")
    os.mkfifo(tmp_path / "tasks.md")

    with pytest.raises(SpecError, match="is a named pipe"):
        spec.read(tmp_path)


def test_limit_is_for_the_whole_folder(tmp_path: Path) -> None:
    written(tmp_path, "# T\n" + "a" * 600, "spec.md")
    written(tmp_path, "# P\n" + "a" * 600, "plan.md")

    with pytest.raises(SpecError, match="larger than 1,000 bytes"):
        spec.read(tmp_path, limit=1000)
