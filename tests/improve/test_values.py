"""A value that a script reads from its environment is the same text to bash wherever it stood, and never code."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.errors import ToolError
from nightmill.improve import found
from nightmill.improve.values import Value, another, flags, guard, in_patch, in_shell

NEW = Value(name="version", text="1.3.0", whence="the words of the task")


def bash(text: str, value: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", NEW.variable: value}
    return subprocess.run(["bash", "-c", text], env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "command",
    [
        "echo 1.3.0",
        "echo 'is 1.3.0, now'",
        'echo "is 1.3.0, now"',
        'echo "it\'s 1.3.0" \'and "1.3.0" too\' v1.3.0 11.3.0 1.3.0.1',
        r"echo 'a'\''1.3.0' \"1.3.0\" \'1.3.0\'",
        "echo x=1.3.0 | sed 's/x=1.3.0/y=1.3.0/'",
    ],
)
def test_a_command_prints_the_same_and_with_another_value_the_other(command: str) -> None:
    before = bash(command, "")
    read = in_shell(command, NEW)

    assert "$" in read
    assert bash(read, "1.3.0").stdout == before.stdout
    other = bash(read, "9.9").stdout
    assert "9.9" in other
    assert other == NEW.here.sub("9.9", before.stdout)


@pytest.mark.parametrize(
    "command", ["cat <<'END'\n1.3.0\nEND", "echo \"$(echo '1.3.0')\"", "echo $'1.3.0'", "echo `echo 1.3.0`"]
)
def test_where_it_cannot_be_told_how_it_is_quoted_it_stays(command: str) -> None:
    with pytest.raises(ToolError, match="here-document or a substitution"):
        in_shell(command, NEW)


@given(st.text(alphabet="'\"\\ ;$`&|/a.1-\n", max_size=12))
def test_the_guard_lets_nothing_through_that_could_be_code(text: str) -> None:
    ended = bash(f"{guard(NEW)}\necho in", text)

    plain = bool(text) and all(letter in "a.1-" for letter in text) and text[0] not in ".-"
    assert ended.returncode == (0 if plain else 64)
    assert (ended.stdout.strip() == "in") is plain


def test_a_patch_has_it_only_where_it_comes_in() -> None:
    patch = "--- a/1.3.0\n+++ b/1.3.0\n-1.2.0 then 1.3.0\n+1.3.0\n 1.3.0\n"

    assert in_patch(patch, NEW) == patch.replace("\n+1.3.0", "\n+@@INPUT_VERSION@@")


def test_values_are_inputs_as_they_are_and_of_the_words_what_is_quoted_or_a_version() -> None:
    words = "Move `calc.py` from 1.2.0 to \"1.3.0\", see 'rc-7'; not $(rm) `a;b1` or v2.0.0."
    values = found({"package": "requests", "evil": "x; rm -rf 1", "many": 3}, words)

    assert [(each.name, each.text) for each in values] == [
        ("package", "requests"),
        ("version", "1.2.0"),
        ("version_2", "1.3.0"),
        ("value", "rc-7"),
        ("version_3", "2.0.0"),
    ]
    assert [another(each) for each in values] == ["requestsx", "1.2.1", "1.3.1", "rc-8", "2.0.1"]


def test_what_is_true_of_one_day_or_machine_is_flagged() -> None:
    text = "echo 2026-11-28 deadbeefcafe01 > /tmp/x1; curl https://example.org"

    assert {each.partition(":")[0] for each in flags(text)} == {"a date", "a hash", "a temporary name", "the network"}
    assert not flags("sed -i s/1.2.0/1.3.0/ VERSION")
