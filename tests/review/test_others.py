"""What of JavaScript, Go and Rust is read by lines: each way of bending a check that is known is found, and honest work is not."""

from __future__ import annotations

import pytest

from nightmill.code import Change
from nightmill.review import Check, Finding
from nightmill.review.bend import RULES, find, lines
from tests.review.others import GO, HONEST, JS, RUST, WAYS, Way

SHOWN = {kind for kind, rule in RULES.items() if rule != "block"}


def found(way: Way) -> tuple[Finding, ...]:
    checks = (Check(name="tests", command=way.command or "run-the-tests"),)
    return find((Change(way.path, way.before or None, way.after),), checks)


@pytest.mark.parametrize("name", WAYS)
def test_each_way_is_found_and_stands_in_the_way_unless_it_only_weakens(name: str) -> None:
    told = [each for each in found(WAYS[name]) if each.kind in WAYS[name].kinds]
    assert told
    if not SHOWN & set(WAYS[name].kinds):
        assert any(each.blocks for each in told)


@pytest.mark.parametrize("name", HONEST)
def test_honest_work_stands_in_nobodys_way(name: str) -> None:
    assert [(each.kind, each.what) for each in found(HONEST[name]) if each.blocks] == []


def test_what_is_gone_from_one_file_and_there_in_another_is_no_finding() -> None:
    both = (Change("a.test.js", JS, None), Change("sub/a.test.js", None, JS))
    assert [each for each in find(both, ()) if each.blocks] == []


@pytest.mark.parametrize(("path", "text"), [("a.test.js", JS), ("a_test.go", GO), ("tests/a.rs", RUST)])
def test_comments_go_and_lines_stay_where_they_are(path: str, text: str) -> None:
    commented = text.replace("\n", " // it.skip(\n").replace("\n\n", "\n/* t.Skip()\n */\n")
    plain = lines.bare(path, commented)
    assert len(plain.splitlines()) == len(commented.splitlines())
    assert "kip(" not in plain
    assert lines.bare(path, "x = 'http://a' // b\n") == "x = 'http://a'     \n"


EXIT, PYTEST = Check(name="all", command="./check", format="exit"), Check(name="t", command="pytest", format="pytest")
EDITED = Change("tests/test_a.py", "def test_a():\n    assert f() == 3\n", "def test_a():\n    assert f() == 4\n")
CODE = Change("a.py", "x = 1\n", "x = 2\n")


def test_under_a_check_that_tells_only_its_exit_status_an_edited_test_is_told_and_a_new_one_is_not() -> None:
    told = [each for each in find((EDITED, CODE), (EXIT,)) if each.kind == "test edited"]
    assert [(each.path, each.blocks) for each in told] == [("tests/test_a.py", False)]
    assert "assert f() == 3" in told[0].what
    more = EDITED._replace(after=f"{EDITED.before}\n\ndef test_b():\n    assert f() == 3\n")
    for changes, checks in (((EDITED, CODE), (EXIT, PYTEST)), ((more, CODE), (EXIT,)), ((CODE,), (EXIT,))):
        assert not [each for each in find(changes, checks) if each.kind == "test edited"]
