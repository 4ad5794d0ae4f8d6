"""One task as one durable run: prepare → turns → proof → change.

Between its steps this does nothing whose outcome could differ when it is run again: whatever looks at the world is
inside a step, and what a step gives is plain data.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from sqlalchemy.exc import InterfaceError, OperationalError

from nightmill import agent, event
from nightmill.change import Landed, Landing, land
from nightmill.crew import identity
from nightmill.errors import NightmillError, RepoError, StoreUnavailable
from nightmill.estate import environment
from nightmill.estate.environment import BUNDLE, Base, parcel
from nightmill.estate.install import prepare
from nightmill.estate.registry import Reach
from nightmill.estate.services import programs
from nightmill.line import brief as briefs
from nightmill.line import recall as recalls
from nightmill.line.asking import Asking
from nightmill.line.entrance import Entrance, with_agent
from nightmill.line.external import ExternalWork
from nightmill.line.journal import Journal
from nightmill.line.knowledge import Knowledge
from nightmill.line.prove import Proving, export, look_twice, plain
from nightmill.line.record import SAID, finished, read_record
from nightmill.line.results import CheckResults
from nightmill.line.steps import Waiting
from nightmill.line.stop import Stopped
from nightmill.line.work import Work
from nightmill.line.workplace import Workplace
from nightmill.prompt import render
from nightmill.review import Verdict
from nightmill.tool import developing

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines
    from nightmill.line.steps import Steps

__all__ = ["TaskRun"]

log = logging.getLogger(__name__)
verdicts, reaches = TypeAdapter(Verdict), TypeAdapter(Reach)


class TaskRun:
    """A task, live in this process. `go` is the durable part."""

    def __init__(self, *, run: str, assignment: Assignment, machines: Machines, steps: Steps, control: Control) -> None:
        self.run = run
        self.assignment = assignment
        self.machines = machines
        self.control = control
        self.waiting = Waiting(run=run, machines=machines, steps=steps, control=control, rest=self._rest)
        self.hub = machines.hub(assignment.project.id)
        self.folder = machines.folder(run)
        self.incoming = f"refs/nightmill/incoming/{run}"
        self.snapshot = ""
        self.prepared: dict[str, Any] = {}
        self.work: Work | ExternalWork | None = None
        self.entrance = Entrance()
        self.workplace: Workplace | None = None
        self.knowledge = Knowledge(run=run, machines=machines, assignment=assignment)

    async def go(self) -> dict[str, Any]:
        """Work until the task is a pull request, or stop with a reason: `{"change", "commit"}` or `{"why", "reason"}`."""
        try:
            return await self._deliver()
        except Stopped as stopped:
            return await self._stop(stopped)
        except StoreUnavailable:
            raise
        except NightmillError as error:
            return await self._stop(Stopped.of(error))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("run %s failed", self.run)
            hint = "a fault of nightmill: its worker's log says where"
            return await self._stop(Stopped("failed", f"{type(error).__name__}: {error}", hint))
        finally:
            await self._rest()

    async def _deliver(self) -> dict[str, Any]:
        self.prepared = await self.waiting.attempt("prepare", lambda: self.control.unless_cancelled(self._prepare()))
        self.snapshot = self.prepared["snapshot"]
        self._tell(
            event.WorkspacePrepared(
                run=self.run,
                environment=self.prepared["environment"],
                commit=self.assignment.base_commit,
                snapshot=self.snapshot,
                seconds=self.prepared["seconds"],
                drift=self.prepared["drift"],
                brief=self.prepared["brief"],
            )
        )
        if recalled := self.prepared.get("recalled"):
            self._tell(event.NotesRecalled(run=self.run, **recalled))
        self.work = self._start_work()
        number = 0
        while True:
            await self._turns(number)
            judged = await self.waiting.attempt("prove", partial(self._prove, number))
            verdict = verdicts.validate_json(self.machines.blobs.get(judged["verdict"]))
            self._tell(
                event.VerdictGiven(
                    run=self.run, round=number, tree=verdict.tree, passed=verdict.passed, verdict=plain(verdict)
                )
            )
            if verdict.passed:
                return await self._land(judged)
            number += 1
            self._send_back(verdict, number, judged["words"])

    # Turns

    async def _turns(self, number: int) -> None:
        """Take turns until the agent's work ends."""
        work = self._live()
        self._tell(event.PhaseStarted(run=self.run, phase="work", round=number))
        while work.state.ending is None:
            result = await self.waiting.attempt("turn", lambda: work.turn(self.snapshot))
            record = read_record(self.machines.blobs.get(result["record"]))
            self.snapshot = result["snapshot"]
            before, work.state = work.state, work.after(record)
            named = {"role": work.brief.role, "model": self.assignment.worker, "snapshot": result["snapshot"]}
            self._tell(finished(record, run=self.run, kept=result["record"], **named))
            for told in work.moved(before):
                self._tell(told)
        ending = work.state.ending
        if ending.kind == "finished":
            self._tell(event.AgentFinished(run=self.run, turn=work.state.turn, summary=ending.text))
            return
        raise Stopped("limit" if ending.kind == "limit" else "failed", f"the agent is {ending.kind}: {ending.text}")

    def _send_back(self, verdict: Verdict, number: int, words: str) -> None:
        """Give the agent its work back with the *words* (a blob) that were found when it was judged."""
        limit = self.assignment.send_back
        if number > limit:
            raise Stopped("failed", f"the work did not pass its checks after {limit} corrections: {verdict.reasons[0]}")
        reason = "\n\n".join(verdict.reasons)
        self._tell(event.SentBack(run=self.run, count=number, limit=limit, reason=reason, words=words))
        work = self._live()
        work.state = agent.send_back(work.state, self.machines.blobs.get(words).decode())

    # Steps

    async def _prepare(self) -> dict[str, Any]:
        """Base, brief, and a first snapshot of the checkout at the base commit."""
        started = self.machines.clock()
        self._tell(event.PhaseStarted(run=self.run, phase="prepare"))
        assignment, commit = self.assignment, self.assignment.base_commit
        site = replace(self.machines.site, run=self.run)
        reach = await environment.access(assignment.project, site=site)
        base = await environment.base(
            assignment.project, hub=self.hub, commit=commit, site=site, progress=lambda _: None
        )
        database = self.machines.database
        recalled = await asyncio.to_thread(recalls.recall, assignment, run=self.run, database=database, hub=self.hub)
        earlier = recalled.prompt
        brief = await asyncio.to_thread(briefs.developer, assignment, run=self.run, hub=self.hub, earlier=earlier)
        self.folder.mkdir(parents=True, exist_ok=True)
        bundle = self.folder / "base.bundle"
        needed = await asyncio.to_thread(parcel, self.hub, base, commit=commit, target=bundle)
        self.workplace = self._workplace(base, bundle if needed else None, reach)
        workspace = await self.workplace.stand_at("")
        self.workplace.touched()
        bundle_inside = BUNDLE if needed else ""
        await prepare(workspace, bundle=bundle_inside, commit=commit, services=assignment.project.services)
        self.workplace.look()
        return {
            "environment": base.hash,
            "drift": list(base.drift),
            "base_commit": base.commit,
            "layers": [str(layer) for layer in base.layers],
            "bundle": needed,
            "reach": plain(reach),
            "brief": self.machines.blobs.put(briefs.write_brief(brief)),
            "recalled": recalls.told(recalled),
            "snapshot": await self.workplace.keep(),
            "seconds": self.machines.clock() - started,
        }

    async def _prove(self, number: int) -> dict[str, Any]:
        self._tell(event.PhaseStarted(run=self.run, phase="prove", round=number))
        ending = self._live().state.ending
        if self.control.wanted != "run":
            return {"wanted": self.control.wanted, "by": self.control.by}
        proving = Proving(
            run=self.run, machines=self.machines, assignment=self.assignment, base=self._base(), site=self.machines.site
        )
        try:
            commit = await self.control.unless_cancelled(self._export())
        except RepoError as error:
            tree = await asyncio.to_thread(self.hub.tree, self.assignment.base_commit)
            verdict = Verdict(
                tree=tree, base_tree=tree, passed=False, results=(), reasons=(f"{error.message} ({error.hint})",)
            )
            return self._judged(verdict, "", number)
        verdict = await self.control.unless_cancelled(
            proving.verdict(
                commit,
                number=number,
                criteria=briefs.criteria(self.assignment),
                claims=ending.evidence if ending else (),
            )
        )
        return self._judged(verdict, commit, number)

    def _judged(self, verdict: Verdict, commit: str, number: int) -> dict[str, Any]:
        """All that follows from *verdict*, fixed now: a later version may word things otherwise, and the clock goes on."""
        blobs, limit = self.machines.blobs, self.assignment.send_back
        ending = self._live().state.ending
        self.knowledge.proof(verdict, number, summary=ending.text if ending else "", commit=commit)
        reasons = "\n\n".join(verdict.reasons)
        prompt = "external/sent_back" if self.assignment.agent else "developer/sent_back"
        words = render(prompt, count=str(number + 1), limit=str(limit), reasons=reasons).text
        return {
            "verdict": blobs.put(verdicts.dump_json(verdict)),
            "words": blobs.put(words.encode("utf-8", "replace")),
            "commit": commit,
            "when": int(self.machines.now()),
        }

    async def _export(self) -> str:
        """The work as it is at the newest snapshot, as a commit in the hub."""
        workplace = self._live().workplace
        workspace = await workplace.stand_at(self.snapshot)
        workplace.touched()
        return await export(
            workspace, hub=self.hub, folder=self.folder, base=self.assignment.base_commit, ref=self.incoming
        )

    async def _land(self, judged: dict[str, Any]) -> dict[str, Any]:
        landed = await self.waiting.attempt("land", lambda: self._landed(judged))
        author = landed["author"]
        self._tell(
            event.CommitMade(
                run=self.run, commit=landed["commit"], tree=landed["tree"], branch=landed["branch"], author=author
            )
        )
        self._tell(
            event.PullRequestOpened(
                run=self.run,
                number=landed["number"],
                branch=landed["branch"],
                target=self.assignment.target,
                title=landed["title"],
            )
        )
        await self.machines.conclude(event.RunDone(run=self.run, change=landed["number"]))
        return {"change": landed["number"], "commit": landed["commit"], "branch": landed["branch"]}

    async def _landed(self, judged: dict[str, Any]) -> dict[str, Any]:
        """The signed commit, its branch and the pull request: all by key, so that doing it again changes nothing."""
        if self.control.wanted != "run":  # said while it was being proven
            return {"wanted": self.control.wanted, "by": self.control.by}
        self._tell(event.PhaseStarted(run=self.run, phase="change"))
        landed = await asyncio.to_thread(self._land_now, judged)
        return asdict(landed)

    def _land_now(self, judged: dict[str, Any]) -> Landed:
        assignment, state, settings = self.assignment, self._live().state, self.machines.settings
        author = identity(self._live().brief.role, home=settings.home, domain=settings.identity_domain)
        verdict = verdicts.validate_json(self.machines.blobs.get(judged["verdict"]))
        if assignment.task is None or state.ending is None:
            raise AssertionError("what lands is a task that the agent finished")
        landing = Landing(
            run=self.run,
            project=assignment.project.id,
            task=assignment.task,
            spec=assignment.spec.title,
            digest=assignment.spec.digest,
            base=assignment.base_commit,
            target=assignment.target,
            incoming=judged["commit"],
            verdict=verdict,
            proof=judged["verdict"],
            summary=state.ending.text,
            when=judged["when"],
            model=assignment.worker,
            turns=state.turn,
            tokens=state.usage.input + state.usage.output,
            cost=state.cost if state.priced else None,
            findings=look_twice(self.hub, assignment.base_commit, judged["commit"], seen=state.findings),
            co_author=assignment.project.co_author,
        )
        forge = self.machines.forge
        forge.prove(
            project=landing.project, tree=verdict.tree, passed=True, verdict=landing.proof, at=float(landing.when)
        )
        return land(landing, hub=self.hub, forge=forge, author=author)

    async def _stop(self, stopped: Stopped) -> dict[str, Any]:
        """Keep the work on a branch before anything is torn down, then end."""
        branch, reason = "", stopped.reason
        if self.snapshot and self.snapshot != self.prepared.get("snapshot"):
            kept = await self.waiting.steps.step("preserve", self._preserve)
            branch = kept["branch"]
            if branch:
                self._tell(event.WorkPreserved(run=self.run, branch=branch, commit=kept["commit"]))
            else:
                reason += f" (its work is on no branch: {kept['why']}; it is in {self.folder / 'sandbox' / 'packs'})"
        if self.work is not None:
            await asyncio.to_thread(self.knowledge.end, stopped, self.work.state)
        await self.machines.conclude(
            event.RunStopped(run=self.run, why=stopped.why, reason=reason, hint=stopped.hint, branch=branch)
        )
        return {"why": stopped.why, "reason": reason, "branch": branch}

    async def _preserve(self) -> dict[str, Any]:
        branch = f"nightmill/wip/{self.run}"
        try:
            commit = await self._export()
            old = await asyncio.to_thread(self.hub.resolve, f"refs/heads/{branch}")
            await asyncio.to_thread(self.hub.branch, branch, commit, expected_old=old or "")
        except (NightmillError, OSError) as error:
            return {"branch": "", "commit": "", "why": str(error)[:SAID]}
        return {"branch": branch, "commit": commit}

    # What is live

    def _start_work(self) -> Work | ExternalWork:
        """The agent's side of the run, from what `_prepare` found, in this process or in one before it."""
        if self.workplace is None:
            bundle = self.folder / "base.bundle" if self.prepared["bundle"] else None
            reach = reaches.validate_python(self.prepared.get("reach", {"hosts": ()}))
            self.workplace = self._workplace(self._base(), bundle, reach)
        assignment, brief = self.assignment, briefs.read_brief(self.machines.blobs.get(self.prepared["brief"]))
        common: dict[str, Any] = {
            "run": self.run,
            "machines": self.machines,
            "assignment": assignment,
            "brief": brief,
            "workplace": self.workplace,
            "control": self.control,
        }
        if assignment.agent is not None:
            return ExternalWork(**common, agent=assignment.agent, entrance=self.entrance, folder=self.folder)
        asking = Asking(
            run=self.run,
            role=briefs.role(brief.role),
            machines=self.machines,
            assignment=assignment,
            journal=Journal(self.folder / "replies"),
        )
        known = CheckResults(
            run=self.run,
            machines=self.machines,
            assignment=assignment,
            environment=self.prepared["environment"],
        )
        tools = developing(assignment.model)
        return Work(**common, tools=tools, asking=asking, knowledge=self.knowledge, results=known)

    def _base(self) -> Base:
        layers = tuple(Path(layer) for layer in self.prepared["layers"])
        return Base(layers=layers, hash=self.prepared["environment"], commit=self.prepared["base_commit"])

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

    def _live(self) -> Work | ExternalWork:
        if self.work is None:
            raise AssertionError("the work begins after the workspace is prepared")
        return self.work

    async def _rest(self) -> None:
        """Hold nothing while the run waits."""
        if self.work is not None:
            await self.work.forget()
        if self.workplace is not None:
            await self.workplace.leave()

    def _tell(self, told: event.Event) -> None:
        self.machines.ledger.emit(told)
