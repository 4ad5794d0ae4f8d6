"""Find the files of a spec and read them as text, whatever they are made of.

Nothing here waits for what it opens: a path is looked at before it is opened, opened without blocking, and read
up to a bound. What stands in a spec folder but leads out of it is refused, because all that is read is shown to
a model.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nightmill.errors import SpecError

__all__ = ["Document", "Format", "Source", "load"]

Format = Literal["markdown", "spec-kit", "openspec", "kiro"]

MARKDOWN = (".md", ".markdown", ".mdown", ".txt")
CONTRACT = (*MARKDOWN, ".yaml", ".yml", ".json", ".graphql", ".proto", ".sql", ".toml", ".xml", ".ts", ".py")
SPEC_KIT = ("spec.md", "plan.md", "research.md", "data-model.md", "quickstart.md", "tasks.md")
OPENSPEC = ("proposal.md", "design.md", "tasks.md")
KIRO = ("requirements.md", "design.md", "tasks.md")
MOST_LINES = 20_000
MOST_FILES = 100
DEEPEST = 3
CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), " ")
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file of a spec. *name* is relative to the spec's folder; *text* has no BOM and ends its lines with LF."""

    name: str
    text: str

    @property
    def markdown(self) -> bool:
        """Whether the text is prose, and not a schema or code."""
        return self.name.lower().endswith(MARKDOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """All files of one spec. *format* is None where only the text of the single file can tell."""

    format: Format | None
    folder: str
    documents: tuple[Document, ...]


def load(path: Path, *, limit: int) -> Source:
    """Read the file *path*, or the spec folder that it is or belongs to, at most *limit* bytes in all.

    Raises:
        SpecError: If there is nothing there that can be read as text; each cause has its own message.
    """
    info = _look(path)
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - makes a name only: links stay as the author named them
    if stat.S_ISDIR(info.st_mode):
        return _folder(whole, _layout(whole, named=True), shown=path, limit=limit)
    if not stat.S_ISREG(info.st_mode):
        raise _not_a_file(path, info.st_mode)
    for folder in whole.parents[:DEEPEST]:
        layout = _layout(folder, named=False)
        if layout and whole in _files(folder, layout):
            return _folder(folder, layout, shown=path, limit=limit)
    text = _text(path, _read(path, limit=limit, allowed=limit))
    return Source(format=None, folder=whole.parent.name, documents=(Document(name=whole.name, text=text),))


# Folders


def _folder(folder: Path, layout: Format | None, *, shown: Path, limit: int) -> Source:
    if layout is None:
        found = sorted(each.name for each in folder.iterdir() if each.name.lower().endswith(MARKDOWN))[:3]
        hint = f"name the file, such as {found[0]!r}" if found else "name a Markdown file or a folder with one of these"
        raise SpecError(f"the folder {str(shown)!r} holds no spec.md, proposal.md or requirements.md", hint=f"{hint}")
    inside = os.path.realpath(folder)
    documents: list[Document] = []
    left = limit
    for path in _files(folder, layout):
        _refuse_way_out(path, inside)
        body = _read(path, limit=left, allowed=limit)
        left -= len(body)
        documents.append(Document(name=path.relative_to(folder).as_posix(), text=_text(path, body)))
    # Only the text can tell a lone spec.md of spec-kit from a capability of OpenSpec outside its usual place.
    known = None if layout == "spec-kit" and len(documents) == 1 else layout
    return Source(format=known, folder=folder.name, documents=tuple(documents))


def _layout(folder: Path, *, named: bool) -> Format | None:
    """Which tool laid *folder* out. With *named* the author means this folder, and its main file is enough."""

    def has(*names: str) -> bool:
        return any(os.path.lexists(folder / name) for name in names)

    if has("proposal.md") and (named or has("tasks.md", "design.md", "specs")):
        return "openspec"
    if has("requirements.md") and (named or has("design.md", "tasks.md") or ".kiro" in folder.parts):
        return "kiro"
    if not has("spec.md"):
        return None
    if folder.parent.name == "specs" and folder.parent.parent.name == "openspec":
        return "openspec"
    numbered = re.match(r"\d{3,}-", folder.name) is not None
    return "spec-kit" if named or numbered or has("plan.md", "tasks.md", "research.md", "contracts") else None


def _files(folder: Path, layout: Format) -> list[Path]:
    if layout == "kiro":
        return _present(folder, KIRO)
    if layout == "spec-kit":
        return _present(folder, SPEC_KIT) + _below(folder / "contracts", CONTRACT)
    if os.path.lexists(folder / "proposal.md"):
        proposal, *others = _present(folder, OPENSPEC)
        deltas = [path for path in _below(folder / "specs", (".md",)) if path.name == "spec.md"]
        return [proposal, *deltas, *others]
    return _present(folder, ("spec.md", "design.md"))


def _present(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [folder / name for name in names if os.path.lexists(folder / name)]


def _below(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Files below *folder* that end so, sorted; folders that are links are not entered."""
    found: list[Path] = []
    todo = [(folder, 0)]
    while todo:
        current, depth = todo.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            continue  # not there, or not a folder: a part that a spec need not have
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < DEEPEST:
                    todo.append((Path(entry.path), depth + 1))
            elif entry.name.lower().endswith(endings):
                found.append(Path(entry.path))
    if len(found) > MOST_FILES:
        raise SpecError(
            f"the folder {str(folder)!r} holds {len(found)} files, more than {MOST_FILES}",
            hint="keep what this spec needs and cut the rest into specs of their own",
        )
    return sorted(found)


def _refuse_way_out(path: Path, inside: str) -> None:
    real = os.path.realpath(path)
    if os.path.commonpath([real, inside]) != inside:
        raise SpecError(
            f"the spec file {str(path)!r} is a link out of its folder",
            hint="copy the text into the spec: all of it is shown to a model",
        )


# Files


def _look(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _read(path: Path, *, limit: int, allowed: int) -> bytes:
    info = _look(path)
    if not stat.S_ISREG(info.st_mode):
        raise _not_a_file(path, info.st_mode)
    if info.st_size > limit:
        raise _too_large(path, allowed)
    try:
        # The file may have become a pipe since it was looked at: opening must not wait for a writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            mode = os.fstat(number).st_mode
            if not stat.S_ISREG(mode):
                raise _not_a_file(path, mode)
            body = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(body) > limit:
        raise _too_large(path, allowed)
    return body


def _text(path: Path, body: bytes) -> str:
    shown = repr(str(path))
    if not body:
        raise SpecError(f"the spec file {shown} is empty", hint="write what to build and how to see that it is built")
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SpecError(f"the spec file {shown} is UTF-16, not UTF-8", hint="save it as UTF-8")
    if (at := body.find(b"\0")) >= 0:
        raise SpecError(f"the spec file {shown} is binary (NUL at byte {at})", hint="a spec is text, in Markdown")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"the spec file {shown} is not UTF-8 (byte {error.start}, line {line})", hint="save it as UTF-8"
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = text.translate(CONTROLS)  # what a terminal would obey when the text is shown
    if not text.strip().strip(INVISIBLE).strip():
        raise SpecError(f"the spec file {shown} holds only white space", hint="write what to build and how to see it")
    if (lines := text.count("\n") + 1) > MOST_LINES:
        raise SpecError(
            f"the spec file {shown} has {lines:,} lines, more than {MOST_LINES:,}",
            hint="cut it into specs that a person can read",
        )
    return text


# Errors


def _unreadable(path: Path, error: OSError | ValueError) -> SpecError:
    shown = repr(str(path))
    if isinstance(error, ValueError):
        return SpecError(f"{shown} cannot be the name of a file", hint="name a file or a folder")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        broken = os.path.lexists(path) if error.errno == errno.ENOENT else False
        what = "is a link to nothing" if broken else "does not exist"
        return SpecError(f"the spec {shown} {what}", hint="check the path")
    if error.errno == errno.ELOOP:
        return SpecError(f"the spec {shown} is a link that leads back to itself", hint="remove the link")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SpecError(f"the spec {shown} may not be read", hint="give yourself the right to read it")
    return SpecError(f"the spec {shown} cannot be read: {error.strerror}", hint="check the path")


def _not_a_file(path: Path, mode: int) -> SpecError:
    kind = KINDS.get(stat.S_IFMT(mode), "a folder" if stat.S_ISDIR(mode) else "not a file")
    return SpecError(f"the spec {str(path)!r} is {kind}", hint="name a Markdown file or a spec folder")


def _too_large(path: Path, limit: int) -> SpecError:
    return SpecError(
        f"the spec at {str(path)!r} is larger than {limit:,} bytes",
        hint="cut it into several specs, and link data instead of pasting it",
    )
