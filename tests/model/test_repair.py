"""Arguments as weak models write them, and what can be known of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.model.repair import repaired

WANTED = {"path": "a.py", "n": 3, "all": True, "items": ["x", {"y": None}]}
CERTAIN = [
    """{"path": "a.py", "n": 3, "all": true, "items": ["x", {"y": null},],}""",
    """{'path': 'a.py', 'n': 3, 'all': True, 'items': ['x', {'y': None}]}""",
    """{path: "a.py", n: 3, all: true, items: ["x", {y: null}]}""",
    """{"path": "a.py", // which\n "n": 3, # how many\n "all": true, /* yes */ "items": ["x", {"y": null}]}""",
    """```json\n{"path": "a.py", "n": 3, "all": true, "items": ["x", {"y": null}]}\n```""",
    json.dumps(json.dumps(WANTED)),
    json.dumps(json.dumps(json.dumps(WANTED))),
    f"[{json.dumps(WANTED)}]",
    f"{json.dumps(WANTED)}}}]",
]
GUESSES = [
    json.dumps(WANTED)[:-1],
    json.dumps(WANTED)[:-3],
    """{"path": "a.py" "n": 3, "all": true, "items": ["x", {"y": null}]}""",
    """{"path": a.py, "n": 3, "all": true, "items": ["x", {"y": null}]}""",
    """{"path" = "a.py", "n": 3, "all": true, "items": ["x", {"y": null}]}""",
    f"Here is the call: {json.dumps(WANTED)}",
    f"{json.dumps(WANTED)} I hope it helps.",
]


@pytest.mark.parametrize("text", CERTAIN)
def test_what_can_be_read_in_one_way_only_is_certain(text: str) -> None:
    found = repaired(text)

    assert found
    assert found.value == WANTED
    assert found.notes
    assert (found.certain, found.cut) == (True, False)


@pytest.mark.parametrize("text", GUESSES)
def test_what_lacks_something_is_a_guess(text: str) -> None:
    found = repaired(text)

    assert found
    assert found.value == WANTED
    assert (found.certain, found.cut) == (False, False)


def command(text: str) -> Any:
    found = repaired(text)
    return found and (found.value["command"], found.certain)


def test_strings_end_where_only_their_end_can_be() -> None:
    assert command('{"command": "echo\nhi\tyou"}') == ("echo\nhi\tyou", True)
    assert command('{"command": "echo "hi" you"}') == ('echo "hi" you', False)
    assert command("""{'command': 'echo "hi"'}""") == ('echo "hi"', True)
    assert command("""{'command': 'don't'}""") == ("don't", False)
    assert command(r"""{'command': 'don\'t'}""") == ("don't", False)
    assert command(r"""{"command": "don\'t"}""") == ("don't", True)
    assert command(r'{"command": "grep \d \u00e9\n"}') == ("grep \\d é\n", False)
    assert command('{"command": """a "b"\nc"""}') == ('a "b"\nc', False)


def test_a_string_that_is_cut_off_is_said_to_be() -> None:
    found = repaired('{"path": "src/ap')

    assert found
    assert (found.cut, found.certain) == (True, False)


@pytest.mark.parametrize(
    "text",
    ["", "ls", "[1, 2]", '{"a": 1}{"b": 2}', '{"a": NaN}', '{"a": }', '{"a": 1]', '{"a": "\\ud800"}', '{"a":' * 5000],
)
def test_what_cannot_be_known_is_nothing(text: str) -> None:
    assert repaired(text) is None


SIMPLE = st.text(st.characters(codec="utf-8", exclude_characters="'\"\\"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text(max_size=6), JSON, max_size=4), indent=st.sampled_from([None, 2]))
def test_sound_json_is_read_as_it_is_and_with_a_comma_too_many_as_well(
    value: dict[str, Any], indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    found = repaired(text)
    assert found
    assert (found.value, found.notes) == (value, ())
    if value:
        found = repaired(f"{text[:-1]},}}")
        assert found
        assert (found.value, found.certain) == (value, True)


@given(value=st.dictionaries(SIMPLE, SIMPLE | st.booleans() | st.none() | st.lists(SIMPLE, max_size=2), max_size=4))
def test_dicts_of_python_are_read(value: dict[str, Any]) -> None:
    text = "{" + ", ".join(f"'{name}': {_python(each)}" for name, each in value.items()) + "}"

    found = repaired(text)

    assert found
    assert (found.value, found.certain) == (value, True)


def _python(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f"'{each}'" for each in value) + "]"
    return f"'{value}'" if isinstance(value, str) else repr(value)


@given(text=st.text("{}[]\"'\\:,#/* \nau1`", max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    found = repaired(text)

    assert found is None or json.loads(json.dumps(found.value)) == found.value


def test_a_long_text_full_of_quotes_is_read_too() -> None:
    text = 'a "line" of "words"\n' * 50_000

    found = repaired('{"content": "' + text + '"}')

    assert found
    assert (found.value["content"], found.certain) == (text, False)


def test_blanks_behind_a_fence_are_looked_at_once() -> None:
    blanks = "\t " * 500_000

    assert repaired(f"```\n{blanks}x") is None
    assert repaired(f'```json\n{{"a": 1}}{blanks}\n```') == ({"a": 1}, ("a code fence around it",), True, False)
