"""Expressions only look at values; nothing in one can run, grow or reach what it was not given."""

from __future__ import annotations

import pytest

from nightmill.blueprint.expression import LONGEST, constant, evaluate, paths, render, reworded
from nightmill.errors import SettingsError

VALUES = {
    "steps": {"a": {"ok": True, "items": [1, 2, {"x": "q"}], "values": 3}},
    "inputs": {"name": "hé", "none": None, "long": "x" * 100_000},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.a.ok and not inputs.absent", True),
        ("steps.a.items|length > 2", True),
        ("steps.a.items[2].x", "q"),
        ("steps.a.values", 3),
        ("steps.absent.far.away", None),
        ("inputs.name ~ '!'", "hé!"),
        ("steps.a.items|select('number')|list", [1, 2]),
        ("{'a': inputs.name}", {"a": "hé"}),
        ("'yes' if inputs.none is none else 'no'", "yes"),
        ("inputs.name in ['hé', 'b']", True),
    ],
)
def test_an_expression_reads_values_and_compares_them(expression: str, value: object) -> None:
    assert evaluate(expression, VALUES) == value


@pytest.mark.parametrize(
    "attack",
    [
        "inputs.name.__class__",
        "steps.__class__.__mro__",
        "''.__class__.__base__",
        "inputs['__class__']",
        "steps.a.items.append",
        "steps.a.keys",
        "lipsum",
        "cycler.__init__",
    ],
)
def test_a_dot_never_reaches_an_attribute(attack: str) -> None:
    assert evaluate(attack, VALUES) is None


@pytest.mark.parametrize(
    "attack",
    [
        "inputs.name.upper()",
        "range(9)",
        "self",
        "self.blocks",
        "'x' * 1000000",
        "2 ** 99999999",
        "inputs.name|attr('__class__')",
        "inputs.name|format(1)",
        "inputs.name|replace('h', inputs.long)",
        "''|indent(1000000000)",
        "(((((",
        "x) }}{{ lipsum() }}{{ (x",
        "'%s' % inputs",
        "steps.a.items|map('attr', '__class__')|list",
        "(" * 5000 + ")" * 5000,
        "inputs.long" + "|tojson" * 40,
    ],
)
def test_what_could_run_or_grow_is_refused(attack: str) -> None:
    with pytest.raises(SettingsError):
        evaluate(attack, VALUES)


def test_a_template_writes_lists_in_lines_and_nothing_for_what_is_not_there() -> None:
    assert render("{{ inputs.none }}{{ no.such }}[{{ steps.a.ok }}]", VALUES) == "[true]"
    assert "  - x: q" in render("{{ steps.a }}", VALUES)
    assert render("a\n{{ inputs.name }}\n", VALUES) == "a\nhé\n"


def test_a_template_has_no_blocks_and_what_a_value_holds_is_never_a_template() -> None:
    with pytest.raises(SettingsError, match="block"):
        render("{% if x %}1{% endif %}", VALUES)
    assert render("{{ inputs.name }}", {"inputs": {"name": "{{ steps }}"}}) == "{{ steps }}"


def test_a_text_that_grows_too_long_is_refused_before_it_is_made() -> None:
    with pytest.raises(SettingsError, match=f"{LONGEST:,}"):
        render("{{ inputs.long }}" * 1000, VALUES)


def test_what_a_text_reads_is_known_before_it_runs() -> None:
    found = {str(path) for path in paths("{{ steps.a['b'].c }} {{ inputs.x[inputs.y] }}", template=True)}
    assert found == {"steps.a.b.c", "inputs.x", "inputs.y"}
    assert constant("1 > 2") is False
    assert constant("steps.a.ok") is None


WORDS = {("steps", "a", "ok"): "(steps.b.ok or steps.a.ok)", ("steps", "a"): "steps.c"}


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("steps.a.ok", "(steps.b.ok or steps.a.ok)"),
        (
            "not steps.a.ok and  steps.a.ok.x|string",
            "not (steps.b.ok or steps.a.ok) and  (steps.b.ok or steps.a.ok).x|string",
        ),
        ("steps.a.items[steps.a.values]", "steps.c.items[steps.c.values]"),
        (
            "'steps.a.ok' ~ inputs.steps.a.ok ~ {'steps': 1}.steps",
            "'steps.a.ok' ~ inputs.steps.a.ok ~ {'steps': 1}.steps",
        ),
        ("steps['a'].ok or steps.ab.ok", "steps['a'].ok or steps.ab.ok"),
    ],
)
def test_a_name_is_another_where_it_is_read_and_nowhere_else(text: str, other: str) -> None:
    assert reworded(text, WORDS, template=False) == other


def test_a_template_is_reworded_between_its_marks() -> None:
    text = "steps.a.ok is {{ steps.a.ok }}, {# steps.a.ok #}\n{{steps.a}}\n"

    assert reworded(text, WORDS, template=True) == (
        "steps.a.ok is {{ (steps.b.ok or steps.a.ok) }}, {# steps.a.ok #}\n{{steps.c}}\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("((steps.a", "'(' is not closed by ')'"),
        ("steps.a)", "')' closes nothing"),
        ("[steps.a", "'[' is not closed by ']'"),
        ("steps.a ==", "nothing follows '=='"),
        ("== steps.a", "nothing stands before '=='"),
        ("steps.a steps.b", "nothing joins a and steps"),
        ("steps.a == 'it", "a text has no closing '"),
        ("steps.a && steps.b", "'&&' is written as 'and'"),
        ("!steps.a", "'!' is written as 'not'"),
        ("steps.a = 'b'", "'=' is written as '=='"),
        ("steps.a ? 1 : 2", "'?' is written as 'a if b else c'"),
        ("steps.a and or steps.b", "nothing stands between 'and' and 'or'"),
        ("steps.a; steps.b", "';' means nothing in it"),
        ("steps.a else 1", "'else' has no 'if' before it"),
        ("not in steps.a", "its parts do not go together"),
        ("{{ steps.a }}", "it stands by itself, without {{ and }}"),
    ],
)
def test_what_cannot_be_read_is_said_of_what_was_written_and_not_of_what_is_put_around_it(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        paths(text, template=False)

    assert refused.value.message == f"{text!r} cannot be read: {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Do {{ steps.a | upper } }", "'{{' is not closed by '}}'"),
        ("Do {{ steps.a }} and {{ steps.b == }}", "nothing follows '=='"),
        ("Do {{ }}", "it is empty"),
        ("{% if steps.a %}Do{% endif", "there is nothing such as {% … %}; write {{ a if b else c }}"),
        ("Do {# that", "'{#' is not closed by '#}'"),
    ],
)
def test_what_cannot_be_read_in_a_template_is_said_of_the_part_that_is_wrong(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        paths(text, template=True)

    assert refused.value.message.endswith(f"cannot be read: {said}")
