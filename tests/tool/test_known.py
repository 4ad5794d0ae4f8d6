"""What an agent has not seen is not lost, what it breaks it is told, and bytes that it does not change stay."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from nightmill.tool.base import digest
from nightmill.tool.coding import Coded, is_binary
from tests.tool.conftest import Bench, Tell

APP = "src/app.py"


def test_a_file_that_changed_since_is_edited_where_old_is_there_exactly(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.text("read_file", path=APP)
        await bench.sh("printf '\\nX = 1\\n' >> src/app.py")
        text = await bench.text("edit_file", path=APP, edits=[{"old": "'hello'", "new": "'ho'"}])
        assert "the file changed since you read it" in text
        assert "4\tX = 1" in text, "more of what is around is shown"
        again = await bench.text("edit_file", path=APP, edits=[{"old": "'ho'", "new": "'hi'"}])
        assert "changed since" not in again

    tell(story)


def test_a_lenient_edit_of_a_file_that_changed_since_is_refused(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        misquoted = {"old": 'def hello( ):\n    return "hello"', "new": 'def hello( ):\n    return "ho"'}
        await bench.text("read_file", path=APP)
        await bench.sh("echo 'X = 1' >> src/app.py")
        before = await bench.get(APP)
        message = await bench.refused("edit_file", path=APP, edits=[misquoted])
        assert "changed since you read it" in message
        assert "only apart from white space and signs (line 2)" in message
        assert await bench.get(APP) == before
        await bench.text("read_file", path=APP)
        assert "edited" in await bench.text("edit_file", path=APP, edits=[misquoted])

    tell(story)


def test_a_whole_file_is_only_written_over_what_was_seen(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        assert "you have not read it (2 lines now)" in await bench.refused("write_file", path=APP, content="new\n")
        await bench.text("read_file", path=APP, limit=1)
        assert "wrote" in await bench.text("write_file", path=f"./{APP}", content="one\n")
        assert "wrote" in await bench.text("write_file", path=APP, content="two\n"), "what it wrote it knows"
        await bench.sh("echo three > src/app.py; : > empty; echo same > same")
        assert "changed since you read it" in await bench.refused("write_file", path=APP, content="four\n")
        assert await bench.get(APP) == b"three\n"
        assert "wrote" in await bench.text("write_file", path="empty", content="x\n")
        assert "wrote" in await bench.text("write_file", path="same", content="same\n")

    tell(story)


def test_an_edit_that_breaks_a_file_says_so_once(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        def edit(old: str, new: str) -> dict[str, object]:
            return {"path": APP, "edits": [{"old": old, "new": new}]}

        assert "app.py cannot be parsed any more: line 1" in await bench.text(
            "edit_file", **edit("hello():", "hello(:")
        )
        assert "parsed" not in await bench.text("edit_file", **edit("'hello'", "'ho'")), "it was broken before"
        assert "parsed" not in await bench.text("edit_file", **edit("hello(:", "hello():"))
        await bench.put("a.sh", b"if true; then echo; fi\n")
        assert "a.sh cannot be parsed" in await bench.text("edit_file", path="a.sh", edits=[{"old": "fi", "new": ""}])
        for name, good, wrong in (
            ("a.json", '{"a": [1, 2]}\n', '{"a": [1, 2}\n'),
            ("a.toml", "a = [1]\n", "a = [1\n"),
            ("a.yaml", "a: [1]\n", "a: [1\nb: }\n"),
        ):
            assert "parsed" not in await bench.text("write_file", path=name, content=good)
            assert f"{name} cannot be parsed any more: " in await bench.text("write_file", path=name, content=wrong)
        await bench.put("tsconfig.json", b'{"a": 1} // so\n')
        assert "parsed" not in await bench.text("edit_file", path="tsconfig.json", edits=[{"old": "1", "new": "2"}])

    tell(story)


@pytest.mark.skipif(not shutil.which("node"), reason="node is what parses JavaScript")
def test_javascript_is_parsed_where_node_is_there(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        roomy = replace(bench, limits=replace(bench.limits, memory=2 << 30))
        await bench.put("a.mjs", b"import os from 'os';\nfunction f() {\n  return os;\n}\n")
        text = await roomy.text("edit_file", path="a.mjs", edits=[{"old": "f() {", "new": "f( {"}])
        assert "a.mjs cannot be parsed any more: line" in text

    tell(story)


def test_a_hostile_file_ends_nothing_but_its_check(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        for name, body in (("a.py", "(" * 90_000), ("a.json", "[" * 90_000), ("a.toml", "a = " + "[" * 9000)):
            assert "wrote" in await bench.text("write_file", path=name, content=body)
        assert "wrote" in await bench.text("write_file", path="a.yaml", content="- " * 30_000 + "x")

    tell(story)


def test_mode_link_encoding_mark_and_line_ends_are_kept(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        def edit(path: str, old: str, new: str) -> dict[str, object]:
            return {"path": path, "edits": [{"old": old, "new": new}]}

        wide = "\ufeffone\r\ntwö\r\nthree".encode("utf-16-le")
        await bench.put("wide.txt", wide)
        assert await bench.text("read_file", path="wide.txt") == "1\tone\n2\ttwö\n3\tthree"
        await bench.text("edit_file", **edit("wide.txt", "one\ntwö", "one\n€\nzwei"))
        assert await bench.get("wide.txt") == "\ufeffone\r\n€\r\nzwei\r\nthree".encode("utf-16-le")
        await bench.text("write_file", path="wide.txt", content="new\n")
        assert await bench.get("wide.txt") == "\ufeffnew\r\n".encode("utf-16-le")
        await bench.put("mac.txt", b"one\rtwo\rthree\r")
        assert await bench.text("read_file", path="mac.txt") == "1\tone\n2\ttwo\n3\tthree"
        await bench.text("edit_file", **edit("mac.txt", "two\nthree", "zwei\ndrei"))
        assert await bench.get("mac.txt") == b"one\rzwei\rdrei\r"
        await bench.put("old.txt", b"caf\xe9\nth\xe9\n")
        await bench.text("edit_file", **edit("old.txt", "thé", "thé glacé"))
        assert await bench.get("old.txt") == b"caf\xe9\nth\xe9 glac\xe9\n"
        assert "Latin-1, which has no '€'" in await bench.refused("edit_file", **edit("old.txt", "café", "5 €"))
        await bench.put("mixed.txt", b"\xef\xbb\xbfa\r\nb\nc\r\n")
        await bench.text("edit_file", **edit("mixed.txt", "b", "B"))
        assert await bench.get("mixed.txt") == b"\xef\xbb\xbfa\r\nB\nc\r\n"
        await bench.put("dos.txt", b"a\r\nb\r\n")
        await bench.sh("chmod 750 dos.txt; ln -s dos.txt link.txt")
        await bench.text("read_file", path="link.txt")
        await bench.text("write_file", path="link.txt", content="x\ny\n")
        assert await bench.get("dos.txt") == b"x\r\ny\r\n"
        assert (await bench.sh("stat -c %a:%F dos.txt link.txt")).startswith("750:regular file\n777:symbolic link")
        await bench.put("broken.txt", "\ufeffab".encode("utf-16-le") + b"c")
        assert "damaged" in await bench.refused("read_file", path="broken.txt")

    tell(story)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a",
        b"\xff\xfe",
        b"\xff\xfea\0",
        b"\xfe\xff\0a",
        b"a\r\nb\rc\n",
        b"\r\r",
        b"\xe9\xc3\xa9\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ],
)
def test_any_text_comes_back_as_the_bytes_it_was(body: bytes) -> None:
    coded = Coded.of(body)

    assert coded.encoded(coded.text) == body
    assert not is_binary(body)
    assert digest(body) == digest(bytes(body))
