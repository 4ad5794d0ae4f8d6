"""What an agent can do in a real sandbox, and what it is told when it cannot."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from nightmill.errors import ToolError
from nightmill.model import ToolCall
from nightmill.tool import ToolContext, standard
from nightmill.tool.base import MOST_CHARACTERS, cut, digest, inside, known_as, plain
from nightmill.tool.syntax import HERE
from tests.tool.conftest import Bench, Tell


def test_files_are_read_with_their_line_numbers(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        assert await bench.text("read_file", path="src/app.py") == "1\tdef hello():\n2\t    return 'hello'"
        assert await bench.text("read_file", path="./README.md", offset=2, limit=1) == "2\t\n(lines 2–2 of 3)"
        assert (await bench.text("read_file", path="/work/repo/src/app.py")).startswith("1\tdef")
        await bench.put("old", b"\xef\xbb\xbfone\x0ctwo\r\nthr\xffee\xc2\x85\r\n")
        assert await bench.text("read_file", path="old") == "1\tone\x0ctwo\n2\tthr\ufffdee\x85"
        await bench.put("empty", b"")
        assert await bench.text("read_file", path="empty") == "(the file is empty)"
        assert "has 3 lines; offset 9" in await bench.refused("read_file", path="README.md", offset=9)

    tell(story)


def test_what_is_no_text_file_is_told_in_words_that_help(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        folder = await bench.refused("read_file", path="src")
        assert "is a folder, which list_files shows. It holds: app.py, deep/" in folder
        assert "No such file" in await bench.refused("read_file", path="src/none.py")
        await bench.put("picture", b"\x89PNG\r\n\0\0")
        assert "binary" in await bench.refused("read_file", path="picture")
        await bench.sh("mkfifo pipe; ln -s loop loop")
        assert "not a regular file" in await bench.refused("read_file", path="pipe")
        assert "symbolic links" in await bench.refused("read_file", path="loop")
        for tool in ("read_file", "list_files"):
            assert "NUL" in await bench.refused(tool, path="a\0b")
        assert "Not a directory" in await bench.refused("list_files", path="README.md")

    tell(story)


def test_large_files_and_long_lines_are_cut_and_it_is_said(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("long", b"x" * 5000 + b"\nend\n")
        text = await bench.text("read_file", path="long")
        assert text == f"1\t{'x' * 2000}[… 3,000 characters left out …]\n2\tend"
        await bench.put("huge", b"0123456\n" * 400_000)
        text = await bench.text("read_file", path="huge")
        assert text.endswith(
            "\n1000\t0123456\n(lines 1–1000 of 262144 of those in its first 2 MiB: "
            "read the rest with a command, such as sed -n)"
        )
        assert "first 2 MiB" in await bench.refused("read_file", path="huge", offset=300_000)
        await bench.put("wide", (b"y" * 900 + b"\n") * 1000)
        wide = await bench.text("read_file", path="wide")
        assert len(wide) < 61_000
        assert "characters left out" in wide

    tell(story)


def test_folders_are_listed_one_name_a_line_whatever_the_names_hold(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        assert await bench.text("list_files") == "README.md\nsrc/\nsrc/app.py\nsrc/deep/"
        assert await bench.text("list_files", path="src/", depth=3) == "app.py\ndeep/\ndeep/er/\ndeep/er/most.txt"
        await bench.sh("mkdir odd .git empty; touch odd/$'a\\nb' odd/$'c\\x1b[2J' odd/$'d\\xff'; ln -s /etc odd/link")
        listed = await bench.text("list_files", path="odd")
        assert listed.split("\n") == ["'a\\nb'", "'c\\x1b[2J'", "d\ufffd", "link@"]
        assert await bench.text("list_files", path="empty") == "(empty)"
        await bench.sh("mkdir many; cd many; touch f{1..400}")
        assert "first 400" not in await bench.text("list_files", path="many")
        await bench.sh("touch many/one_more")
        assert (await bench.text("list_files", path="many")).endswith(
            "(the first 400 entries: list a folder below for the rest)"
        )

    tell(story)


def test_contents_are_searched(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        assert await bench.text("search", pattern="need.e") == "src/deep/er/most.txt:1:needle\n"
        assert await bench.text("search", pattern="hello", glob="*.md") == "(no hits)"
        assert "src/app.py-2-" in await bench.text("search", pattern="def", context=1)
        assert "regex parse error" in await bench.refused("search", pattern="((")
        assert "No such file" in await bench.refused("search", pattern="x", path="none")
        assert "--pre" in await bench.refused("search", pattern="x", path="--pre=touch /work/planted")
        assert "NUL" in await bench.refused("search", pattern="a\0b")
        await bench.put("binary", b"needle\0\xff\n")
        assert "most.txt:1:needle" in await bench.text("search", pattern="needle")
        await bench.put("wide", b"z" * 100_000 + b"\n")
        assert len(await bench.text("search", pattern="zz", path="wide")) < 1000

    tell(story)


def test_a_file_that_cannot_be_read_does_not_hide_the_hits_in_others(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.sh("echo needle > locked; chmod 000 locked; ln -s locked broken")
        text = await bench.text("search", pattern="needle")
        assert "most.txt:1:needle" in text

    tell(story)


def test_files_are_written_and_edited_in_place(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        answer = await bench.call("write_file", path="new/file.txt", content="one\ntwo")
        assert (answer.text, answer.changed, answer.edited) == ("wrote new/file.txt (2 lines)", True, ("new/file.txt",))
        await bench.sh("chmod 755 src/app.py; ln -s src/app.py link; ln -s /usr/bin/env out")
        edit = {"old": "'hello'", "new": "'ho'"}
        answer = await bench.call("edit_file", path="link", edits=[edit])
        assert "2\t    return 'ho'" in answer.text
        assert answer.changed
        assert await bench.sh("stat -c %a:%F link src/app.py") == "777:symbolic link\n755:regular file\n(exit status 0)"
        assert await bench.get("src/app.py") == b"def hello():\n    return 'ho'\n"
        assert "binary file" in await bench.refused("write_file", path="out", content="x")
        bench.known["/work/repo/out"] = digest(await bench.get("out"))
        assert "cannot" in await bench.refused("write_file", path="out", content="x")
        assert "directory" in await bench.refused("write_file", path="src", content="x")
        assert "No such file" in await bench.refused("edit_file", path="none", edits=[edit])
        assert "directory" in await bench.refused("edit_file", path="src", edits=[edit])

    tell(story)


def test_what_is_shown_or_written_is_told_by_the_digest_of_the_whole_file(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        app = "/work/repo/src/app.py"
        part = await bench.call("read_file", path="src//../src/app.py", limit=1)
        assert part.seen == ((app, digest(b"def hello():\n    return 'hello'\n")),)
        edit = await bench.call("edit_file", path="./src/app.py", edits=[{"old": "'hello'", "new": "1"}])
        assert edit.seen == ((app, digest(b"def hello():\n    return 1\n")),)
        assert (await bench.call("write_file", path=app, content="")).seen == ((app, digest(b"")),)
        assert (await bench.call("read_file", path=app)).seen == ((app, digest(b"")),)
        assert (await bench.call("run_command", command="cat src/app.py")).seen == ()
        await bench.sh("head -c 9000000 /dev/zero | tr '\\0' '\\n' > huge; (cat huge huge) > larger")
        assert (await bench.call("read_file", path="huge")).seen == ((known_as("huge"), digest(b"\n" * 9_000_000)),)
        assert (await bench.call("read_file", path="larger")).seen == ()

    tell(story)


def test_several_edits_are_made_in_order_all_or_none(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        before = await bench.get("src/app.py")
        first, second = {"old": "hello()", "new": "hi(name)"}, {"old": "'hello'", "new": "name"}
        message = await bench.refused("edit_file", path="src/app.py", edits=[first, first])
        assert message.startswith("edit 2 of 2: old is not in the file")
        assert "Nothing was changed in 'src/app.py'" in message
        assert await bench.get("src/app.py") == before
        assert "2 edits made" in await bench.text("edit_file", path="src/app.py", edits=[first, second])
        assert await bench.get("src/app.py") == b"def hi(name):\n    return name\n"

    tell(story)


def test_bytes_that_are_not_utf_8_survive_an_edit_and_reach_no_record(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.put("latin", b"caf\xe9\r\nold\r\n\xff\xfe\r\n")
        answer = await bench.call("edit_file", path="latin", edits=[{"old": "old", "new": "new"}])
        assert await bench.get("latin") == b"caf\xe9\r\nnew\r\n\xff\xfe\r\n"
        assert answer.text.encode()
        assert "caf\ufffd" in answer.text
        (await bench.refused("edit_file", path="latin", edits=[{"old": "new\nnot", "new": "x"}])).encode()

    tell(story)


def test_a_command_tells_its_output_and_its_end(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        assert await bench.sh("echo one; echo two >&2; exit 3") == "one\ntwo\n(exit status 3)"
        assert await bench.sh("true") == "(exit status 0, no output)"
        assert await bench.sh("kill -9 $$") == "(exit status -9, no output)"
        assert await bench.sh("printf '\\033[31mred\\033[0m'") == "red\n(exit status 0)"
        slow = await bench.call("run_command", command="echo 3 passed; sleep 60", timeout=1.5)
        assert slow.text == "3 passed\n(stopped after 1.5 s: it ran too long)"
        assert slow.ran == (("echo 3 passed; sleep 60", False, ""),), "what it had printed shows nothing"
        assert (await bench.call("run_command", command="true")).changed
        loud = await bench.sh("seq 1 100000")
        assert len(loud) < MOST_CHARACTERS + 200
        assert loud.startswith("1\n2\n")
        assert loud.endswith("100000\n(exit status 0)")
        assert "NUL" in await bench.refused("run_command", command="echo a\0b")
        assert "write_file" in await bench.refused("run_command", command=": " + "é" * 70_000)

    tell(story)


def test_every_way_a_command_can_end_has_its_words(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        few = Bench(bench.workspace, replace(bench.limits, processes=20))
        # Where the kernel counts (for everybody but root) it refuses the fork; else the runner ends them all.
        forks = "import os,time\nfor _ in range(60):\n    if not os.fork(): time.sleep(30)\ntime.sleep(30)"
        crowd = await few.sh(f"python3 -c '{forks}'")
        assert "limits.processes" in crowd or "Resource temporarily unavailable" in crowd
        little = Bench(bench.workspace, replace(bench.limits, memory=64 << 20))
        hungry = await little.sh("python3 -c 'x = bytearray(300 << 20); x[::4096] = bytes(len(x[::4096])); print(1)'")
        assert ("64 MB" in hungry and "limits.memory" in hungry) or "MemoryError" in hungry
        small = Bench(bench.workspace, replace(bench.limits, file_size=1 << 16))
        assert "too much output" in await small.sh("yes")

    tell(story)


def test_the_repository_may_be_gone(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        await bench.sh("rm -rf /work/repo")
        assert "No such file" in await bench.sh("pwd")
        assert "No such file" in await bench.refused("search", pattern="x")
        assert "No such file" in await bench.refused("list_files")
        assert "wrote a" in await bench.text("write_file", path="a", content="back\n")
        assert "a" in await bench.sh("ls")

    tell(story)


def test_a_list_and_a_finish_are_only_noted(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        items = [{"text": "a", "state": "done"}, {"text": "b"}]
        todo = await bench.call("update_todo", items=items)
        assert (todo.text, todo.todo, todo.changed) == ("noted; 1 left", (("a", "done"), ("b", "pending")), False)
        evidence = [{"criterion": "AC1", "by": "tests/t.py::test_a"}]
        done = await bench.call("finish", summary="Did it.", evidence=evidence)
        assert done.finish is not None
        assert (done.finish.summary, done.finish.evidence) == ("Did it.", (("AC1", "tests/t.py::test_a"),))

    tell(story)


BAD = [
    ("read_file", "", "path: Field required"),
    ("read_file", "  ", "path: Field required"),
    ("read_file", '{"path": "a', "not a JSON object (Unterminated string"),
    ("read_file", '["a"]', "not a JSON object; nothing was run"),
    ("read_file", "null", "not a JSON object"),
    ("read_file", '{"path": NaN}', "not a JSON object"),
    ("read_file", '{"path": "\\ud800"}', "not a JSON object"),
    ("read_file", '{"a":' * 100_000, "not a JSON object"),
    ("read_file", '{"path": ["a"]}', "path: Input should be a valid string"),
    ("read_file", '{"path": "a", "offset": -1}', "offset: Input should be greater"),
    ("run_command", '{"command": "x", "timeout": -3}', "timeout: Input should be greater"),
    ("edit_file", '{"path": "a", "edits": []}', "edits: List should have at least 1 item"),
    ("edit_file", '{"path": "a", "edits": [{"old": "x"}]}', "edits.0.new: Field required"),
    ("update_todo", '{"items": [{"text": "a", "state": "later"}]}', "items.0.state: Input should be"),
    ("finish", '{"summary": ""}', "summary: String should have"),
    ("deploy", "{}", "there is no tool 'deploy'; there are: read_file, list_files"),
    ("bash", "{}", "the arguments of run_command are wrong: command: Field required"),
]


@pytest.mark.parametrize(("tool", "arguments", "words"), BAD)
def test_a_call_that_cannot_be_made_says_why(tool: str, arguments: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        standard().prepare(ToolCall(id="c", name=tool, arguments=arguments))

    assert words in caught.value.message
    assert len(caught.value.message) < 1000


def test_names_that_a_tool_does_not_have_are_left_out_and_told() -> None:
    arguments = json.dumps({"path": "a", "why": "x", "z\n" * 500: 1})
    prepared = standard().prepare(ToolCall(id="c", name="read_file", arguments=arguments))

    assert prepared.ignored[0] == "why"
    assert max(map(len, prepared.ignored)) <= 40
    assert "\n" not in "".join(prepared.ignored)


def test_labels_are_one_short_line() -> None:
    text = "a\n\x1b[31m" + "b" * 100_000
    calls = {
        "read_file": {"path": text},
        "list_files": {"path": text},
        "search": {"pattern": text, "path": text},
        "explore": {"questions": [{"question": text[:2000]}]},
        "edit_file": {"path": text, "edits": [{"old": "a", "new": "b"}]},
        "write_file": {"path": text, "content": text},
        "run_command": {"command": text},
        "read_output": {"reference": text},
        "update_todo": {"items": []},
        "remember": {"kind": "next", "text": text[:1000]},
        "finish": {"summary": text},
    }
    assert set(calls) == set(standard().tools)
    for name, arguments in calls.items():
        label = standard().prepare(ToolCall(id="c", name=name, arguments=json.dumps(arguments))).label
        assert label
        assert len(label) <= 200
        assert "\n" not in label


def test_schemas_are_what_every_provider_takes() -> None:
    schemas = standard().schemas
    text = json.dumps([schema.parameters for schema in schemas])

    assert [schema.name for schema in schemas] == list(standard().tools)
    for word in ("$ref", "$defs", "anyOf", '"title"'):
        assert word not in text
    for schema in schemas:
        assert schema.description
        assert schema.parameters["type"] == "object"
        assert all(part["description"] for part in schema.parameters["properties"].values()), schema
    assert standard().schemas == schemas, "the cached prefix of requests is the same bytes each time"


def test_long_texts_lose_their_middle() -> None:
    lines = "".join(f"line {number}\n" for number in range(10_000))
    short = cut(lines)

    assert cut("short") == "short"
    assert len(short) < MOST_CHARACTERS + 60
    head, _, tail = short.partition("[…")
    assert lines.startswith(head)
    assert head.endswith("\n")
    assert lines.endswith(tail.partition("]\n")[2])
    assert len(cut("x" * 100_000)) < MOST_CHARACTERS + 60


def test_paths_start_at_the_repository() -> None:
    assert inside("a/b") == inside("./a/b") == "/work/repo/a/b"
    assert inside("") == "/work/repo"
    assert inside("/tmp/x") == "/tmp/x"


def test_terminal_escapes_are_taken_out() -> None:
    assert plain("\x1b[1;31mred\x1b[0m \x1b]0;title\x07end\x1b[2K") == "red end"


def test_a_call_that_is_cancelled_ends(tell: Tell) -> None:
    async def story(bench: Bench) -> None:
        begun = asyncio.Event()
        prepared = standard().prepare(
            ToolCall(id="c", name="run_command", arguments='{"command": "echo go; sleep 1000"}')
        )
        context = ToolContext(workspace=bench.workspace, limits=bench.limits, watch=lambda _: lambda _: begun.set())
        task = asyncio.ensure_future(standard().call(prepared, context))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bench.sh("pgrep sleep") == "(exit status 1, no output)"

    tell(story)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.yaml", "[" * 100_000),
        ("a.yaml", "{a: " * 30_000),
        ("a.toml", "a." * 60_000 + "a = 1"),
        ("a.json", "[" * 100_000),
    ],
)
def test_a_file_that_its_parser_would_take_minutes_for_is_not_parsed_here(name: str, body: str) -> None:
    """They are parsed where all runs of the worker wait for it."""
    assert HERE[f".{name.partition('.')[2]}"](body.encode()) == ""
