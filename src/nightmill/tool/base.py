"""The shape of every tool."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from posixpath import normpath
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from nightmill.errors import ToolError
from nightmill.model import Usage
from nightmill.sandbox import Limits, Outcome, Output, Workspace
from nightmill.tool.outputs import MemoryOutputs, Outputs, ends

__all__ = [
    "OPEN",
    "Answer",
    "Arguments",
    "Finish",
    "Progress",
    "Tool",
    "ToolContext",
    "Veil",
    "cut",
    "digest",
    "inside",
    "known_as",
    "plain",
]

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
ROOT = "/work/repo"
Progress = Literal["pending", "doing", "done"]
"""How far an item of a todo list is."""
MOST_CHARACTERS = 16_000
"""What a model is shown of one result; the middle of a longer one is left out."""


class Arguments(BaseModel):
    """Arguments of a call, as the model gives them; names that a tool does not have are left out, not fatal."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def always(_kind: str, _text: str, _replaces: Sequence[int]) -> bool:
    """There is room for each note."""
    return True


def quiet() -> str:
    """Nothing happened beside the commands."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one explorer is to find out, and where it may begin."""

    text: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What *count* explorers found, and what that used; *cost* is US dollars, None if unknown."""

    report: str
    usage: Usage
    cost: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How a command ended before, on the same tree and in the same environment, and where that was."""

    exit: int
    output: str
    seconds: float
    whence: str


class Results(Protocol):
    """Results of commands that need not be run to know how they end."""

    async def find(self, command: str, workspace: Workspace) -> Kept | None:
        """What is known of *command* on what *workspace* holds; None: run it."""
        ...

    async def keep(self, command: str, outcome: Outcome, workspace: Workspace) -> None:
        """Told how *command* ended that `find` knew nothing of."""
        ...


class Veil(Protocol):
    """What hides secrets from a model, and knows them again."""

    def marked(self, text: str) -> str:
        """*text* with a mark for each secret, the same for the same, and as many lines as it has."""
        ...

    def marks(self, text: str) -> list[str]:
        """The marks in *text*."""
        ...

    def behind(self, text: str) -> Mapping[str, str]:
        """What stands in *text* where `marked` puts marks."""
        ...


class Open:
    """Hides nothing."""

    def marked(self, text: str) -> str:
        return text

    def marks(self, text: str) -> list[str]:
        del text
        return []

    def behind(self, text: str) -> Mapping[str, str]:
        del text
        return {}


OPEN: Veil = Open()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a tool works with: the sandbox, the bounds on commands, and who watches the output.

    *watch* gives what is given the output of a command, by its name, while it runs.
    *news* gives what happened beside the commands since it was asked last, in lines for the model.
    *known* has the digest of each file as this agent saw it last, by `known_as`: what `Answer.seen` told before, also
    in calls of the same turn. *outputs* keeps what is too long to be shown. *veil* leaves secrets out of what is shown,
    and *given* are texts that the agent was given, as they are. *explore* sends explorers out, *results* knows how
    commands end; None: there are none. *fits* says whether a note (kind, text, numbers of those that it replaces) has
    room beside the others. *within*: paths or globs beyond which files are not written; (): anywhere.
    """

    workspace: Workspace
    limits: Limits
    watch: Callable[[str], Output] | None = None
    news: Callable[[], str] = quiet
    known: Mapping[str, str] = field(default_factory=dict)
    outputs: Outputs = field(default_factory=MemoryOutputs)
    veil: Veil = OPEN
    given: tuple[str, ...] = ()
    explore: Callable[[tuple[Question, ...]], Awaitable[Explored]] | None = None
    results: Results | None = None
    within: tuple[str, ...] = ()
    fits: Callable[[str, str, Sequence[int]], bool] = always


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The agent says that it is done: a summary, (criterion, what shows it) pairs, and what its step asked for."""

    summary: str
    evidence: tuple[tuple[str, str], ...] = ()
    output: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call gave.

    *changed*: something ran that may have changed the workspace. *seen*: the files that it showed (a part is enough) or
    wrote, by `known_as`, with the `digest` of all they hold. *ran*: commands, whether each ended well, and what it printed. *notes*: what
    the agent wants to remember, as (kind, text, numbers of the notes of that kind that it replaces). *veiled*: secrets are
    out of the text already.
    """

    text: str
    changed: bool = False
    edited: tuple[str, ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    ran: tuple[tuple[str, bool, str], ...] = ()
    notes: tuple[tuple[Literal["discovery", "failed_approach", "next"], str, tuple[int, ...]], ...] = ()
    todo: tuple[tuple[str, Progress], ...] | None = None
    finish: Finish | None = None
    explored: Explored | None = None
    veiled: bool = False


class Tool(Protocol):
    """One thing an agent can do."""

    @property
    def name(self) -> str:
        """What the model calls it."""
        ...

    @property
    def description(self) -> str:
        """What the model is told of it."""
        ...

    @property
    def arguments(self) -> type[Arguments]:
        """What a call takes."""
        ...

    @property
    def reads(self) -> bool:
        """True: changes nothing, so it may run beside others of its kind."""
        ...

    def label(self, arguments: Any) -> str:
        """What a person needs to see of the call, one line."""
        ...

    async def call(self, arguments: Any, context: ToolContext) -> Answer:
        """Carry out the call.

        Raises:
            ToolError: If it cannot be; the message is the result that the model sees.
        """
        ...


def inside(path: str) -> str:
    """*path* as an absolute path inside the sandbox; relative ones start at the repository."""
    if "\0" in path:
        raise ToolError("a path cannot contain a NUL character")
    return path if path.startswith("/") else f"{ROOT}/{path.removeprefix('./')}".rstrip("/")


def known_as(path: str) -> str:
    """The name that *path* has in `ToolContext.known`: absolute, one for all spellings; links are not followed."""
    return normpath(inside(path))


def digest(body: bytes) -> str:
    """What tells the content *body* from others: 32 hexadecimal digits."""
    return sha256(body).hexdigest()[:32]


def plain(text: str) -> str:
    """*text* without terminal escapes: colours cost tokens and tell a model nothing."""
    return ESCAPES.sub("", text)


def cut(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """*text* with its middle left out if it is longer than *most* characters; whole lines where it can be."""
    if len(text) <= most:
        return text
    head, tail = ends(text, most=most)
    left_out = len(text) - len(head) - len(tail)
    return f"{head}[… {left_out:,} characters left out …]\n{tail}"


def one_line(text: str, *, most: int = 200) -> str:
    """*text* as a person is shown it beside other lines."""
    return " ".join(text[: 4 * most].split())[:most]


def whole(text: str) -> str:
    """*text* without halves of surrogate pairs: what a file holds that is not UTF-8 can be in no record."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
