"""The API of a server as methods, one for each of its routes that a terminal needs, with what they give as values."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Literal, NamedTuple, overload

from nightmill.client.connection import Away, Connection
from nightmill.client.hooks import Hooks
from nightmill.client.nouns import Change, Changes, Diff, Entries, Me, Others, Role, Runs, Stand, Tasks
from nightmill.client.path import API, path
from nightmill.client.people import People
from nightmill.client.reading import listed, value
from nightmill.client.remains import remainder
from nightmill.client.secrets import Secrets
from nightmill.desk.nouns import (
    Asked,
    Comparison,
    Ended,
    Part,
    Planned,
    Remainder,
    Side,
    Standing,
    Thing,
    Tie,
    Turn,
)
from nightmill.desk.offered import Given, Held, Moment
from nightmill.errors import EngineError, NotYet, SettingsError
from nightmill.kept import Back, Draft, Entry, Filed, Piece, Question, Run, Started

__all__ = ["Client"]


PAGE = 200
SOON, LATE = 0.5, 10.0
"""Seconds between two attempts to reach a server that is away: the first, and the most."""


class Client(People, Secrets, Hooks):
    """A server. Each method raises SettingsError if it refuses, NotYet if one asks too often, EngineError if it is away."""

    def __init__(self, connection: Connection, *, patience: float = 600.0) -> None:
        """*patience* is how many seconds of waiting a stream gives a server that is away."""
        self.connection = connection
        self.patience = patience

    def me(self) -> Me:
        """Who one is there, and what one may do."""
        plain = self.connection.get(f"{API}/me")
        grants = listed(plain, "grants", lambda each: value(Role, each, of="a grant"), of="me")
        return value(Me, plain, of="me", grants=grants)

    def runs(self, *, project: str = "", parent: str = "", cursor: str = "", limit: int = 50) -> Runs:
        """A page of the runs that one may see, newest first; *parent* started them."""
        plain = self.connection.get(f"{API}/runs", project=project, parent=parent, cursor=cursor, limit=limit)
        return value(Runs, plain, of="runs", runs=listed(plain, "runs", _run, of="runs"))

    def run(self, name: str) -> Run:
        """The run whose id is or begins with *name*."""
        return _run(self.connection.get(_path(name)))

    def events(self, run: str, *, after: int = 0, limit: int = PAGE) -> Entries:
        """A page of what happened in *run*, oldest first."""
        plain = self.connection.get(f"{_path(run)}/events", after=after, limit=limit)
        return value(Entries, plain, of="events", entries=listed(plain, "entries", _entry, of="events"))

    def waiting(self) -> tuple[tuple[Thing, str], ...]:
        """What waits for a person, oldest first, each with the command that goes on from there."""
        return listed(self.connection.get(f"{API}/waiting"), "things", _thing, of="waiting")

    def questions(self, run: str) -> tuple[Asked, ...]:
        """What *run* and its tasks ask now."""
        return listed(self.connection.get(f"{_path(run)}/questions"), "questions", _asked, of="questions")

    def turn(self, run: str, *, role: str, number: int) -> tuple[Part, ...]:
        """A turn of *role* in it, part by part."""
        plain = self.connection.get(f"{_path(run)}/turn", role=role, number=number)
        return listed(plain, "parts", lambda each: value(Part, each, of="a part"), of="a turn")

    def diff(self, run: str) -> str:
        """What it has changed so far, as git writes it."""
        return value(Diff, self.connection.get(f"{_path(run)}/diff"), of="the diff").diff

    def attend(self, run: str, terminal: str, *, seconds: float) -> tuple[str, ...]:
        """Say that one looks on from *terminal* for *seconds* more; gives who else does."""
        asked = {"terminal": terminal, "seconds": seconds}
        return value(Others, self.connection.post(f"{_path(run)}/attend", asked), of="who looks on").people

    def pause(self, run: str) -> Run:
        """Pause it after its turn, with all that it started."""
        return _run(self.connection.post(f"{_path(run)}/pause"))

    def resume(self, run: str) -> Run:
        """Go on with it."""
        return _run(self.connection.post(f"{_path(run)}/resume"))

    def cancel(self, run: str) -> Run:
        """Stop it for good."""
        return _run(self.connection.post(f"{_path(run)}/cancel"))

    def say(self, run: str, text: str) -> Run:
        """Say something to the agent at work in it; gives the run that hears it."""
        return _run(self.connection.post(f"{_path(run)}/say", {"text": text}))

    def rewind(self, run: str, back: Back) -> Run:
        """Go on from an earlier moment of it, as the new run that this gives.

        Raises:
            SettingsError: If it cannot be, or a file is no text, which is all that a server takes.
        """
        try:
            files = {path: body.decode() for path, body in back.files.items()}
        except UnicodeDecodeError as error:
            raise SettingsError(
                "a server takes files that are text", hint="rewind on the machine of the store"
            ) from error
        more = {"files": files, "gone": list(back.gone), "results": dict(back.results), "answers": dict(back.answers)}
        asked = {"turn": back.turn, "role": back.role, "instruction": back.instruction, **more}
        return _run(self.connection.post(f"{_path(run)}/rewind", asked))

    def moment(self, run: str, *, turn: int, role: str = "", paths: Sequence[str] = ()) -> Moment:
        """What may be edited where it is gone on from after *turn* of *role*, with the files *paths* beside those that changed."""
        plain = self.connection.get(f"{_path(run)}/moment", turn=turn, role=role, path=list(paths))
        results = listed(plain, "results", lambda each: value(Given, each, of="a result"), of="a moment")
        files = listed(plain, "files", lambda each: value(Held, each, of="a file"), of="a moment")
        return value(Moment, plain, of="a moment", results=results, files=files)

    def compare(self, run: str, other: str) -> Comparison:
        """It beside another run of its project."""
        plain = self.connection.get(path("runs", run, "compare", other))
        sides = {name: _side(plain.get(name)) for name in ("left", "right")}
        return value(Comparison, plain, of="a comparison", common=listed(plain, "common", _turn, of="it"), **sides)

    def start(self, project: str, spec: str, *, model: str = "", blueprint: str = "", base: str = "") -> Run:
        """Ask for a run of *spec*, which is Markdown; "" is as the server's settings say."""
        asked = {"spec": spec, "model": model, "blueprint": blueprint, "base": base}
        return _run(self.connection.post(path("projects", project, "runs"), asked))

    def plan(self, run: str) -> Standing:
        """The plan that it is part of, as it is now."""
        plain = self.connection.get(f"{_path(run)}/plan")
        tasks = listed(plain, "tasks", lambda each: value(Planned, each, of="a task"), of="a plan")
        ties = listed(plain, "ties", lambda each: value(Tie, each, of="a tie"), of="a plan")
        return value(Standing, plain, of="a plan", tasks=tasks, ties=ties)

    def tasks(self, *, project: str = "", every: bool = False, cursor: str = "", limit: int = 50) -> Tasks:
        """A page of what runs left and nobody has ended yet, oldest first; *every*: what is closed, too."""
        asked = {"project": project, "every": "true" if every else "false", "cursor": cursor, "limit": limit}
        plain = self.connection.get(f"{API}/tasks", **asked)
        return value(Tasks, plain, of="tasks", tasks=listed(plain, "tasks", _filed, of="tasks"))

    def task(self, name: str) -> Remainder:
        """The task whose id is or begins with *name*, with all that is known of it."""
        return remainder(self.connection.get(_task(name)))

    def take_up(self, task: str, *, model: str = "", blueprint: str = "") -> Started:
        """Have a run go on with *task*; "" is as it was in the run that left it."""
        plain = self.connection.post(f"{_task(task)}/start", {"model": model, "blueprint": blueprint})
        return value(Started, plain, of="a start", run=_run(plain.get("run")))

    def drop(self, task: str, *, because: str) -> Filed:
        """Let nobody go on with *task*."""
        return _filed(self.connection.post(f"{_task(task)}/drop", {"because": because}))

    def changes(self, *, project: str = "", state: str = "", cursor: str = "", limit: int = 50) -> Changes:
        """A page of the pull requests that one may see, newest first; *state*: only "open", "merged" or "closed" ones."""
        plain = self.connection.get(f"{API}/changes", project=project, state=state, cursor=cursor, limit=limit)
        return value(Changes, plain, of="changes", changes=listed(plain, "changes", _change, of="changes"))

    def change(self, project: str, number: int) -> Stand:
        """One of them, and whether one may merge it."""
        return _stand(self.connection.get(_pull(project, number)))

    def change_diff(self, project: str, number: int) -> str:
        """What it changes, as git writes it."""
        return value(Diff, self.connection.get(f"{_pull(project, number)}/diff"), of="the diff").diff

    def approve_change(self, project: str, number: int, *, tree: str, because: str = "") -> Stand:
        """Say yes to exactly *tree*, as merging it gives."""
        return _stand(self.connection.post(f"{_pull(project, number)}/approve", {"tree": tree, "because": because}))

    def merge_change(self, project: str, number: int, *, tree: str) -> Stand:
        """Merge it, if that gives exactly *tree*."""
        return _stand(self.connection.post(f"{_pull(project, number)}/merge", {"tree": tree}))

    def send_back(self, project: str, number: int, *, because: str) -> Stand:
        """Close it, with the reason."""
        return _stand(self.connection.post(f"{_pull(project, number)}/back", {"because": because}))

    def approve(self, run: str, *, because: str = "", question: str = "", tree: str = "") -> Ended:
        """Say yes to what it asks; with *tree*, only if it asks about that one."""
        return self._decide(run, "approve", {"because": because, "question": question, "tree": tree})

    def refuse(self, run: str, *, because: str, question: str = "", tree: str = "") -> Ended:
        """Say no to what it asks, and why."""
        return self._decide(run, "refuse", {"because": because, "question": question, "tree": tree})

    def answer(self, run: str, text: str, *, question: str = "") -> Ended:
        """Answer the question that it asks."""
        return self._decide(run, "answer", {"text": text, "question": question})

    @overload
    def stream(self, run: str = "", *, after: int | None = None) -> Generator[Entry | None, None, None]: ...

    @overload
    def stream(
        self, run: str, *, after: int | None = None, drafts: Literal[True]
    ) -> Generator[Entry | Draft | None, None, None]: ...

    def stream(
        self, run: str = "", *, after: int | None = None, drafts: bool = False
    ) -> Generator[Entry | Draft | None, None, None]:
        """What happens, as it happens, in *run* and what it starts, or in all that one may see. It ends when its connection is closed.

        Begins after the entry *after*, None: now. A broken connection is made again, and nothing comes twice. None says
        that the connection was made, for the first time or again, and that there is nothing new for a while. Whoever
        began without *after* should then look at what it has: before its first entry there is no number to go on from.

        With *drafts* also what the run and those that it started write just now, each state in place of the one before;
        of a slow reader some are left out, and one without pieces says that nothing is written any more.

        Raises:
            EngineError: If the server stays away.
        """
        asked = {**({"run": run} if run else {}), **({"drafts": "true"} if drafts else {})}
        last, wait, waited = after, SOON, 0.0
        while True:
            try:
                with self.connection.lines(f"{API}/events", last=last, **asked) as lines:
                    for entry in _told(lines):
                        wait, waited = SOON, 0.0
                        last = entry.seq if isinstance(entry, Entry) else last
                        yield entry
            except (Away, NotYet) as error:
                if waited >= self.patience:
                    raise
                wait = max(wait, error.seconds) if isinstance(error, NotYet) else wait
            if self.connection.closed:
                return
            self.connection.sleep(wait)
            waited, wait = waited + wait, min(LATE, wait * 2)

    def _decide(self, run: str, verb: str, said: dict[str, str]) -> Ended:
        return value(Ended, self.connection.post(f"{_path(run)}/{verb}", said), of=f"the answer to {verb}")


def _path(run: str) -> str:
    return path("runs", run)


def _pull(project: str, number: int) -> str:
    return path("projects", project, "changes", str(number))


def _change(plain: Any) -> Change:
    return value(Change, plain, of="a change")


def _stand(plain: Any) -> Stand:
    found = plain.get("change") if isinstance(plain, dict) else None
    return value(Stand, plain, of="a change", change=_change(found))


def _task(name: str) -> str:
    return path("tasks", name)


def _told(lines: Iterator[str]) -> Iterator[Entry | Draft | None]:
    """What is in *lines* of server-sent events; None for the first line and for each that says that all is well."""
    data: list[str] = []
    first, name = True, ""
    for line in lines:
        if first or line.startswith(":"):
            first = False
            yield None
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            kind, plain = name, _json("\n".join(data))
            name, data = "", []
            if plain:  # what says that one is let go, and should come again, has nothing in it
                yield _draft(plain) if kind == "draft" else _entry(plain)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"an event of the stream is no JSON: {text[:60]!r}") from error


def _run(plain: Any) -> Run:
    return value(Run, plain, of="a run", assignment="", wishes=0, words=0)


def _filed(plain: Any) -> Filed:
    return value(Filed, plain, of="a task")


def _entry(plain: Any) -> Entry:
    body = plain.get("body") if isinstance(plain, dict) else None
    if not isinstance(body, dict):
        raise EngineError(f"an entry of the ledger without a body: {plain!r:.60}")
    return value(Entry, plain, of="an entry", body=json.dumps(body))


def _draft(plain: Any) -> Draft:
    pieces = listed(plain, "pieces", lambda each: value(Piece, each, of="a piece"), of="a draft")
    return value(Draft, plain, of="a draft", pieces=pieces)


def _thing(plain: Any) -> tuple[Thing, str]:
    thing = value(Thing, plain, of="what waits")
    return thing, str(plain.get("command", ""))


def _asked(plain: Any) -> Asked:
    question = value(Question, plain, of="a question", seconds=0.0, body="")
    return Asked(question, str(plain.get("text", "")))


def _side(plain: Any) -> Side:
    named = {"turns": listed(plain, "turns", _turn, of="a side"), "checks": listed(plain, "checks", _pair, of="a side")}
    return value(Side, plain, of="a side", **named)


def _turn(plain: Any) -> Turn:
    return value(Turn, plain, of="a turn", calls=listed(plain, "calls", _pair, of="a turn"))


def _pair(plain: Any) -> tuple[str, bool]:
    """What was called or checked, and whether it went well."""
    named = dict(zip(("what", "well"), plain, strict=False)) if isinstance(plain, list) else {}
    found = value(_Pair, named, of="a call or a check")
    return found.what, found.well


class _Pair(NamedTuple):
    what: str
    well: bool
