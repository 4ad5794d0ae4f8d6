"""What the steps of one run share: its sandbox, the tree that it stands at, who made what of it, and what was shown of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from nightmill import event
from nightmill.errors import NightmillError, RepoError
from nightmill.estate import environment
from nightmill.estate.environment import BUNDLE, Base, parcel
from nightmill.estate.install import prepare
from nightmill.estate.registry import Reach
from nightmill.estate.services import programs
from nightmill.kept import Part
from nightmill.line import recall as recalls
from nightmill.line.entrance import Entrance, with_agent
from nightmill.line.past import Past
from nightmill.line.prove import export, plain
from nightmill.line.record import SAID
from nightmill.line.steps import Waiting
from nightmill.line.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nightmill.line.assignment import Assignment
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines
    from nightmill.line.steps import Steps

__all__ = ["Workshop"]

reaches = TypeAdapter(Reach)


@dataclass(slots=True, kw_only=True)
class Workshop:
    """Live in this process. All that it knows follows from the results of steps, so a run that starts over finds it again.

    Attributes:
        snapshot: What the sandbox holds, as of the last step that changed it.
        head: The commit in the hub with that tree; "" where it has to be taken out first.
        trouble: Why it cannot be: what an agent did to its repository.
    """

    run: str
    assignment: Assignment
    machines: Machines
    control: Control
    steps: Steps
    waiting: Waiting = field(init=False)
    entrance: Entrance = field(default_factory=Entrance)
    prepared: dict[str, Any] = field(default_factory=dict)
    workplace: Workplace | None = None
    snapshot: str = ""
    head: str = ""
    trouble: str = ""
    parts: list[Part] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    """What each role that may write said last of its work."""
    landed: dict[str, Any] = field(default_factory=dict)
    """What the `change` step made: the change, its branch and its commit."""
    resting: Callable[[], Awaitable[None]] | None = None
    """Ends what agents have under way."""

    def __post_init__(self) -> None:
        self.waiting = Waiting(
            run=self.run, machines=self.machines, steps=self.steps, control=self.control, rest=self.rest
        )
        if self.assignment.begun is not None:
            self.parts = list(self.assignment.begun.parts)
            self.said = {part.role: part.summary for part in self.parts if part.summary}

    @property
    def folder(self) -> Path:
        """Where the run keeps what is its own."""
        return self.machines.folder(self.run)

    @property
    def hub(self) -> Any:
        """The repository of the run's project on the forge."""
        return self.machines.hub(self.assignment.project.id)

    @property
    def incoming(self) -> str:
        """The ref under which the hub keeps what comes out of the sandbox."""
        return f"refs/nightmill/incoming/{self.run}"

    @property
    def base(self) -> Base:
        """The layers below; those of the run that this one goes on from are the same."""
        layers = tuple(Path(layer) for layer in self.prepared["layers"])
        return Base(layers=layers, hash=self.prepared["environment"], commit=self.prepared["base_commit"])

    def tell(self, told: event.Event) -> None:
        """Tell the ledger, unless it happened in the run that this one goes on from, which has told it."""
        if not (isinstance(self.steps, Past) and self.steps.taking):
            self.machines.ledger.emit(told)

    async def prepare(self) -> None:
        """Have the sandbox hold what the run begins with."""
        self.prepared = await self.waiting.attempt("prepare", lambda: self.control.unless_cancelled(self._prepare()))
        self.snapshot = self.prepared["snapshot"]
        origin = self.assignment.origin
        at_first = origin is not None and any(each.kind == "file" and each.at == "0" for each in origin.edits)
        self.head = "" if at_first else self.assignment.begins
        self.tell(
            event.WorkspacePrepared(
                run=self.run,
                environment=self.prepared["environment"],
                commit=self.assignment.base_commit,
                snapshot=self.snapshot,
                seconds=self.prepared["seconds"],
                drift=self.prepared["drift"],
            )
        )
        if recalled := self.prepared.get("recalled"):
            self.tell(event.NotesRecalled(run=self.run, **recalled))

    def place(self) -> Workplace:
        """The sandbox of the run, in this process or as one before it left it."""
        if self.workplace is None:
            bundle = self.folder / "base.bundle" if self.prepared["bundle"] else None
            reach = reaches.validate_python(self.prepared.get("reach", {"hosts": ()}))
            self.workplace = self._workplace(self.base, bundle, reach)
        return self.workplace

    async def take_out(self) -> str:
        """The commit that holds the work as it is at the newest snapshot, put into the hub.

        Raises:
            RepoError: If it cannot be taken out; whoever worked there did that.
        """
        workplace = self.place()
        workspace = await workplace.stand_at(self.snapshot)
        workplace.touched()
        return await export(
            workspace, hub=self.hub, folder=self.folder, base=self.assignment.base_commit, ref=self.incoming
        )

    async def current(self) -> str:
        """`take_out`, as a step, and only where the work is not out already; "" with `trouble` where it cannot be."""
        if not self.head and not self.trouble:
            taken = await self.waiting.attempt("take out", lambda: self.control.unless_cancelled(self._take_out()))
            self.head, self.trouble = taken["commit"], taken["trouble"]
        return self.head

    def moved(self, snapshot: str) -> None:
        """The sandbox holds *snapshot* now."""
        if snapshot != self.snapshot:
            self.snapshot, self.head, self.trouble = snapshot, "", ""

    def add(self, part: Part) -> None:
        """*part* is the work of its role, on top of those before; the same role's again takes the place of its last.

        What that one named as evidence stands where the new one names none.
        """
        if self.parts and self.parts[-1].role == part.role and not self.parts[-1].run:
            before = self.parts.pop()
            part = part if part.evidence else replace(part, evidence=before.evidence)
        self.parts.append(part)

    def changed(self, commit: str) -> bool:
        """Whether *commit* holds another tree than the parts before it; blocking."""
        before = self.parts[-1].commit if self.parts else self.assignment.base_commit
        return bool(self.hub.tree(commit) != self.hub.tree(before))

    async def preserve(self) -> tuple[str, str]:
        """(branch, reason why there is none): what was done, on a branch, before anything is torn down."""
        begun = "" if self.assignment.origin else self.prepared.get("snapshot")
        if self.snapshot in {"", begun}:
            return "", ""
        kept = await self.steps.step("preserve", self._preserve)
        if kept["branch"]:
            self.tell(event.WorkPreserved(run=self.run, branch=kept["branch"], commit=kept["commit"]))
            return kept["branch"], ""
        return "", f"its work is on no branch: {kept['why']}; it is in {self.folder / 'sandbox' / 'packs'}"

    async def rest(self) -> None:
        """Hold nothing while the run waits."""
        if self.resting is not None:
            await self.resting()
        if self.workplace is not None:
            await self.workplace.leave()

    async def _prepare(self) -> dict[str, Any]:
        """Base, and a first snapshot of the checkout with what the run begins with."""
        started = self.machines.clock()
        self.tell(event.PhaseStarted(run=self.run, phase="prepare"))
        assignment = self.assignment
        site = replace(self.machines.site, run=self.run)
        reach = await environment.access(assignment.project, site=site)
        base = await environment.base(
            assignment.project, hub=self.hub, commit=assignment.base_commit, site=site, progress=lambda _: None
        )
        database = self.machines.database
        recalled = await asyncio.to_thread(recalls.recall, assignment, run=self.run, database=database, hub=self.hub)
        self.folder.mkdir(parents=True, exist_ok=True)
        bundle = self.folder / "base.bundle"
        needed = await asyncio.to_thread(parcel, self.hub, base, commit=assignment.begins, target=bundle)
        self.workplace = self._workplace(base, bundle if needed else None, reach)
        workspace = await self.workplace.stand_at("")
        self.workplace.touched()
        await prepare(
            workspace,
            bundle=BUNDLE if needed else "",
            commit=assignment.begins,
            onto=assignment.base_commit,
            services=assignment.project.services,
        )
        self.workplace.look()
        return {
            "environment": base.hash,
            "drift": list(base.drift),
            "base_commit": base.commit,
            "layers": [str(layer) for layer in base.layers],
            "bundle": needed,
            "reach": plain(reach),
            "recalled": recalls.told(recalled),
            "earlier": self.machines.blobs.put(recalled.prompt.text.encode()),
            "snapshot": await self.workplace.keep(),
            "seconds": self.machines.clock() - started,
        }

    async def _take_out(self) -> dict[str, Any]:
        try:
            return {"commit": await self.take_out(), "trouble": ""}
        except RepoError as error:
            return {"commit": "", "trouble": f"{error.message} ({error.hint})"[:4000]}

    async def _preserve(self) -> dict[str, Any]:
        branch = f"nightmill/wip/{self.run}"
        try:
            commit = await self.take_out()
            old = await asyncio.to_thread(self.hub.resolve, f"refs/heads/{branch}")
            await asyncio.to_thread(self.hub.branch, branch, commit, expected_old=old or "")
        except (NightmillError, OSError) as error:
            return {"branch": "", "commit": "", "why": str(error)[:SAID]}
        return {"branch": branch, "commit": commit}

    def _workplace(self, base: Base, bundle: Path | None, reach: Reach) -> Workplace:
        directory, project = self.folder / "sandbox", self.assignment.project
        directory.mkdir(parents=True, exist_ok=True)
        where = self.machines.place(project, base, directory=directory, bundle=bundle)
        site = replace(self.machines.site, run=self.run)
        where = environment.connected(where, reach, project=project, site=site)
        return Workplace(
            run=self.run,
            place=with_agent(replace(where, services=programs(project.services)), self.assignment.agent, self.entrance),
            sandboxes=self.machines.sandboxes,
            emit=self.machines.ledger.emit,
            clock=self.machines.clock,
        )
