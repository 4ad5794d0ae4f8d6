"""Read a spec: its files into sections, sections into fields, fields into a Spec."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nightmill.errors import SpecError
from nightmill.spec import words
from nightmill.spec.gather import LISTS, UNNUMBERED, Draft, gather, kinds
from nightmill.spec.nouns import Spec, SpecFile, SpecTask
from nightmill.spec.outline import Outline, outline
from nightmill.spec.source import Document, Format, Source, load
from nightmill.spec.tasks import read_tasks
from nightmill.spec.trace import number, trace

__all__ = ["LIMIT", "from_plain", "read", "to_plain"]

LIMIT = 1 << 20
"""Bytes that a spec may have, all its files together."""

ALL = frozenset({"all"})
BESIDE = frozenset({"guardrails", "contracts", "tests", "ui", "skills"})
TAKE: dict[str, frozenset[str]] = {
    "proposal.md": BESIDE | {"goal", "title"},
    "design.md": frozenset({"guardrails", "tests", "ui"}),
    "plan.md": frozenset({"guardrails", "tests", "contracts"}),
    "research.md": frozenset(),
    "data-model.md": frozenset(),
    "quickstart.md": frozenset(),
    "tasks.md": frozenset(),
}
"""What counts of the files that stand beside the main one; the rest of them is context for the architect."""
TITLE_LENGTH = 160


def read(path: Path, *, limit: int = LIMIT) -> Spec:
    """Read the spec at *path*: a Markdown file, or a folder of spec-kit, OpenSpec or Kiro, or a file in one.

    At most *limit* bytes are read. That it can be read does not mean that it is accepted: see `assess`.

    Raises:
        SpecError: If it is missing, empty, binary, not UTF-8, too large, unreadable or no file at all.
    """
    source = load(path, limit=limit)
    outlines = [(document, _outline(document)) for document in source.documents]
    draft = Draft()
    tasks: list[SpecTask] = []
    several = len(outlines) > 1
    for document, found in outlines:
        if found is None:
            draft.lists["contracts"].append(document.name)
            continue
        name = document.name if several else ""
        own = document.name == "tasks.md"
        gather(draft, found, name=name, take=_take(document, several=several))
        tasks.extend(read_tasks(found, kinds(found), name=name, whole=own))
        if document.name.startswith("contracts/"):
            draft.lists["contracts"].append(document.name)
    shape = source.format or _format(outlines[0][1])
    return _spec(draft, tasks, source, shape=shape, shown=path)


def to_plain(spec: Spec) -> dict[str, Any]:
    """*spec* as plain JSON data; `from_plain` reads it back."""
    plain: dict[str, Any] = _adapter().dump_python(spec, mode="json")
    return plain


def from_plain(plain: dict[str, Any]) -> Spec:
    """Rebuild the spec that `to_plain` wrote."""
    return _adapter().validate_python(plain)


@functools.cache
def _adapter() -> TypeAdapter[Spec]:
    return TypeAdapter(Spec)


def _outline(document: Document) -> Outline | None:
    if not document.markdown:
        return None
    try:
        return outline(document.text)
    except RecursionError as error:
        raise SpecError(
            f"the spec file {document.name!r} nests deeper than can be read", hint="use fewer levels of lists"
        ) from error


def _take(document: Document, *, several: bool) -> frozenset[str]:
    if document.name.startswith("contracts/"):
        return frozenset()
    return TAKE.get(document.name, ALL) if several or document.name == "proposal.md" else ALL


def _format(found: Outline | None) -> Format:
    """The tool whose form a single file has."""
    titles = [section.title.lower() for section in found.sections] if found else []
    if any(title.startswith(("feature specification", "user story 1")) for title in titles):
        return "spec-kit"
    if any(title.startswith("requirement:") for title in titles):
        return "openspec"
    numbered = any(re.match(r"requirement \d", title) for title in titles)
    return "kiro" if numbered and "acceptance criteria" in titles else "markdown"


def _spec(draft: Draft, tasks: list[SpecTask], source: Source, *, shape: Format, shown: Path) -> Spec:
    requirements, criteria = number(draft.requirements, draft.criteria)
    unnamed = {
        new.id for old, new in zip(draft.requirements, requirements, strict=True) if old.id.startswith(UNNUMBERED)
    }
    text, files = _joined(source.documents)
    title = draft.title
    if not title and shape != "markdown":
        title = re.sub(r"^\d{3,}-", "", source.folder).replace("-", " ").replace("_", " ").capitalize()
    goal = draft.goal or [each.text for each in requirements if each.id.startswith("US")]
    lists = {kind: tuple(draft.lists[kind]) for kind in LISTS}
    lists["skills"] = tuple(_cues(lists["skills"]))
    return Spec(
        title=_clean(title)[:TITLE_LENGTH],
        format=shape,
        source=str(shown).encode("utf-8", "replace").decode(),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        goal="\n\n".join(goal),
        requirements=tuple(requirements),
        criteria=tuple(trace(requirements, criteria, unnamed=unnamed)),
        tasks=tuple(tasks),
        files=files,
        **lists,
    )


def _joined(documents: tuple[Document, ...]) -> tuple[str, tuple[SpecFile, ...]]:
    if len(documents) == 1:
        only = documents[0]
        return only.text, (SpecFile(name=only.name, line=1, markdown=only.markdown),)
    parts: list[str] = []
    files: list[SpecFile] = []
    line = 1
    for document in documents:
        text = document.text.rstrip("\n")
        files.append(SpecFile(name=document.name, line=line + 2, markdown=document.markdown))
        parts.append(f"# File: {document.name}\n\n{text}\n")
        line += text.count("\n") + 4
    return "\n".join(parts), tuple(files)


def _cues(entries: tuple[str, ...]) -> list[str]:
    """Cues for skills: lower case, one each, whether the author wrote a list or a sentence with commas."""
    parts = (part.strip(" .`*").lower() for entry in entries for part in re.split(r"[,;\n]", entry))
    return list(dict.fromkeys(words.plain(part) for part in parts if part))


def _clean(title: str) -> str:
    """*title* in one line, without what a terminal would obey."""
    return " ".join("".join(" " if unicodedata.category(each)[0] == "C" else each for each in title).split())
