"""A patch changes several files, or none of them."""

from __future__ import annotations

import json
import re

import pytest

from nightmill.errors import ToolError
from nightmill.model import ToolCall
from nightmill.tool import Answer, ToolContext
from nightmill.tool.patch import parse
from nightmill.tool.toolset import developing
from tests.tool.conftest import Bench, Tell

SHOP = b"""class Basket:
    def total(self):
        amount = 0
        return amount

    def count(self):
        amount = 1
        return amount


class Order:
    def total(self):
        amount = 2
        return amount
"""


async def patch(bench: Bench, text: str) -> Answer:
    tools = developing("openai:gpt-5")
    prepared = tools.prepare(ToolCall(id="c", name="apply_patch", arguments=json.dumps({"patch": text})))
    answer = await tools.call(prepared, ToolContext(workspace=bench.workspace, limits=bench.limits, known=bench.known))
    bench.known.update(answer.seen)
    return answer


async def refused(bench: Bench, text: str) -> str:
    with pytest.raises(ToolError) as caught:
        await patch(bench, text)
    return caught.value.message


def test_a_patch_updates_adds_moves_and_deletes(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("shop.py", SHOP)
        await bench.sh("chmod 755 src/app.py")
        answer = await patch(
            bench,
            """*** Begin Patch
*** Update File: shop.py
@@ class Order:
@@     def total(self):
-        amount = 2
+        amount = 3
*** Add File: new/file.txt
+one
+
+two
*** Delete File: README.md
*** Update File: src/app.py
*** Move to: src/main.py
@@
 def hello():
-    return 'hello'
+    return 'ho'
*** End Patch""",
        )
        assert await bench.get("shop.py") == SHOP.replace(b"= 2", b"= 3")
        assert await bench.get("new/file.txt") == b"one\n\ntwo\n"
        assert await bench.get("src/main.py") == b"def hello():\n    return 'ho'\n"
        assert await bench.sh("ls README.md src/app.py 2>/dev/null; stat -c %a src/main.py") == "755\n(exit status 0)"
        assert set(answer.edited) == {"shop.py", "new/file.txt", "README.md", "src/app.py", "src/main.py"}
        assert [path for path, _ in answer.seen] == [
            f"/work/repo/{each}" for each in ("shop.py", "new/file.txt", "src/main.py")
        ]
        assert "deleted README.md" in answer.text
        assert "edited src/app.py and moved to src/main.py" in answer.text
        assert "13\t        amount = 3" in answer.text

    tell(story)


def test_what_follows_the_line_behind_at_is_meant_and_nothing_else(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("shop.py", SHOP)
        update = "*** Update File: shop.py\n"
        message = await refused(bench, f"{update}@@\n-        return amount\n+        return 0\n")
        assert "hunk 1 of 1 of 'shop.py': the lines are found 3 times (lines 4, 8, 14)" in message
        await patch(
            bench, f"{update}@@     def count(self):\n         amount = 1\n-        return amount\n+        return 9\n"
        )
        assert await bench.get("shop.py") == SHOP.replace(b"= 1\n        return amount", b"= 1\n        return 9")
        await patch(
            bench,
            f"{update}@@     def count(self):\n-        return 9\n+        return 8\n"
            "@@ class Order:\n-        return amount\n+        return 7\n",
        )
        after = await bench.get("shop.py")
        assert after.count(b"return amount") == 1
        assert after.endswith(b"amount = 2\n        return 7\n")
        assert "behind @@ is not in the file" in await refused(bench, f"{update}@@ class None:\n-a\n+b\n")

    tell(story)


def test_a_patch_is_made_whole_or_not_at_all(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        before = await bench.get("src/app.py")
        good = "*** Update File: src/app.py\n@@\n-    return 'hello'\n+    return 'ho'\n"
        for wrong in (
            "*** Update File: none.py\n@@\n-a\n+b\n",
            "*** Update File: README.md\n@@\n-nothing of the kind\n+b\n",
            "*** Delete File: none\n",
            "*** Add File: README.md\n+x\n",
            "*** Add File: README.md/below\n+x\n",
            "*** Add File: /usr/own\n+x\n",
            "*** Update File: README.md\n*** Move to: src/deep/er/most.txt\n",
        ):
            await refused(bench, good + "*** Add File: added\n+x\n" + wrong)
            assert await bench.get("src/app.py") == before, wrong
            assert "No such file" in await bench.sh("ls added"), wrong
        assert await bench.get("README.md") == b"# Shop\n\nSells things.\n"

    tell(story)


def test_a_patch_respects_what_changed_since_it_was_read(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.text("read_file", path="src/app.py")
        await bench.sh("echo 'X = 1' >> src/app.py")
        assert "changed since you read it" in await refused(bench, "*** Delete File: src/app.py\n")
        lenient = "*** Update File: src/app.py\n@@\n def hello( ):\n-    return 'hello'\n+    return 'ho'\n"
        assert "changed since you read it" in await refused(bench, lenient)
        exact = await patch(bench, lenient.replace("( )", "()"))
        assert "changed since you read it" in exact.text

    tell(story)


def test_lines_are_put_at_the_end_where_nothing_is_quoted(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("end.txt", b"a\r\nb")
        await patch(bench, "*** Begin Patch\n*** Update File: end.txt\n@@\n+c\n*** End of File\n*** End Patch\n")
        assert await bench.get("end.txt") == b"a\r\nb\r\nc\r\n"
        await patch(bench, "*** Update File: end.txt\n@@ a\n+after a\n")
        assert await bench.get("end.txt") == b"a\r\nafter a\r\nb\r\nc\r\n"

    tell(story)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no file"),
        ("*** Begin Patch\n*** End Patch", "names no file"),
        ("+a\n", "line 1 of the patch belongs to no file"),
        ("*** Add File: a\nb\n", "has no + in front"),
        ("*** Update File: a\n", "changes nothing in 'a'"),
        ("*** Update File: a\n@@\nb\n", "begins with none of"),
        ("*** Delete File: a\n-b\n", "stands under a file to delete"),
        ("*** Delete File: a\n*** Add File: a\n+b\n", "names a file twice"),
    ],
)
def test_what_is_no_patch_is_refused_by_its_line(text: str, words: str) -> None:
    with pytest.raises(ToolError, match=re.escape(words)):
        parse(text)


def test_edges_and_numbers_of_other_dialects_are_read_over() -> None:
    shell = "apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: a\n@@ -1,2 +1,2 @@\n-b\n+c\n\n*** End Patch\nEOF\n"
    (operation,) = parse(shell)

    assert operation.hunks[0].under == []
    assert (operation.hunks[0].old, operation.hunks[0].new) == (["b", ""], ["c", ""])
