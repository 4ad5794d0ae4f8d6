"""What a command shows of the check in it: a pipe's exit status is not the check's."""

from __future__ import annotations

import pytest

from nightmill.agent.outcome import passed, verifies

GOOD, BAD = "3 passed in 0.1s", "1 failed, 2 passed in 0.1s"


@pytest.mark.parametrize(
    ("command", "ok", "output", "verdict"),
    [
        ("pytest -q", True, "", True),
        ("pytest -q", False, GOOD, False),
        ("cd src && pytest -q", True, "", True),
        ("pytest -q && git diff", True, "", True),
        ("pytest -q && git diff", False, BAD, False),
        ("pytest -q && git diff --exit-code", False, GOOD, True),
        ("pytest -q; git status", True, BAD, False),
        ("pytest -q; git status", True, GOOD, True),
        ("pytest -q | tail -5", True, BAD, False),
        ("pytest -q 2>&1 | tail -5", True, GOOD, True),
        ("pytest -q | tail -1", True, "", None),
        ("pytest -q || true", True, BAD, False),
        ("pytest -q\ngit diff", True, BAD, False),
        ("echo 'a; b | c' && pytest", True, "", True),
        ("pytest 'unclosed", True, "", None),
        ("python -m unittest -q; echo $?", True, "FAILED (failures=1)", False),
        ("python -m unittest -q 2>&1 | tail", True, "Ran 2 tests\n\nOK", True),
        ("cargo test | tail", True, "test result: ok. 3 passed; 0 failed; 0 ignored", True),
        ("ruff check . | head", True, "All checks passed!", True),
        ("pytest & sleep 1", True, BAD, False),
    ],
)
def test_a_verdict_is_the_checks_own(command: str, ok: bool, output: str, verdict: bool | None) -> None:  # noqa: FBT001
    assert passed(command, ok, output, ()) is verdict


def test_the_projects_own_commands_verify_whatever_they_are_called() -> None:
    assert verifies("cd x &&  ./verify   --all", ("./verify --all",))
    assert not verifies("ls", ("./verify --all", ""))
    assert passed("./verify --all | tail", ok=True, output="", checks=("./verify --all",)) is None
