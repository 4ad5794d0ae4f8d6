"""What a server says is read whole, down to the last field, or it is said what of it is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pytest

from nightmill.client.reading import field, value
from nightmill.errors import EngineError


class Leaf(NamedTuple):
    name: str
    well: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    leaf: Leaf | None
    leaves: tuple[Leaf, ...]
    pairs: tuple[tuple[str, bool], ...]
    state: Literal["open", "done"]
    cost: float
    count: int
    names: dict[str, str]
    said: dict[str, Any]


SAID: dict[str, Any] = {
    "leaf": None,
    "leaves": [{"name": "a", "well": True, "newer": 1}],
    "pairs": [["b", False]],
    "state": "open",
    "cost": 2,
    "count": 3,
    "names": {"c": "d"},
    "said": {"e": [None, 1.5]},
}


def test_what_is_nested_is_read_to_the_last_and_what_is_newer_is_left_out() -> None:
    assert value(Tree, SAID, of="a tree") == Tree(
        leaf=None,
        leaves=(Leaf("a", well=True),),
        pairs=(("b", False),),
        state="open",
        cost=2,
        count=3,
        names={"c": "d"},
        said={"e": [None, 1.5]},
    )
    assert value(Tree, {**SAID, "leaf": {"name": "x", "well": False}}, of="a tree").leaf == Leaf("x", well=False)


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        ({"leaf": 5}, "leaf of a tree should be an object and is 5"),
        ({"leaves": {}}, "leaves of a tree should be a list and is {}"),
        ({"leaves": [{"name": "a"}]}, "well of one of leaves of a tree should be there and is nothing"),
        ({"leaves": [{"name": None, "well": True}]}, "name of one of leaves of a tree should be str and is None"),
        ({"pairs": [["b"]]}, "one of pairs of a tree should be a list of 2 and is ['b']"),
        ({"pairs": [["b", "no"]]}, "one of one of pairs of a tree should be bool and is 'no'"),
        ({"state": "lost"}, "state of a tree should be open or done and is 'lost'"),
        ({"state": ["open"]}, "state of a tree should be open or done and is ['open']"),
        ({"cost": True}, "cost of a tree should be float and is True"),
        ({"count": 3.0}, "count of a tree should be int and is 3.0"),
        ({"names": {"c": 1}}, "c of names of a tree should be str and is 1"),
        ({"said": []}, "said of a tree should be an object and is []"),
    ],
)
def test_what_is_not_as_it_should_be_is_named_with_where_it_stands(strange: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError) as refused:
        value(Tree, SAID | strange, of="a tree")

    assert refused.value.message == said


@pytest.mark.parametrize("plain", [None, [], "text", {"other": 1}])
def test_a_field_of_what_has_none_is_missed(plain: Any) -> None:
    with pytest.raises(EngineError, match="count of an answer should be there and is nothing"):
        field(plain, "count", int, of="an answer")
