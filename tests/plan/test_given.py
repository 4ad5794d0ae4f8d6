"""Plans that a spec gives itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill import plan, spec
from nightmill.errors import SpecError, ToolError

GOOD = Path(__file__).parent.parent / "spec" / "specs" / "good"


def spec_with(tmp_path: Path, tasks: str) -> spec.Spec:
    path = tmp_path / "s.md"
    path.write_text(
        "# A title\n\n## Goal\n\nA goal.\n\n## Requirements\n\n- R1: one\n- R2: two\n\n## Acceptance criteria\n\n"
        f"- AC1 (R1): prints `1`\n- AC2 (R2): prints `2`\n\n## Tasks\n\n{tasks}"
    )
    return spec.read(path)


def task(name: str, *depends: str) -> plan.Task:
    return plan.Task(id=name, title=name, instruction=name, criteria=(), depends=depends)


def test_spec_without_tasks_gives_no_plan_and_one_task_by_wish() -> None:
    found = spec.read(GOOD / "bug_fix.md")

    assert plan.from_spec(found) is None
    only = plan.single(found).tasks[0]
    assert (only.id, only.title, only.criteria) == ("T1", found.title, ("AC1", "AC2", "AC3"))


def test_open_tasks_of_spec_kit_become_tasks() -> None:
    found = plan.from_spec(spec.read(GOOD / "specs" / "004-team-invites"))

    assert found is not None
    assert [(each.id, each.depends) for each in found.tasks] == [
        ("T002", ()),
        ("T003", ()),
        ("T004", ("T002", "T003")),
        ("T005", ("T004",)),
    ]
    assert found.tasks[0].footprint.paths == ("src/teams/invites.py",)
    assert [each.criteria for each in found.tasks] == [(), (), ("US1.1", "US1.2"), ("US2.1", "SC-001", "SC-002")]


def test_criterion_belongs_to_the_last_task_that_names_it() -> None:
    found = plan.from_spec(spec.read(GOOD / ".kiro" / "specs" / "dark-mode"))

    assert found is not None
    assert [(each.id, each.criteria) for each in found.tasks] == [("2.1", ("1.1",)), ("2.2", ("1.2", "2.1"))]


def test_tasks_wait_for_those_above_unless_they_are_parallel(tmp_path: Path) -> None:
    tasks = "- [ ] T1 a\n- [ ] T2 [P] b\n- [ ] T3 [P] c\n- [ ] T4 d\n- [ ] T5 e (depends on T2)\n"
    found = plan.from_spec(spec_with(tmp_path, tasks))

    assert found is not None
    assert {each.id: each.depends for each in found.tasks} == {
        "T1": (),
        "T2": ("T1",),
        "T3": ("T1",),
        "T4": ("T2", "T3"),
        "T5": ("T2", "T4"),  # nobody names the criteria: the last task shows them, and so waits for all
    }
    assert found.tasks[-1].criteria == ("AC1", "AC2")


def test_done_tasks_are_left_out_and_waited_for_by_nobody(tmp_path: Path) -> None:
    found = plan.from_spec(spec_with(tmp_path, "- [x] T1 a\n- [ ] T2 shows R1 (depends on T1)\n- [ ] T3 shows AC2\n"))

    assert found is not None
    assert [(each.id, each.depends, each.criteria) for each in found.tasks] == [
        ("T2", (), ("AC1",)),
        ("T3", ("T2",), ("AC2",)),
    ]
    assert plan.from_spec(spec_with(tmp_path, "- [x] T1 a\n")) is None


def test_a_long_list_is_taken_heading_by_heading(tmp_path: Path) -> None:
    first = "".join(f"- [ ] T{number:03} edit src/a{number}.py for R1\n" for number in range(10))
    second = "".join(f"- [ ] T1{number:02} edit src/b{number}.py for R2\n" for number in range(10))
    (tmp_path / "spec.md").write_text(spec_with(tmp_path, "").text)
    (tmp_path / "tasks.md").write_text(f"# Tasks\n\n## One\n\n{first}\n## Two\n\n{second}")

    found = plan.from_spec(spec.read(tmp_path))

    assert found is not None
    assert [(each.id, each.title, each.depends, each.criteria) for each in found.tasks] == [
        ("G1", "One", (), ("AC1",)),
        ("G2", "Two", ("G1",), ("AC2",)),
    ]
    assert "- T003 edit src/a3.py for R1" in found.tasks[0].instruction
    assert len(found.tasks[1].footprint.paths) == 10


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ("- [ ] T1 a (depends on T9)\n", "'T1' depends on 'T9', which is not there"),
        ("- [ ] T1 a (depends on T2)\n- [ ] T2 b (depends on T1)\n", "in a circle: T1 → T2 → T1"),
        ("- [ ] T1 a\n- [ ] T1 b\n", "'T1' is there twice"),
    ],
)
def test_tasks_that_do_not_hold_together_are_their_authors_to_mend(tmp_path: Path, tasks: str, reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan.from_spec(spec_with(tmp_path, tasks))

    assert reason in caught.value.message


def test_order_keeps_what_was_given_where_nothing_depends() -> None:
    given_order = [task("c"), task("a", "b"), task("d"), task("b")]

    assert [each.id for each in plan.order(given_order)] == ["c", "d", "b", "a"]


@given(st.data())
@settings(max_examples=100)
def test_order_puts_each_task_after_what_it_depends_on(data: st.DataObject) -> None:
    names = [f"T{number}" for number in range(data.draw(st.integers(0, 8)))]
    tasks = [task(name, *data.draw(st.lists(st.sampled_from(names), max_size=2))) for name in names]
    try:
        ordered = plan.order(tasks)
    except ToolError as error:
        assert "in a circle" in error.message  # noqa: PT017 - a circle is one of the two right answers
        return
    seen: set[str] = set()
    for each in ordered:
        assert seen.issuperset(each.depends)
        seen.add(each.id)
    assert len(ordered) == len(tasks)


def test_plan_crosses_the_store_unchanged() -> None:
    found = plan.from_spec(spec.read(GOOD / "specs" / "004-team-invites"))

    assert found is not None
    assert plan.from_plain(json.loads(json.dumps(plan.to_plain(found)))) == found
