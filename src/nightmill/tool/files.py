"""Reading, listing, searching and writing files of the workspace."""

from __future__ import annotations

import re

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.sandbox import Command, Entry
from nightmill.tool.base import MOST_CHARACTERS, Answer, Arguments, ToolContext, cut, digest, inside, known_as
from nightmill.tool.coding import Coded, is_binary
from nightmill.tool.footprint import keep_within
from nightmill.tool.outputs import shown
from nightmill.tool.syntax import broken
from nightmill.tool.veil import marked, meant, unmarked

__all__ = ["ListFiles", "ReadFile", "Search", "WriteFile", "check_seen", "content_of"]

MOST_BYTES = 16 << 20
"""Files up to this size can be edited, so all of one is looked at, to know later whether it changed."""
MOST_SHOWN = 2 << 20
MOST_LINES = 1000
MOST_ENTRIES = 400
LONGEST_LINE = 2000
HIT = re.compile(r"^(?!rg: )(?:.+:)?\d+:", re.MULTILINE)


class ReadFile:
    """Read a text file with line numbers."""

    name = "read_file"
    description = (
        "Read a text file. Lines come with their number and a tab, which are not part of the file. "
        f"Gives at most {MOST_LINES} lines: read the rest with offset."
    )
    reads = True

    class Call(Arguments):
        path: str = Field(description="Path from the root of the repository.")
        offset: int = Field(default=1, ge=1, description="First line, from 1.")
        limit: int = Field(default=MOST_LINES, ge=1, le=MOST_LINES, description="How many lines.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        end = f":{arguments.offset}" if arguments.offset > 1 else ""
        return f"{arguments.path}{end}"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        body = await _read(inside(arguments.path), context)
        if is_binary(body):
            raise ToolError(f"{arguments.path!r} is a binary file")
        seen = () if body[MOST_BYTES:] else ((known_as(arguments.path), digest(body)),)
        text = await marked(Coded.of(body[:MOST_SHOWN]).text.removeprefix("\ufeff"), context)
        lines = text.split("\n")
        lines = lines if lines[-1] else lines[:-1]
        more = " of those in its first 2 MiB: read the rest with a command, such as sed -n" if body[MOST_SHOWN:] else ""
        if not lines:
            return Answer(text="(the file is empty)", seen=seen)
        chosen = lines[arguments.offset - 1 : arguments.offset - 1 + arguments.limit]
        if not chosen:
            raise ToolError(
                f"{arguments.path!r} has {len(lines)} lines{more}; offset {arguments.offset} is behind them"
            )
        numbered = [f"{number}\t{_bounded(line)}" for number, line in enumerate(chosen, arguments.offset)]
        last = arguments.offset + len(chosen) - 1
        part = last < len(lines) or arguments.offset > 1 or more
        rest = f"\n(lines {arguments.offset}–{last} of {len(lines)}{more})" if part else ""
        return Answer(text=cut("\n".join(numbered), most=60_000) + rest, seen=seen, veiled=True)


async def _read(path: str, context: ToolContext) -> bytes:
    try:
        return await context.workspace.read(path, limit=MOST_BYTES + 1)
    except ToolError as error:
        try:
            found = await context.workspace.list(path, depth=1, limit=20)
        except ToolError:
            raise error from None
    names = ", ".join(_name(entry, path) for entry in found)
    raise ToolError(f"{path!r} is a folder, which list_files shows. It holds: {names or 'nothing'}")


def _bounded(line: str) -> str:
    line = line.removesuffix("\r")
    left_out = len(line) - LONGEST_LINE
    return f"{line[:LONGEST_LINE]}[… {left_out:,} characters left out …]" if left_out > 0 else line


def _name(entry: Entry, top: str) -> str:
    """The path of *entry* below *top* and a mark of its kind; one line, whatever its name holds."""
    name = entry.path.removeprefix(top).lstrip("/")
    marks = {"directory": "/", "link": "@", "file": "", "other": "?"}
    return f"{name if name.isprintable() else repr(name)}{marks[entry.kind]}"


class ListFiles:
    """List what is in a directory."""

    name = "list_files"
    description = "List files and folders below a folder of the repository; .git is left out."
    reads = True

    class Call(Arguments):
        path: str = Field(default=".", description="Folder from the root of the repository.")
        depth: int = Field(default=2, ge=1, le=8, description="How many levels.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.path

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        top = inside("" if arguments.path in {".", "./", ""} else arguments.path)
        entries = await context.workspace.list(top, depth=arguments.depth, limit=MOST_ENTRIES + 1)
        names = "\n".join(_name(entry, top) for entry in entries[:MOST_ENTRIES])
        more = f"\n(the first {MOST_ENTRIES} entries: list a folder below for the rest)"
        return Answer(text=(names or "(empty)") + (more if len(entries) > MOST_ENTRIES else ""))


class Search:
    """Search file contents by regular expression, with ripgrep."""

    name = "search"
    description = (
        "Search the contents of files with a regular expression (ripgrep syntax); at most 50 hits of each file. "
        "Ignored files are left out."
    )
    reads = True

    class Call(Arguments):
        pattern: str = Field(description="Regular expression.")
        path: str = Field(default=".", description="File or folder to search, from the root of the repository.")
        glob: str = Field(
            default="", description='Only files whose path fits, such as "*.py"; "!tests/**" leaves files out.'
        )
        context: int = Field(default=0, ge=0, le=10, description="Lines to show around each hit.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        return f"{arguments.pattern!r} in {arguments.path}"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        if "\0" in arguments.pattern + arguments.glob + arguments.path:
            raise ToolError("a search cannot contain a NUL character: write \\x00")
        unmarked(arguments.pattern, context)
        argv = ["/opt/nightmill/bin/rg", "--line-number", "--no-heading", "--color=never", "--hidden", "--glob=!.git"]
        argv += [
            "--max-columns=300",
            "--max-columns-preview",
            "--max-count=50",
            "--sort=path",
            f"--context={arguments.context}",
        ]
        argv += [f"--glob={arguments.glob}"] if arguments.glob else []
        outcome = await context.workspace.run(
            Command(argv=(*argv, "--regexp", arguments.pattern, "--", arguments.path or "."), limits=context.limits)
        )
        if outcome.stopped:
            raise ToolError(f"the search was stopped ({outcome.stopped}): search a smaller folder")
        if outcome.exit == 1:
            return Answer(text="(no hits)")
        text = re.sub(r"^\./", "", outcome.text, flags=re.MULTILINE)
        text = shown(await marked(text, context), context.outputs, most=MOST_CHARACTERS)
        if outcome.exit != 0 and not HIT.search(text):  # with hits, it is only some file that cannot be read
            raise ToolError(text.strip() or "the search failed")
        return Answer(text=text, veiled=True)


class WriteFile:
    """Write a whole file."""

    name = "write_file"
    description = "Create a file, or replace a whole one that you have read. To change a part of a file use edit_file."
    reads = False

    class Call(Arguments):
        path: str = Field(description="Path from the root of the repository.")
        content: str = Field(description="The whole content.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        return f"{arguments.path} ({arguments.content.count(chr(10)) + 1} lines)"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        """Write the file; what it holds that the agent has not seen is never lost.

        A file that exists and was not read, or changed since, is refused, unless it is empty or the same already. One that
        is replaced keeps its mode, its encoding and its line ends.
        """
        path = inside(arguments.path)
        before = await content_of(path, context)
        text = "" if is_binary(before) else Coded.of(before).text
        (content,) = await meant((arguments.content,), text, context)
        body = content.encode("utf-8", "surrogateescape")
        keep_within(path, context, new=not before)
        if before:
            check_seen(arguments.path, before, body, context)
            body = body if is_binary(before) else Coded.of(before).instead(content)
        await context.workspace.write(path, body)
        lines = arguments.content.count("\n") + (not arguments.content.endswith("\n"))
        wrong = await broken(path, before, body, context)
        text = f"wrote {arguments.path} ({lines} lines)" + (f"\n{wrong}" if wrong else "")
        return Answer(text=text, changed=True, edited=(arguments.path,), seen=((known_as(path), digest(body)),))


async def content_of(path: str, context: ToolContext) -> bytes:
    """What is there now; nothing, where there is no file, and the write says what is wrong if there is something else."""
    try:
        return await context.workspace.read(path, limit=MOST_BYTES + 1)
    except ToolError:
        return b""


def check_seen(path: str, before: bytes, body: bytes, context: ToolContext) -> None:
    """Raise `ToolError` if *path* holds what the agent has not seen, and *body* is anything else."""
    known = context.known.get(known_as(path))
    if before == body or known == digest(before):
        return
    if len(before) > MOST_BYTES:
        raise ToolError(f"{path!r} exists and is larger than {MOST_BYTES >> 20} MiB: delete it with a command first")
    if is_binary(before):
        raise ToolError(f"{path!r} exists and is a binary file: delete it with a command first. Nothing was written.")
    lines = before.count(b"\n") + (not before.endswith(b"\n"))
    what = "exists, and you have not read it" if known is None else "changed since you read it"
    raise ToolError(
        f"{path!r} {what} ({lines} lines now): read it with read_file first, so that nothing in it is lost. "
        "Nothing was written."
    )
