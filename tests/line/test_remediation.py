"""What a run leaves becomes a spec that is accepted, whatever models wrote in it, with a criterion for each finding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nightmill import crew
from nightmill import spec as specs
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.shelves import shipped
from nightmill.estate.nouns import Environment, Project
from nightmill.kept import Filed, Part
from nightmill.line import assignment, submit
from nightmill.line.assignment import Assignment, Edit, Origin
from nightmill.line.begun import Begun
from nightmill.line.process.functions import SIGNATURES
from nightmill.line.remediation import Left, known, read, write
from nightmill.plan import single
from nightmill.settings import Settings
from tests import whole

PARTS = (
    Part(
        role="developer", commit="1" * 40, summary="Added.", evidence=(("AC1", "t.py::a"),), conversation="r1-developer"
    ),
    Part(role="qa", commit="2" * 40, summary="Broken.", conversation="r1-qa"),
)
Q1 = {
    "id": "Q1", "severity": "major", "criterion": "AC1", "title": "Three arguments fail", "test": "test_calc.py::test_three",
    "expected": "6", "happened": "TypeError", "answer": "It is meant so.", "why": "the dispute is not accepted",
}  # fmt: skip
VALUES: dict[str, Any] = {
    "approach": "Turn the sign round.",
    "findings": [Q1],
    "settled": [{"id": "Q2", "title": "Names", "state": "disputed", "by": "R1 says it"}],
    "checks": "tests: 1 failed",
}
DELIVER = Catalogue((shipped(),), {role.name: role for role in crew.find().roles}, SIGNATURES).closure("deliver")


def asked(folder: Path, text: str = "") -> Assignment:
    path = folder / "FIRST.md"
    path.write_text(text or whole.SPEC.format(title=""), encoding="utf-8")
    spec = specs.read(path)
    project = Project(id="p", root=folder, language="python", environment=Environment(), checks=())
    return Assignment(
        kind="task", project=project, spec=spec, model="anthropic:m", base_url="",
        base_branch="main", base_commit="0" * 40, target="main", budget=submit.budget(Settings()),
        max_tokens=1, thinking=0, by="Ada <ada@example.org>", task=single(spec).tasks[0], blueprints=DELIVER.blueprints,
    )  # fmt: skip


def left(of: Assignment, values: dict[str, Any], *, title: str = "Adding gives the sum", run: str = "r1-1") -> Left:
    made = known(values, run=run, blueprint="deliver", commit="2" * 40, tree="3" * 40, parts=PARTS)
    assert read(write(made)) == made
    filed = Filed(
        id=f"{run}-remainder", run=run, project="p", title=title, findings=len(made.findings) + made.more, tree=made.tree,
        head=made.commit, body="b", filed=1.0,
    )  # fmt: skip
    return Left(filed=filed, known=made, asked=of)


def accepted(found: Left, *, threshold: int = 70) -> specs.Spec:
    spec = found.spec(threshold=threshold)
    judged = specs.assess(spec, threshold=threshold)
    assert judged.accepted, (judged.score, judged.flaws, spec.text)
    return spec


def test_each_finding_is_a_criterion_with_its_test_beside_those_of_the_first_spec(tmp_path: Path) -> None:
    found = left(asked(tmp_path), VALUES)
    spec = accepted(found, threshold=100)

    assert spec.title == "Adding gives the sum"
    assert [each.id for each in spec.criteria] == ["AC1", "AC2"]
    assert "`calc.add(2, 3)` returns `5`" in spec.criteria[0].text
    assert "`test_calc.py::test_three` passes" in spec.criteria[1].text
    assert "Three arguments fail" in spec.criteria[1].text
    for said in (
        "It is meant so.",
        "the dispute is not accepted",
        "R1 says it",
        "Turn the sign round.",
        "1 failed",
        "r1-1",
    ):
        assert said in spec.text
    assert spec.text.count("## Problem") == 2, "its own, and that of the first spec in its block"
    assert found.begun.parts == tuple(replace(part, run="r1-1") for part in PARTS)
    assert (found.begun.commit, found.begun.first) == ("2" * 40, found.asked.spec.text)


def test_what_each_role_said_of_the_whole_goes_with_it(tmp_path: Path) -> None:
    said = [
        {"role": "architect", "approved": False, "case_against": "the old format\x1b"},
        {"role": "qa", "approved": True},
    ]
    no = {"id": "architect-no", "title": "The architect does not agree", "detail": "the old format"}
    spec = accepted(left(asked(tmp_path), {"findings": [no], "said": said}))

    assert "A test that fails without the mend of `architect-no` passes with it" in spec.criteria[1].text
    assert "architect does not agree\nagainst it: the old format\n\nqa agrees" in spec.text


def test_a_run_whose_checks_do_not_pass_leaves_that_as_its_criterion(tmp_path: Path) -> None:
    spec = accepted(left(asked(tmp_path), {"findings": [], "checks": "tests: 1 failed"}), threshold=100)

    assert [each.id for each in spec.criteria] == ["AC1", "AC2"]
    assert "All checks of the project pass" in spec.criteria[1].text


def test_what_is_left_a_second_time_keeps_the_first_spec_and_all_that_was_to_be_shown(tmp_path: Path) -> None:
    first = left(asked(tmp_path), VALUES)
    spec = accepted(first)
    again = replace(first.asked, spec=spec, task=single(spec).tasks[0], begun=first.begun)
    second = left(again, {"findings": [{**Q1, "title": "Four fail", "test": "test_calc.py::test_four"}]}, run="r2")
    found = accepted(second, threshold=100)

    assert [each.id for each in found.criteria] == ["AC1", "AC2", "AC3"]
    assert ["test_three" in found.criteria[1].text, "test_four" in found.criteria[2].text] == [True, True]
    assert found.text.count("## The first spec") == 1
    assert "Turn the sign round." not in found.text, "what that run was told is not what it was begun for"
    assert second.begun.parts[0].run == "r2"
    assert not second.begun.editors
    edit = Edit(kind="file", what="calc.py", body="b", by="Ada <ada@example.org>", run="r0", at="developer/1")
    origin = Origin(run="r0", snapshot="s", edits=(edit,))
    edited = replace(second, asked=replace(second.asked, origin=origin))
    assert edited.begun.editors == (edit.by,), "who edited files is an author of what is made of it, too"
    assert replace(second.asked, begun=edited.begun).editors == (edit.by,)
    kept = replace(second, known=replace(second.known, parts=(*first.begun.parts, PARTS[0])))
    assert [part.run for part in kept.begun.parts] == ["r1-1", "r1-1", "r2"]


def test_what_there_is_too_much_of_is_counted_and_said_and_the_rest_is_bounded(tmp_path: Path) -> None:
    many = [{**Q1, "id": f"Q{number}", "detail": "x" * 100_000, "title": "y" * 1000} for number in range(60)]
    found = left(asked(tmp_path), {"findings": many, "approach": "z" * 100_000, "checks": "line\n" * 50_000})
    spec = accepted(found)

    assert (len(found.known.findings), found.known.more, found.filed.findings) == (40, 20, 60)
    assert "20 more" in spec.text
    assert len(spec.text) < 80_000
    assert len(write(found.known)) < 200_000


ERRAND = "make calc add\nreally"


@pytest.mark.parametrize("first", ["", ERRAND])
def test_ids_that_are_none_or_are_there_twice_get_others(tmp_path: Path, first: str) -> None:
    findings = [{**Q1, "id": name} for name in ("Q1", "Q1", "`x`", "", "a\nb", "F3")]
    found = left(asked(tmp_path, first), {"findings": findings})

    assert [each.id for each in found.known.findings] == ["Q1", "Q1.2", "F3", "F4", "F5", "F3.6"]
    assert len(accepted(found, threshold=100).criteria) == 6 + (not first)


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "TODO: all of it", "TBD", "[NEEDS CLARIFICATION: what]", "???", "```\n# Approve\n```", "## Acceptance criteria",
            "</spec>\n- AC9: nothing", "It works well and is not fast.", "R1: no", "(R7): x", "| a | b |\n|---|---|", "---",
            "a`b`c``d", "\u201cquoted\u201d", "\x1b[2J\x00\u202e", "<details>", "Given x\nWhen y\nThen z", "\ud800", "- " * 50,
        ]
    ),
)  # fmt: skip
FINDINGS = st.lists(
    st.fixed_dictionaries(
        {"id": HOSTILE},
        optional=dict.fromkeys(
            ("title", "test", "expected", "happened", "detail", "answer", "why", "severity"), HOSTILE
        ),
    ),
    max_size=5,
)


@given(findings=FINDINGS, title=HOSTILE, text=HOSTILE, criterion=HOSTILE)
@example(findings=[{"id": "TODO:", "test": "TODO:", "title": "TODO:"}], title="TODO: it", text="TBD", criterion="???")
@example(findings=[{"id": "", "test": "", "title": ""}], title="", text="", criterion="R1: x")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_models_and_authors_wrote_there_is_a_spec_of_it_that_is_accepted(
    tmp_path: Path, findings: list[dict[str, Any]], title: str, text: str, criterion: str
) -> None:
    of = asked(tmp_path)
    shown = tuple(replace(each, text=criterion) for each in of.spec.criteria)
    of = replace(of, spec=replace(of.spec, criteria=shown, text=text))
    found = left(of, {"findings": findings, "approach": text, "checks": text, "settled": findings}, title=title)
    spec = accepted(found)

    assert len(spec.criteria) == 1 + max(1, len(findings))
    assert spec.title
    for each in found.known.findings:
        assert any(f"`{each.id}`" in criterion.text for criterion in spec.criteria)


def test_begun_work_travels_with_its_assignment(tmp_path: Path) -> None:
    begun = Begun(task="t", commit="2" * 40, parts=PARTS, first="x")
    there = assignment.read(assignment.write(replace(asked(tmp_path), begun=begun)))

    assert there.begun == begun
    assert (there.begins, replace(there, begun=None).begins) == ("2" * 40, "0" * 40)
