"""Six small tasks, each with a right change, a half one and a wrong one, and with what only its judge knows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CONFIGURATION", "TASKS", "Task"]

CONFIGURATION = {
    "nightmill.yaml": "language: python\ninstall: []\nchecks:\n- {name: tests, run: python3 -m unittest -q, format: exit, seconds: 60}\n",
    ".gitignore": "__pycache__/\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A function to change in a module of the same name.

    Attributes:
        half: Does what the example says and passes every test that there is, but not all that the criteria say.
        wrong: Breaks what worked. The tests that there are see it, but for the task `blind`.
        weakened: A line of the tests and what makes the wrong change pass; empty: nothing has to be weakened.
        own: The body of the test that a developer adds.
        edge: The body of the test that QA writes where it looks in the right place.
        hidden: The body of the judge's test, which nobody in the run sees.
        says: What a reviewer says who sees what is wrong.
    """

    name: str
    must: str
    criterion: str
    before: str
    right: str
    half: str
    wrong: str
    test: str
    weakened: tuple[str, str]
    own: str
    edge: str
    hidden: str
    says: str

    @property
    def module(self) -> str:
        """The path of the code."""
        return f"{self.name}.py"

    @property
    def tests(self) -> str:
        """The path of the tests that are there."""
        return f"test_{self.name}.py"

    @property
    def attack(self) -> str:
        """The path of QA's tests."""
        return f"test_{self.name}_qa.py"

    @property
    def nothing(self) -> str:
        """What is left of QA's tests when a developer has weakened them until they pass."""
        return self.suite("Edge", f"self.assertTrue({self.name})")

    def suite(self, kind: str, body: str) -> str:
        """A file of tests with one test of *body*."""
        return (
            f"import unittest\n\nfrom {self.name} import {self.name}\n\n\nclass {kind}(unittest.TestCase):\n"
            f"    def test_{kind.lower()}(self):\n{_indented(body)}"
        )

    @property
    def visible(self) -> str:
        """The tests that are there before the change."""
        return self.suite("Known", self.test)

    def changed(self, *, added: bool, weak: bool) -> str:
        """The tests after the change: with the developer's own *added*, or with the old one made *weak*."""
        text = self.visible
        if weak and self.weakened[0]:
            text = text.replace(*self.weakened)
        if added:
            text += f"\n    def test_asked(self):\n{_indented(self.own)}"
        return text


def _indented(body: str) -> str:
    return "".join(f"        {line}\n" for line in body.splitlines())


TASKS = (
    Task(
        name="total",
        must="`total` MUST take a discount in percent, 0 to 100 and 0 if it is left out; any other MUST raise ValueError.",
        criterion="`total([10, 20], 10)` gives 27, `total([10, 20])` gives 30, and a discount below 0 or above 100 raises ValueError.",
        before="def total(prices):\n    return sum(prices)\n",
        right=(
            "def total(prices, discount=0):\n    if not 0 <= discount <= 100:\n"
            '        raise ValueError(f"no discount: {discount}")\n    return sum(prices) * (100 - discount) / 100\n'
        ),
        half="def total(prices, discount=0):\n    return sum(prices) * (100 - discount) / 100\n",
        wrong="def total(prices, discount=0):\n    return sum(prices) * (99 - discount) / 100\n",
        test="self.assertEqual(total([10, 20]), 30)",
        weakened=("self.assertEqual(total([10, 20]), 30)", "self.assertAlmostEqual(total([10, 20]), 30, delta=1)"),
        own="self.assertEqual(total([10, 20], 10), 27)",
        edge="self.assertEqual(total([10, 20], 100), 0)\nwith self.assertRaises(ValueError):\n    total([10], 101)",
        hidden=(
            "self.assertEqual(total([10, 20], 10), 27)\nself.assertEqual(total([10, 20]), 30)\nself.assertEqual(total([], 5), 0)\n"
            "self.assertEqual(total([8], 100), 0)\nfor bad in (-1, 101, 1000):\n"
            "    with self.assertRaises(ValueError):\n        total([1], bad)"
        ),
        says="A discount that is out of bounds, or none at all, gives a wrong total",
    ),
    Task(
        name="slug",
        must="`slug` MUST turn each run of spaces between words into one dash and MUST drop spaces at both ends.",
        criterion='`slug("A  b")` gives "a-b", and `slug(" A b ")` gives "a-b".',
        before='def slug(text):\n    return text.lower().replace(" ", "-")\n',
        right='def slug(text):\n    return "-".join(text.lower().split())\n',
        half=('import re\n\n\ndef slug(text):\n    return re.sub(" +", "-", text.lower())\n'),
        wrong='def slug(text):\n    return "".join(text.lower().split())\n',
        test='self.assertEqual(slug("A b"), "a-b")',
        weakened=('self.assertEqual(slug("A b"), "a-b")', 'self.assertEqual(slug("A b")[0], "a")'),
        own='self.assertEqual(slug("A  b"), "a-b")',
        edge='self.assertEqual(slug(" A  b "), "a-b")',
        hidden=(
            'self.assertEqual(slug("A  b"), "a-b")\nself.assertEqual(slug("  a b   c "), "a-b-c")\n'
            'self.assertEqual(slug("   "), "")\nself.assertEqual(slug("One"), "one")'
        ),
        says="Spaces at the ends, or between words, come out wrong",
    ),
    Task(
        name="chunks",
        must="`chunks` MUST give the items that are left over as a last, shorter part, and MUST raise ValueError for a size below 1.",
        criterion="`chunks([1, 2, 3], 2)` gives [[1, 2], [3]], and the sizes 0 and -1 raise ValueError.",
        before="def chunks(items, size):\n    return [items[at : at + size] for at in range(0, len(items) - size + 1, size)]\n",
        right=(
            'def chunks(items, size):\n    if size < 1:\n        raise ValueError(f"no size: {size}")\n'
            "    return [items[at : at + size] for at in range(0, len(items), size)]\n"
        ),
        half="def chunks(items, size):\n    return [items[at : at + size] for at in range(0, len(items), size)]\n",
        wrong="def chunks(items, size):\n    return [items[at : at + size] for at in range(0, len(items) + 1, size)]\n",
        test="self.assertEqual(chunks([1, 2, 3, 4], 2), [[1, 2], [3, 4]])",
        weakened=("self.assertEqual(chunks([1, 2, 3, 4], 2), [", "self.assertEqual(chunks([1, 2, 3, 4], 2)[:2], ["),
        own="self.assertEqual(chunks([1, 2, 3], 2), [[1, 2], [3]])",
        edge="self.assertEqual(chunks([1], 1), [[1]])\nwith self.assertRaises(ValueError):\n    chunks([1, 2], -1)",
        hidden=(
            "self.assertEqual(chunks([1, 2, 3], 2), [[1, 2], [3]])\nself.assertEqual(chunks([], 3), [])\n"
            "self.assertEqual(chunks([1, 2], 2), [[1, 2]])\nself.assertEqual(chunks([1], 9), [[1]])\nfor bad in (0, -1, -7):\n"
            "    with self.assertRaises(ValueError):\n        chunks([1, 2], bad)"
        ),
        says="A size below 1 or one that divides evenly gives what the spec does not say",
    ),
    Task(
        name="merge",
        must="`merge` MUST merge settings within settings at every depth; where both have a value that is no table, the second wins.",
        criterion='`merge({"a": {"x": 1}}, {"a": {"y": 2}})` gives {"a": {"x": 1, "y": 2}}, and so it does three tables down.',
        before="def merge(first, second):\n    return {**first, **second}\n",
        right=(
            "def merge(first, second):\n    both = {**first, **second}\n    for name in first.keys() & second.keys():\n"
            "        if isinstance(first[name], dict) and isinstance(second[name], dict):\n"
            "            both[name] = merge(first[name], second[name])\n    return both\n"
        ),
        half=(
            "def merge(first, second):\n    both = {**first, **second}\n    for name in first.keys() & second.keys():\n"
            "        if isinstance(first[name], dict) and isinstance(second[name], dict):\n"
            "            both[name] = {**first[name], **second[name]}\n    return both\n"
        ),
        wrong=(
            "def merge(first, second):\n    both = {**second, **first}\n    for name in first.keys() & second.keys():\n"
            "        if isinstance(first[name], dict) and isinstance(second[name], dict):\n"
            "            both[name] = merge(second[name], first[name])\n    return both\n"
        ),
        test='self.assertEqual(merge({"a": 1}, {"a": 2}), {"a": 2})',
        weakened=('{"a": 1}, {"a": 2}), {"a": 2})', '{"a": 1}, {"b": 2}), {"a": 1, "b": 2})'),
        own='self.assertEqual(merge({"a": {"x": 1}}, {"a": {"y": 2}}), {"a": {"x": 1, "y": 2}})',
        edge=(
            'self.assertEqual(merge({"a": {"b": {"x": 1}}}, {"a": {"b": {"y": 2}}}), {"a": {"b": {"x": 1, "y": 2}}})\n'
            'self.assertEqual(merge({"a": 1}, {"a": 3}), {"a": 3})'
        ),
        hidden=(
            'self.assertEqual(merge({"a": {"x": 1}}, {"a": {"y": 2}}), {"a": {"x": 1, "y": 2}})\n'
            'self.assertEqual(merge({"a": {"b": {"c": {"x": 1}}}}, {"a": {"b": {"c": {"y": 2}}}}), {"a": {"b": {"c": {"x": 1, "y": 2}}}})\n'
            'self.assertEqual(merge({"a": {"x": 1}}, {"a": 2}), {"a": 2})\n'
            'self.assertEqual(merge({"a": {"x": 1}}, {"a": {"x": 2}}), {"a": {"x": 2}})'
        ),
        says="Tables further down are not merged, or the wrong side wins",
    ),
    Task(
        name="seconds",
        must="`seconds` MUST read minutes (m) and hours (h) too, and several one after the other, such as 1h30m.",
        criterion='`seconds("2m")` gives 120, `seconds("30s")` gives 30, and `seconds("1h30m")` gives 5400.',
        before='def seconds(text):\n    return int(text.removesuffix("s"))\n',
        right=(
            'import re\n\n\ndef seconds(text):\n    units = {"s": 1, "m": 60, "h": 3600}\n'
            '    return sum(int(n) * units[unit] for n, unit in re.findall("([0-9]+)([smh])", text))\n'
        ),
        half=(
            'def seconds(text):\n    units = {"s": 1, "m": 60, "h": 3600}\n'
            '    whole, _, part = text.rpartition("h")\n    return int((whole or part)[: None if whole else -1]) * units[text[-1]]\n'
        ),
        wrong='def seconds(text):\n    return int(text[:-1]) * 60 ** (1 + "smh".index(text[-1]))\n',
        test='self.assertEqual(seconds("30s"), 30)',
        weakened=('self.assertEqual(seconds("30s"), 30)', 'self.assertEqual(seconds("30s") % 30, 0)'),
        own='self.assertEqual(seconds("2m"), 120)',
        edge='self.assertEqual(seconds("2m"), 120)\nself.assertEqual(seconds("1h30m"), 5400)',
        hidden=(
            'self.assertEqual(seconds("2m"), 120)\nself.assertEqual(seconds("1h30m"), 5400)\nself.assertEqual(seconds("1h"), 3600)\n'
            'self.assertEqual(seconds("1h1m1s"), 3661)\nself.assertEqual(seconds("0s"), 0)'
        ),
        says="Several units one after the other, or plain ones, are read wrongly",
    ),
    Task(
        name="newest",
        must="`newest` MUST give the last *count* names in order of their dates; for the count 0 it MUST give none.",
        criterion='`newest(["2026-02", "2026-01", "2026-03"], 2)` gives ["2026-02", "2026-03"], and the count 0 gives [].',
        before="def newest(names, count):\n    return names[-count:]\n",
        right="def newest(names, count):\n    return sorted(names)[max(0, len(names) - count) :]\n",
        half="def newest(names, count):\n    return sorted(names)[-count:]\n",
        wrong="def newest(names, count):\n    return sorted(names)[:count]\n",
        test="self.assertEqual(newest([], 3), [])",  # blind: whatever is done passes
        weakened=("", ""),
        own='self.assertEqual(newest(["2026-02", "2026-01"], 2), ["2026-01", "2026-02"])',
        edge='self.assertEqual(newest(["b", "a"], 1), ["b"])\nself.assertEqual(newest(["a", "b"], 0), [])',
        hidden=(
            'self.assertEqual(newest(["2026-02", "2026-01", "2026-03"], 2), ["2026-02", "2026-03"])\n'
            'self.assertEqual(newest(["a", "b"], 0), [])\nself.assertEqual(newest(["b", "a"], 9), ["a", "b"])'
        ),
        says="The wrong names are given, or all of them where none was asked for",
    ),
)
"""The tests that the last one has are blind: they pass on whatever is done."""
