"""What each role is to remember of each project: Markdown in a git repository of the operator's, a commit for each note.

The branch is the only truth: a note is there once its one commit is, whole, and nobody's working files can be behind it.
Who wants to edit clones it and pushes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from nightmill.crew.identity import ROLE, signers
from nightmill.errors import NightmillError, RepoError, SettingsError
from nightmill.repo import Author, Hub
from nightmill.repo.git import shown

__all__ = ["Memory", "Note", "Page", "Person", "quoted"]

FOLDER, BRANCH = "memory.git", "main"
PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
OURS = re.compile(r"- \d{4}-\d\d-\d\d \S+ [a-z]+: ")
REGULAR = frozenset({"100644", "100755"})

MOST = 20
"""Notes of ours in one file: the oldest leave, and git has them."""
LARGEST = 64 << 10
MOST_SHOWN, LONGEST = 6_000, 600
"""Characters of the notes that a role is given, and of one of them."""
MOST_QUOTED, MOST_QUOTES = 160, 4
TRIES = 8
"""How often it is tried while somebody pushes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a role is to remember of one mistake.

    Attributes:
        kind: Of the mistake; *key* tells it from the others of its *run*.
        said: What happened, in our words; *quotes* are what others wrote.
        at: Unix seconds.
    """

    project: str
    role: str
    run: str
    kind: str
    key: str
    said: str
    quotes: tuple[str, ...] = ()
    at: float

    @property
    def line(self) -> str:
        """The note as it stands in its file."""
        day = datetime.fromtimestamp(self.at, UTC).date().isoformat()
        quotes = "; ".join(filter(None, map(quoted, self.quotes[:MOST_QUOTES])))
        return f"- {day} {self.run} {self.kind}: it {self.said}{f': {quotes}' if quotes else ''}"

    @property
    def id(self) -> str:
        """The same for the same mistake, whenever it is noted."""
        return sha256(f"{self.run}\n{self.role}\n{self.key}".encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one role remembers of one project: the *text* of its file, or its *trouble*, why that cannot be used."""

    text: str = ""
    trouble: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Its lines that begin with "- ", without that, as people and we wrote them."""
        return tuple(line[2:].strip() for line in self.text.split("\n") if line.startswith("- ") and line[2:].strip())

    @property
    def shown(self) -> tuple[str, ...]:
        """The newest of its notes, so many as fit into what a role is given, each on one line."""
        found: list[str] = []
        left = MOST_SHOWN
        for each in reversed(self.notes):
            line = _plain(each)[:LONGEST]
            left -= len(line)
            if left < 0:
                break
            found.append(line)
        return tuple(reversed(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who changes a file by hand."""

    name: str
    email: str
    key: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    """One commit: *text* gives the new text of the file for the old one."""

    path: str
    text: Callable[[str], str]
    message: str
    author: Author
    at: float
    id: str = ""


class Memory:
    """The memory of all roles of one home. All methods block: call them from a thread."""

    def __init__(self, home: Path) -> None:
        self.folder = home / FOLDER
        self._hub = Hub(self.folder)
        self._signers = signers(home)

    def page(self, project: str, role: str) -> Page:
        """What *role* remembers of *project*. Nothing is raised: what cannot be read is told by the page."""
        try:
            path = _path(project, role)
            tip = self._tip()
            return self._read(tip, path) if tip else Page()
        except (NightmillError, OSError) as error:
            return Page(trouble=_why(error))

    def pages(self, project: str) -> Mapping[str, Page]:
        """The pages that there are of *project*, by role."""
        try:
            tip = self._tip()
            found = self._hub.files(tip, within=(f"{_name(project)}/",)) if tip else []
        except (NightmillError, OSError):
            return {}
        names = [each.path.rpartition("/")[2] for each in found if each.path.endswith(".md")]
        roles = sorted({name.removesuffix(".md") for name in names})
        return {role: self.page(project, role) for role in roles if ROLE.fullmatch(role)}

    def add(self, note: Note, *, author: Author) -> str:
        """The commit that wrote *note*, now or before: once, however often and by however many it is asked for.

        Raises:
            SettingsError: If its project or role cannot be the name of a file, or the author's key does not sign.
            RepoError: If somebody left a file there that no note can be added to, or the branch does not hold still.
            EngineError: If the repository is broken.
        """
        head = f"# What the {note.role} remembers of {note.project}\n\n{ABOUT}\n"
        edit = _Edit(
            path=_path(note.project, note.role),
            text=lambda before: _added(before or head, note.line),
            message=f"{note.role}: {note.kind} in {note.run}\n\n{note.line}\n\n"
            f"Run: {note.run}\nKind: {note.kind}\nMistake: {note.id}\n",
            author=author,
            at=note.at,
            id=note.id,
        )
        if not self.folder.exists():
            self._hub.create(branch=BRANCH, signers=self._signers)
        return self._change(edit)

    def forget(self, project: str, role: str, number: int, *, note: str, author: Author, at: float) -> None:
        """Take *note*, which had that *number*, from 1, out of what *role* remembers of *project*.

        Raises:
            SettingsError: If there is no note of that number.
            RepoError: If another one has it by now, or its file cannot be used, or the branch does not hold still.
            EngineError: If the repository is broken.
        """
        page = self.page(project, role)
        if page.trouble:
            raise RepoError(page.trouble, hint=f"git clone {self.folder}, mend it there, and push")
        if not 0 < number <= len(page.notes):
            raise SettingsError(
                f"the {role} has no note {number} of {project!r}", hint=f"nightmill crew {role} --memory lists them"
            )
        if page.notes[number - 1] != note:
            raise RepoError(
                f"note {number} of the {role} is another one by now", hint=f"look again: nightmill crew {role} --memory"
            )
        path = _path(project, role)
        self._change(
            _Edit(path=path, text=partial(_without, line=note), message=f"{role}: a note less\n", author=author, at=at)
        )

    # The one way in which it changes

    def _change(self, edit: _Edit) -> str:
        for last in range(TRIES):
            with self._hub.locked():
                self._hub.must("config", "core.fsync", "all")  # what the branch names is there after a power cut, too
                tip = self._tip()
                if tip and edit.id and (known := self._known(tip, edit.id)):
                    return known
                page = self._read(tip, edit.path) if tip else Page()
                if page.trouble:
                    raise RepoError(page.trouble, hint=f"git clone {self.folder}, mend it there, and push")
                body = edit.text(page.text).encode()
                if len(body) > LARGEST:
                    raise RepoError(f"{edit.path} is full", hint="take out what nobody needs to know any more")
                tree = self._hub.with_file(tip or "", edit.path, body)
                parents = [tip] if tip else []
                made = self._hub.commit(
                    tree, parents=parents, message=edit.message, author=edit.author, when=int(edit.at)
                )
                try:
                    self._hub.branch(BRANCH, made, expected_old=tip or "")
                except RepoError:  # somebody has pushed meanwhile: what they say goes before
                    if last == TRIES - 1 or self._tip() == tip:
                        raise
                else:
                    return made
        raise AssertionError("the loop returns or raises")

    def _tip(self) -> str | None:
        """The newest commit, None where nothing was ever noted.

        Raises:
            RepoError: If there is one that cannot be read.
        """
        if not self.folder.exists():
            return None
        ref = f"refs/heads/{BRANCH}"
        tip = self._hub.resolve(ref)
        if tip is None and ((self.folder / ref).exists() or not self._hub.run("rev-parse", "--verify", ref).exit):
            raise RepoError(
                f"the branch {BRANCH!r} of {str(self.folder)!r} cannot be read", hint="see `git fsck` there"
            )
        return tip

    def _known(self, tip: str, id: str) -> str:
        """The commit that noted the mistake *id*, "" if none did; also one whose note is not in the file any more."""
        found = self._hub.must("log", "--max-count=1", "--format=%H", f"--grep=^Mistake: {id}$", tip, "--").out
        return found.decode("ascii").strip()

    def _read(self, tip: str, path: str) -> Page:
        found = self._hub.files(tip, within=(path,))
        if not found:
            return Page()
        (first, *rest) = found
        if rest or first.path != path or first.mode not in REGULAR:
            return Page(trouble=f"{path} in {str(self.folder)!r} is no file")
        if first.size > LARGEST:
            return Page(trouble=f"{path} in {str(self.folder)!r} is larger than {LARGEST:,} bytes")
        try:
            return Page(text=self._hub.show(tip, path, limit=LARGEST).decode("utf-8"))
        except UnicodeDecodeError:
            return Page(trouble=f"{path} in {str(self.folder)!r} is not UTF-8")


ABOUT = (
    "Each line that begins with a dash is told to whoever acts in this role in this project. nightmill adds one for each\n"
    "mistake, and takes its oldest out when there are many; all others are yours to write, to change and to take out."
)


def quoted(text: str) -> str:
    """*text*, which somebody else wrote, as a piece of one line from which nothing in it gets out; "" for nothing.

    In a code span of Markdown nothing has a meaning but the mark that ends it, and that is taken out.
    """
    words = _plain(text[: 4 * MOST_QUOTED].replace("`", "'"))
    return f"`{words if len(words) <= MOST_QUOTED else f'{words[: MOST_QUOTED - 1]}…'}`" if words else ""


def _plain(text: str) -> str:
    """*text* on one line, of characters that are seen."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _added(text: str, line: str) -> str:
    """*text* with *line* at its end, and of ours no more than may be."""
    lines = text.rstrip().split("\n")
    ours = [number for number, each in enumerate(lines) if OURS.match(each)]
    gone = set(ours[: max(0, len(ours) + 1 - MOST)])
    kept = [each for number, each in enumerate(lines) if number not in gone]
    apart = [] if kept[-1].startswith("- ") else [""]
    return "\n".join([*kept, *apart, line]) + "\n"


def _without(text: str, *, line: str) -> str:
    lines = text.split("\n")
    at = next((number for number, each in enumerate(lines) if each.startswith("- ") and each[2:].strip() == line), None)
    if at is None:
        raise RepoError("somebody else has just changed this note", hint="look again")
    return "\n".join(lines[:at] + lines[at + 1 :])


def _path(project: str, role: str) -> str:
    if not ROLE.fullmatch(role):
        raise SettingsError(f"{shown(role)!r} is not the name of a role", hint="`nightmill crew` lists them")
    return f"{_name(project)}/{role}.md"


def _name(project: str) -> str:
    if not PROJECT.fullmatch(project):
        raise SettingsError(f"{shown(project)!r} is not the id of a project", hint="`nightmill runs` shows them")
    return project


def _why(error: NightmillError | OSError) -> str:
    return error.message if isinstance(error, NightmillError) else str(error)
