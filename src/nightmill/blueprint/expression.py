"""Expressions and templates of blueprints: Jinja's language, cut down to what only looks at values.

What may stand in one is a list of the nodes of its syntax tree (no call, no loop, no assignment, no multiplication), so
that it ends, cannot grow, and can reach nothing but the values it is given: a dot reads a key of a mapping and never an
attribute of an object. What names a text uses is known before anything runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from textwrap import indent
from typing import Any, NamedTuple

from jinja2 import ChainableUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nightmill.blueprint.unreadable import fault
from nightmill.errors import SettingsError

__all__ = ["LONGEST", "Path", "constant", "evaluate", "parsed", "paths", "render", "reworded", "written"]

LONGEST = 200_000
"""Characters that a rendered template may have."""
MOST_GROWING = 12
"""Joins, sums and filters that one expression may hold: each can make a text longer, `tojson` twice as long."""
SHORT = 80
GROWING = (nodes.Filter, nodes.Concat, nodes.Add)

FILTERS = frozenset(
    "abs count default first int join last length list lower map max min reject rejectattr round select selectattr sort"
    " string sum tojson trim truncate unique upper wordcount".split()
)
TESTS = frozenset(
    "defined undefined none true false in eq ne gt ge lt le equalto string number sequence mapping boolean".split()
)
NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
    nodes.Concat,
    nodes.CondExpr,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Filter,
    nodes.Test,
    nodes.Keyword,
)
JINJAS = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})
"""Names that Jinja gives a meaning of its own."""
WORDS = {"Call": "a call", "For": "a loop", "If": "a block; write {{ a if b else c }}", "Mul": "a multiplication"}


class Path(NamedTuple):
    """A value that a text reads: the *names* from the outermost in; *whole* is False where what follows is not known."""

    names: tuple[str, ...]
    whole: bool = True

    def __str__(self) -> str:
        return ".".join(self.names)


class _Values(ImmutableSandboxedEnvironment):
    """Jinja, with mappings' keys in place of attributes."""

    def __init__(self, finalize: Callable[[Any], Any] | None = None) -> None:
        super().__init__(undefined=ChainableUndefined, keep_trailing_newline=True, autoescape=False, finalize=finalize)
        self.globals = {}
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.tests = {name: self.tests[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The key *attribute* of the mapping *obj*."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The key or, of a list, the number *argument* of *obj*."""
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list | tuple | str) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)


def _text(value: Any) -> Any:
    """*value* as it stands in a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return written(_plain(value)) if isinstance(value, list | tuple | dict) else value


def written(value: Any) -> str:
    """Plain *value* as people and models read it: lists and mappings as indented lines, so that no text can end one."""
    if isinstance(value, Mapping):
        return "\n".join(_under(f"{key}:", each) for key, each in value.items() if each not in (None, "", [], {}))
    if isinstance(value, list | tuple):
        return "\n".join(_item(written(each)) for each in value)
    return value if isinstance(value, str) else json.dumps(value)


def _under(head: str, value: Any) -> str:
    text = written(value)
    if isinstance(value, list | tuple | Mapping):
        return f"{head}\n{indent(text, '  ')}"
    first, *rest = text.strip("\n").split("\n")
    return "\n".join([f"{head} {first}", *(f"  {line}" for line in rest)])


def _item(text: str) -> str:
    first, *rest = text.strip("\n").split("\n")
    return "\n".join([f"- {first}", *(f"  {line}" for line in rest)])


VALUES, TEXTS = _Values(), _Values(_text)


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """What *expression* comes to with *values*: plain data, None for what is not there.

    Raises:
        SettingsError: If it is no expression, or cannot be worked out with these values.
    """
    return _attempt(expression, lambda: _plain(_expression(expression)(**values)))


def render(template: str, values: Mapping[str, Any]) -> str:
    """*template* with its `{{ … }}` replaced; what is not there leaves nothing, lists and mappings come as `written`.

    Raises:
        SettingsError: If it is no template, or cannot be worked out with these values, or is too long.
    """
    text: str = _attempt(template, lambda: _joined(_template(template).generate(**values)))
    return text


def paths(text: str, *, template: bool) -> tuple[Path, ...]:
    """The values that *text* reads, an expression or a *template*.

    Raises:
        SettingsError: If it is none, or holds what is not allowed in one.
    """
    return tuple(dict.fromkeys(_paths(_parsed(text if template else _wrapped(text), shown=text))))


def reworded(text: str, words: Mapping[tuple[str, ...], str], *, template: bool) -> str:
    """*text*, an expression or a *template*, with what *words* says in place of each value that it names, dots between them.

    The longest names count; a value that is read in another way (`steps["a"]`) stays as it is, as all else does.

    Raises:
        SettingsError: If *text* is none, or holds what is not allowed in one.
    """
    source = text if template else _wrapped(text)
    _parsed(source, shown=text)
    tokens = [(kind, value) for _, kind, value in VALUES.lex(source)]
    found, at = [], 0
    while at < len(tokens):
        names = _named(tokens, at)
        size = next((size for size in range(len(names), 0, -1) if names[:size] in words), 0)
        found.append(words[names[:size]] if size else tokens[at][1])
        at += 2 * size - 1 if size else 1
    made = "".join(found)
    return made if template else made.removeprefix(_wrapped("").partition(")")[0]).removesuffix(") }}")


def _named(tokens: list[tuple[str, str]], at: int) -> tuple[str, ...]:
    """The names with dots between them that begin at the token *at*."""
    if tokens[at][0] != "name" or (at and tokens[at - 1] == ("operator", ".")):
        return ()
    names = [tokens[at][1]]
    while tokens[at + 1 : at + 2] == [("operator", ".")] and tokens[at + 2][0] == "name":
        at += 2
        names.append(tokens[at][1])
    return tuple(names)


def parsed(expression: str) -> nodes.Node:
    """The syntax tree of *expression*.

    Raises:
        SettingsError: If it is none, or holds what is not allowed in one.
    """
    output = next(_parsed(_wrapped(expression), shown=expression).find_all(nodes.Output))
    return output.nodes[0]


def constant(expression: str) -> bool | None:
    """Whether *expression* is always true or always false; None if that depends on values."""
    return None if paths(expression, template=False) else bool(evaluate(expression, {}))


def _wrapped(expression: str) -> str:
    return "{{ (" + expression + ") }}"


@lru_cache(maxsize=2048)
def _expression(expression: str) -> Callable[..., Any]:
    _parsed(_wrapped(expression), shown=expression)
    return VALUES.compile_expression(f"({expression})", undefined_to_none=True)


@lru_cache(maxsize=512)
def _template(template: str) -> Any:
    _parsed(template, shown=template)
    return TEXTS.from_string(template)


def _joined(pieces: Iterator[str]) -> str:
    found, size = [], 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise SettingsError(f"a text came to more than {LONGEST:,} characters", hint="name less in it")
    return "".join(found)


@lru_cache(maxsize=4096)
def _parsed(text: str, *, shown: str) -> nodes.Template:
    try:
        tree = VALUES.parse(text)
    except (TemplateError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        why = "it is nested too deeply" if deep else fault(shown, template=text == shown)
        raise SettingsError(
            f"{_short(shown)} cannot be read: {why}",
            hint="such as steps.plan.output.risk == 'high' and not inputs.fast",
        ) from error
    for node in _all(tree):
        _allowed(node, shown)
    for output in tree.find_all(nodes.Output):
        if any(sum(isinstance(node, GROWING) for node in _all(part)) > MOST_GROWING for part in output.nodes):
            raise SettingsError(
                f"{_short(shown)} joins and filters more than {MOST_GROWING} times", hint="take two steps for it"
            )
    return tree


def _allowed(node: nodes.Node, shown: str) -> None:
    if not isinstance(node, NODES):
        name = type(node).__name__
        raise SettingsError(
            f"{_short(shown)} holds {WORDS.get(name, name)}, which expressions have not",
            hint="they read values and compare them; a `python` or `run` step does the rest",
        )
    if isinstance(node, nodes.Name) and node.name in JINJAS:
        raise SettingsError(f"{_short(shown)} reads {node.name!r}, which there is not", hint="see its `inputs`")
    if isinstance(node, nodes.Filter | nodes.Test):
        _known(node, shown)


def _known(node: nodes.Filter | nodes.Test, shown: str) -> None:
    known, what = (FILTERS, "filter") if isinstance(node, nodes.Filter) else (TESTS, "test")
    if node.name not in known:
        raise SettingsError(
            f"{_short(shown)} uses the {what} {node.name!r}, which there is not",
            hint=f"known: {', '.join(sorted(known))}",
        )


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _all(child)


def _paths(node: nodes.Node) -> Iterator[Path]:
    """Every chain of names, longest ones only, and what stands in brackets beside it."""
    names: list[str] = []
    whole, at = True, node
    while isinstance(at, nodes.Getattr | nodes.Getitem):
        if isinstance(at, nodes.Getattr):
            names.append(at.attr)
        elif isinstance(at.arg, nodes.Const) and isinstance(at.arg.value, str):
            names.append(at.arg.value)
        else:
            yield from _paths(at.arg)
            names.clear()
            whole = False
        at = at.node
    if isinstance(at, nodes.Name):
        yield Path((at.name, *reversed(names)), whole)
    else:
        for child in at.iter_child_nodes():
            yield from _paths(child)


def _plain(value: Any) -> Any:
    """*value* without Jinja's own kinds in it."""
    if isinstance(value, ChainableUndefined):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, str | int | float | bool | None):
        return str(value) if isinstance(value, str) else value
    return [_plain(each) for each in value]


def _attempt(text: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except SettingsError:
        raise
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
        raise SettingsError(
            f"{_short(text)} cannot be worked out: {error}", hint="see what the steps before it gave"
        ) from error


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= SHORT else f"{line[: SHORT - 1]}…")
