"""A misquoted edit lands as it was meant, and the lines it does not change stay as they are, byte for byte."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.errors import ToolError
from nightmill.tool.landing import apply_edit
from nightmill.tool.landing.slip import is_slip

SHOP = '''import os
import sys
from shop import Basket, Order

RATE = 7


def total(basket: Basket) -> int:
    """What a basket costs."""
    # Add all lines up, then take the rebate.
    amount = sum(line.price for line in basket.lines)
    rebate = basket.rebate or 0

    if rebate > amount:
        raise ValueError("rebate <= amount")
    return amount - rebate


def send(order: Order, path: str) -> None:
    """Write an order where the carrier looks for it."""
    target = os.path.join(path, f"{order.number}.txt")
    with open(target, "w") as file:
        file.write(order.text)
    sys.stdout.write("sent\\n")
'''
RETURN = ("    return amount - rebate", "    return max(amount - rebate, 0)")
OLD = SHOP[SHOP.index("    amount") : SHOP.index("\n\n\ndef send")]
NEW = OLD.replace(*RETURN)
AFTER = SHOP.replace(*RETURN)


def numbered(text: str) -> str:
    return "\n".join(f"{at}\t{line}" for at, line in enumerate(text.split("\n"), 11))


def marked(mark: str, text: str, other: str) -> str:
    return "\n".join(f"{' ' if line in other.split(chr(10)) else mark}{line}" for line in text.split("\n"))


MISQUOTES = {
    "line numbers in both": (numbered(OLD), numbered(NEW)),
    "line numbers in old": (numbered(OLD), NEW),
    "marks of a diff": (marked("-", OLD, NEW), marked("+", NEW, OLD)),
    "a fence": (f"```python\n{OLD}\n```", f"```python\n{NEW}\n```"),
    "a fence around old": (f"```\n{OLD}\n```", NEW),
    "escaped": (OLD.replace("\n", "\\n").replace('"', '\\"'), NEW.replace("\n", "\\n").replace('"', '\\"')),
    "escaped quotes": (OLD.replace('"', '\\"'), NEW.replace('"', '\\"')),
    "entities": (OLD.replace("<", "&lt;").replace(">", "&gt;"), NEW.replace("<", "&lt;").replace(">", "&gt;")),
    "other quotes": (OLD.replace('"', "'"), NEW.replace('"', "'")),
    "white space inside": (OLD.replace(" or 0", "  or 0"), NEW.replace(" or 0", "  or 0")),
    "no blank line": (OLD.replace("\n\n", "\n"), NEW.replace("\n\n", "\n")),
    "a blank line too many": (OLD.replace("\n\n", "\n\n\n"), NEW.replace("\n\n", "\n\n\n")),
    "only the first line dedented": (OLD.lstrip() + "  ", NEW.lstrip()),
    "left out with dots": (
        "    amount = sum(line.price for line in basket.lines)\n    ...\n" + RETURN[0],
        "    amount = sum(line.price for line in basket.lines)\n    ...\n" + RETURN[1],
    ),
    "left out in words": (
        "def total(basket: Basket) -> int:\n    # ... existing code ...\n" + RETURN[0],
        "def total(basket: Basket) -> int:\n    # ... existing code ...\n" + RETURN[1],
    ),
    "left out in new alone": (
        OLD,
        "    amount = sum(line.price for line in basket.lines)\n    # ... rest of the code ...\n"
        '        raise ValueError("rebate <= amount")\n' + RETURN[1],
    ),
    "dots at the edge": ("...\n" + OLD, "...\n" + NEW),
    "a line not quoted": (
        OLD.replace("    rebate = basket.rebate or 0\n", ""),
        NEW.replace("    rebate = basket.rebate or 0\n", ""),
    ),
    "a slip": (OLD.replace("line.price", "line.pryce"), NEW.replace("line.price", "line.pryce")),
    "broken otherwise": (OLD.replace("sum(line", "sum(\n        line"), NEW.replace("sum(line", "sum(\n        line")),
}


@pytest.mark.parametrize("name", MISQUOTES)
def test_a_misquoted_edit_lands_as_it_was_meant(name: str) -> None:
    old, new = MISQUOTES[name]

    assert old not in SHOP or name == "left out in new alone"
    assert apply_edit(SHOP, old=old, new=new).text == AFTER


def test_imports_in_another_order_keep_the_order_of_the_file() -> None:
    old = "import sys\nimport os\nfrom shop import Basket, Order\n\nRATE = 7\n"

    assert apply_edit(SHOP, old=old, new=old.replace("7", "19")).text == SHOP.replace("7", "19")


def test_a_reworded_comment_keeps_the_words_of_the_file() -> None:
    old = SHOP[SHOP.index('    """What a basket') : SHOP.index("    rebate")].replace("all lines", "all the lines")
    new = old.replace("sum(line.price", "sum(line.price * line.count")

    assert apply_edit(SHOP, old=old, new=new).text == SHOP.replace("sum(line.price", "sum(line.price * line.count")


def test_typographic_signs_inside_a_line_stay() -> None:
    text = "“Buy” – it’s here\n"

    assert apply_edit(text, old='"Buy" - it\'s', new='"Buy" - it was').text == "“Buy” – it was here\n"


WRONG = {
    "the line to replace is another one": (
        "    rebate = basket.rebate or 1\n    return amount - rebates",
        "    rebate = 0\n    return amount",
    ),
    "what the change is in is another one": (
        "def totals(order: Order) -> int:\n" + SHOP[SHOP.index("    target") : SHOP.index("    sys")],
        "def totals(order: Order) -> int:\n    pass\n",
    ),
    "old and new leave out other things": (
        "    amount = sum(line.price for line in basket.lines)\n...\n" + RETURN[0],
        RETURN[1],
    ),
    "new leaves out more than it says": (OLD, "    amount = 0\n    # ... existing code ...\n    pass"),
    "most of it is not there": (
        "    return amount - rebate\n    log(amount)\n    log(rebate)\n    log(basket)",
        "    return 0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_in_doubt_is_refused_with_what_is_near(name: str) -> None:
    old, new = WRONG[name]
    with pytest.raises(ToolError) as caught:
        apply_edit(SHOP, old=old, new=new)

    assert "The nearest lines are:" in caught.value.message or "write them" in caught.value.message


def test_an_edit_that_was_made_before_is_not_made_again() -> None:
    twin = AFTER + "\n\n" + OLD.replace("basket", "cart").replace("amount = ", "amount  = ")
    with pytest.raises(ToolError, match="already"):
        apply_edit(AFTER, old=OLD, new=NEW)
    with pytest.raises(ToolError):
        apply_edit(twin, old=OLD, new=NEW)


EVOLVED = ("    rebate = basket.rebate or 0\n", "    rebate = basket.customer.rebate(basket.when)\n")


def test_an_edit_quoted_from_an_older_state_lands_if_enough_else_tells_the_place() -> None:
    file = SHOP.replace(*EVOLVED)
    start = SHOP.index('    """What a basket')
    old = SHOP[start : SHOP.index("\n\n\ndef send")]
    few = "\n".join(OLD.split("\n")[:4])

    assert apply_edit(file, old=old, new=old.replace(*RETURN)).text == file.replace(*RETURN)
    with pytest.raises(ToolError, match="too little else"):
        apply_edit(file, old=few, new=few.replace("rebate > amount", "rebate >= amount"))


def test_the_sibling_of_a_place_that_is_gone_is_not_taken_for_it() -> None:
    """All but its edge is the same, and once in the file: only the line at the edge says that it is another one."""
    start, stop = SHOP.index("def total"), SHOP.index("def send")
    sibling = SHOP[start:stop].replace("def total(basket", "def weight(basket")
    file = SHOP[:start] + sibling + SHOP[stop:]

    with pytest.raises(ToolError, match="at the edge of old"):
        apply_edit(file, old=SHOP[start:stop], new=SHOP[start:stop].replace(*RETURN))


@pytest.mark.parametrize("name", ["load_c", "loadd_a_", "load_"])
def test_a_name_that_could_be_either_of_two_siblings_is_neither(name: str) -> None:
    """Each is one letter away, and all that stands around them is the same."""
    body = "(path):\n    text = read(path)\n    return parse(text)\n"
    file = f"def load_a{body}\n\ndef load_b{body}"

    with pytest.raises(ToolError):
        apply_edit(file, old=f"def {name}{body}", new=f"def {name}{body}".replace("read(path)", "read(path.strip())"))


def test_a_misquoted_name_that_the_new_lines_use_is_not_put_into_the_file() -> None:
    old = OLD.replace("rebate", "the_rebates").replace(
        "the_rebates = basket.the_rebates", "the_rebates = basket.rebate"
    )
    with pytest.raises(ToolError):
        apply_edit(SHOP, old=old, new=old.replace("return amount - the_rebates", "return max(amount - the_rebates, 0)"))


SLIPS = {
    "a letter too many": ("count = lenn(lines)", "count = len(lines)", True),
    "a sign of another kind": ("self.env x env", "self.env = env", True),
    "a name with something added": ("if the_lines.empty:", "if lines.empty:", True),
    "a name cut short": ("return enc(text)", "return encoded(text)", True),
    "a comment with another word": ("# only outside of the it here", "# only outside of the scope here", True),
    "another name of a letter": ("for i in lines:", "for j in lines:", False),
    "another number": ("retry = 3", "retry = 4", False),
    "another operator": ("if left < right:", "if left > right:", False),
    "a name that the file has": ("return total", "return count", False),
    "a class of the same family": ("pool = AsyncPool()", "pool = Pool()", False),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_told_from_another_line(name: str) -> None:
    quoted, found, expected = SLIPS[name]
    text = f"{found}\ntotal = 0\nclass AsyncFile: ...\n"

    assert is_slip(text, quoted, found, frozenset()) is expected


def test_several_places_are_shown_where_several_are_near() -> None:
    text = "".join(f"def f{at}():\n    a = {at}\n    b = 2\n    return a + b\n\n\n" for at in range(3))
    with pytest.raises(ToolError) as caught:
        apply_edit(text, old="def g():\n    b = 2\n    return a + b\n    c = 3", new="x")

    assert caught.value.message.count("return a + b") == 3
    assert "\n…\n" in caught.value.message


WORDS = ("price", "basket", "total", "order", "carrier", "number", "target", "amount", "rebate", "file")


@settings(max_examples=200)
@given(seed=st.integers(0, 10**9), ends=st.sampled_from(["\n", "\r\n"]))
def test_lines_that_an_edit_does_not_change_stay_byte_for_byte(seed: int, ends: str) -> None:
    """One line of a made-up file is changed, another one misquoted: the result is what was meant, or a refusal."""
    rng = random.Random(seed)
    lines = [
        f"{'    ' * rng.randint(0, 2)}{rng.choice(WORDS)}_{at} = {rng.choice(WORDS)}({at}) {' ' * rng.randint(0, 2)}"
        for at in range(30)
    ]
    start = rng.randrange(20)
    target, spoiled = rng.sample(range(start, start + 8), 2)
    quoted = {at: lines[at] for at in range(start, start + 8)}
    quoted[spoiled] = quoted[spoiled].replace("_", "_the_").strip() if rng.random() < 0.5 else quoted[spoiled].strip()
    old = "\n".join(quoted.values())
    new = "\n".join({**quoted, target: "changed()"}.values())
    text = "".join(line + ends for line in lines)
    try:
        made = apply_edit(text, old=old, new=new).text
    except ToolError:
        return
    assert made.split(ends)[:target] == lines[:target]
    assert made.split(ends)[target + 1 : -1] == lines[target + 1 :]
    assert made.split(ends)[target].strip() == "changed()"
