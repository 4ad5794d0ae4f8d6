"""The API of a server as methods, one for each of its routes that a terminal needs, with what they give as values."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Literal, overload

from nightmill.client.connection import Away, Connection
from nightmill.client.hooks import Hooks
from nightmill.client.nouns import Changes, Entries, Me, Runs, Stand, Tasks
from nightmill.client.path import API, path
from nightmill.client.patience import Patience
from nightmill.client.people import People
from nightmill.client.reading import field, listed, value
from nightmill.client.secrets import Secrets
from nightmill.desk.nouns import Asked, Comparison, Ended, Part, Remainder, Standing, Thing
from nightmill.desk.offered import Moment
from nightmill.desk.requested import Requested, Sent
from nightmill.errors import EngineError, NotYet, SettingsError
from nightmill.kept import Back, Draft, Entry, Filed, Question, Run, Started

__all__ = ["Client"]

PAGE = 200


class Client(People, Secrets, Hooks):
    """A server. Each method raises SettingsError if it refuses, NotYet if one asks too often, EngineError if it is away."""

    def __init__(self, connection: Connection, *, patience: float = 600.0) -> None:
        """*patience* is how many seconds of waiting a stream gives a server that is away."""
        self.connection = connection
        self.patience = patience

    def me(self) -> Me:
        """Who one is there, and what one may do."""
        return value(Me, self.connection.get(f"{API}/me"), of="me")

    def runs(self, *, project: str = "", parent: str = "", cursor: str = "", limit: int = 50) -> Runs:
        """A page of the runs that one may see, newest first; *parent* started them."""
        plain = self.connection.get(f"{API}/runs", project=project, parent=parent, cursor=cursor, limit=limit)
        return value(Runs, plain, of="runs")

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
        return field(plain, "parts", tuple[Part, ...], of="a turn")

    def requested(self, run: str) -> tuple[Requested, ...]:
        """What a model was sent in it, turn by turn."""
        return field(self.connection.get(f"{_path(run)}/requests"), "requests", tuple[Requested, ...], of="requests")

    def request(self, run: str, number: int, *, role: str = "") -> Sent:
        """The request of one turn with its body, in which what looks like a secret is hidden."""
        return value(Sent, self.connection.get(f"{_path(run)}/request", number=number, role=role), of="a request")

    def diff(self, run: str) -> str:
        """What it has changed so far, as git writes it."""
        return field(self.connection.get(f"{_path(run)}/diff"), "diff", str, of="what it changed")

    def attend(self, run: str, terminal: str, *, seconds: float) -> tuple[str, ...]:
        """Say that one looks on from *terminal* for *seconds* more; gives who else does."""
        asked = {"terminal": terminal, "seconds": seconds}
        return field(self.connection.post(f"{_path(run)}/attend", asked), "people", tuple[str, ...], of="who looks on")

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
        return value(Moment, plain, of="a moment")

    def compare(self, run: str, other: str) -> Comparison:
        """It beside another run of its project."""
        return value(Comparison, self.connection.get(path("runs", run, "compare", other)), of="a comparison")

    def start(self, project: str, spec: str, *, model: str = "", blueprint: str = "", base: str = "") -> Run:
        """Ask for a run of *spec*, which is Markdown; "" is as the server's settings say."""
        asked = {"spec": spec, "model": model, "blueprint": blueprint, "base": base}
        return _run(self.connection.post(path("projects", project, "runs"), asked))

    def plan(self, run: str) -> Standing:
        """The plan that it is part of, as it is now."""
        return value(Standing, self.connection.get(f"{_path(run)}/plan"), of="a plan")

    def tasks(self, *, project: str = "", every: bool = False, cursor: str = "", limit: int = 50) -> Tasks:
        """A page of what runs left and nobody has ended yet, oldest first; *every*: what is closed, too."""
        asked = {"project": project, "every": "true" if every else "false", "cursor": cursor, "limit": limit}
        return value(Tasks, self.connection.get(f"{API}/tasks", **asked), of="tasks")

    def task(self, name: str) -> Remainder:
        """The task whose id is or begins with *name*, with all that is known of it."""
        return value(Remainder, self.connection.get(_task(name)), of="what is left")

    def take_up(self, task: str, *, model: str = "", blueprint: str = "") -> Started:
        """Have a run go on with *task*; "" is as it was in the run that left it."""
        asked = {"model": model, "blueprint": blueprint}
        return value(Started, self.connection.post(f"{_task(task)}/start", asked), of="a start")

    def drop(self, task: str, *, because: str) -> Filed:
        """Let nobody go on with *task*."""
        return value(Filed, self.connection.post(f"{_task(task)}/drop", {"because": because}), of="a task")

    def changes(self, *, project: str = "", state: str = "", cursor: str = "", limit: int = 50) -> Changes:
        """A page of the pull requests that one may see, newest first; *state*: only "open", "merged" or "closed" ones."""
        plain = self.connection.get(f"{API}/changes", project=project, state=state, cursor=cursor, limit=limit)
        return value(Changes, plain, of="changes")

    def change(self, project: str, number: int) -> Stand:
        """One of them, and whether one may merge it."""
        return _stand(self.connection.get(_pull(project, number)))

    def change_diff(self, project: str, number: int) -> str:
        """What it changes, as git writes it."""
        return field(self.connection.get(f"{_pull(project, number)}/diff"), "diff", str, of="what it changes")

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
        last, patience = after, Patience(self.connection, self.patience)
        while True:
            away: Away | NotYet | None = None
            try:
                with self.connection.lines(f"{API}/events", last=last, **asked) as lines:
                    for entry in _told(lines):
                        patience.restore()
                        last = entry.seq if isinstance(entry, Entry) else last
                        yield entry
            except (Away, NotYet) as error:
                if patience.over:
                    raise
                away = error
            if self.connection.closed:
                return
            patience.wait(away)

    def _decide(self, run: str, verb: str, said: dict[str, str]) -> Ended:
        return value(Ended, self.connection.post(f"{_path(run)}/{verb}", said), of=f"the answer to {verb}")


def _path(run: str) -> str:
    return path("runs", run)


def _pull(project: str, number: int) -> str:
    return path("projects", project, "changes", str(number))


def _stand(plain: Any) -> Stand:
    return value(Stand, plain, of="a change")


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
                yield value(Draft, plain, of="a draft") if kind == "draft" else _entry(plain)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"an event of the stream is no JSON: {text[:60]!r}") from error


def _run(plain: Any) -> Run:
    return value(Run, plain, of="a run")


def _entry(plain: Any) -> Entry:
    body = plain.get("body") if isinstance(plain, dict) else None
    if not isinstance(body, dict):
        raise EngineError(f"an entry of the ledger without a body: {plain!r:.60}")
    return value(Entry, plain, of="an entry", body=json.dumps(body))


def _thing(plain: Any) -> tuple[Thing, str]:
    return value(Thing, plain, of="what waits"), field(plain, "command", str, of="what waits")


def _asked(plain: Any) -> Asked:
    return Asked(value(Question, plain, of="a question"), field(plain, "text", str, of="a question"))
