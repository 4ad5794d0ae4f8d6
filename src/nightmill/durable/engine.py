"""The durable engine: runs that survive their worker. The only module, with `queue`, that knows DBOS."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar, cast

from dbos import DBOS, SetWorkflowID, WorkflowHandleAsync, error
from sqlalchemy.exc import SQLAlchemyError

from nightmill.durable.nouns import WAITED_FOR, Bounds, State, Stranded, states
from nightmill.durable.parking import Parking
from nightmill.durable.plain import checked, envelope_of_error, opened
from nightmill.durable.queue import QueueThread
from nightmill.durable.setting_up import VERSION, config, prepare, quiet
from nightmill.errors import EngineError, NightmillError, StoreUnavailable
from nightmill.store import AWAY

__all__ = ["Engine", "Workflow"]

Workflow = Callable[..., Awaitable[Any]]
"""A durable function: plain data in and out; between its steps it does nothing whose outcome could differ next time."""

T = TypeVar("T")


RESULT_POLL = 0.1

RECORDED = {"DBOS.recv": "receive", "DBOS.sleep": ""}
"""How steps of the engine's own are called; "" is one that is part of another."""


class Engine:
    """One per process. Made by `launch` inside the running loop, on which its workflows then run.

    `step`, `sleep`, `receive` and waiting for a child are for workflows and are checkpoints there: each is done once,
    however often the run is recovered, and must be called in the same order every time. A step's body that was under
    way when its worker died runs again: what it does outside needs a key or a read-back.

    Attributes:
        id: This executor; unique per process.
        interrupted: Runs that the store failed in midst of a step: they wait to be adopted, as if their worker had died.
        pool: Threads for the blocking work of callers. The loop's default executor is the engine's own and small.
    """

    def __init__(self, *, id: str, threads: int, log: logging.Logger) -> None:
        self.id = id
        self.log = log
        self.pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="pool")
        self.interrupted: set[str] = set()
        self._workflows: dict[str, Any] = {}
        self._queues: dict[str, QueueThread] = {}
        self._parking: Parking | None = None
        self._linger = math.inf
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    @classmethod
    async def launch(
        cls,
        url: str,
        *,
        executor_id: str,
        workflows: Mapping[str, Workflow],
        bounds: Bounds,
        log: logging.Logger | None = None,
    ) -> Self:
        """Start the engine on *url* and begin to work on what waits in its queues.

        Args:
            url: `sqlite:///path` (made if missing) or `postgresql://…`.
            executor_id: New for each process.
            workflows: By a name that is never given to another. Each has a queue of its own, so that parents that wait
                for children do not take the places of those.
            bounds: On what this process does at once.
            log: Where warnings of the engine go.

        Raises:
            EngineError: If the database cannot be opened, or an engine runs in this process already.
        """
        engine = cls(id=executor_id, threads=bounds.threads, log=log or logging.getLogger("nightmill.durable"))
        quiet(engine.log)
        try:
            prepare(url)
            dbos = DBOS(config=config(url, executor_id=executor_id, threads=bounds.threads))
            if getattr(dbos, "_launched", False):
                raise EngineError("an engine already runs in this process")
            for name, body in workflows.items():
                engine._workflows[name] = DBOS.workflow(name=name, max_recovery_attempts=bounds.recoveries)(
                    engine._run(name, body)
                )
            DBOS.listen_queues([])
            DBOS.launch()
        except (error.DBOSException, SQLAlchemyError, OSError, sqlite3.Error) as failure:
            DBOS.destroy(destroy_registry=True)
            raise EngineError(f"the engine cannot start: {failure}", hint="see `nightmill doctor`") from failure
        engine._parking, engine._linger = Parking(dbos, executor=executor_id), bounds.linger
        if bounds.concurrency:
            engine._queues = {
                name: QueueThread(dbos, _queue(name), url=url, concurrency=bounds.concurrency) for name in workflows
            }
        return engine

    async def start(self, run: str, workflow: str, *args: Any) -> None:
        """Put the run *run* of *workflow* in its queue; a second start with the same id changes nothing.

        Called in a workflow, the run is its child.

        Raises:
            EngineError: If there is no such workflow or *args* are not plain data.
        """
        if workflow not in self._workflows:
            raise EngineError(f"there is no workflow {workflow!r}")
        checked(list(args), what=f"the arguments of run {run!r}")
        try:
            with SetWorkflowID(run):
                await DBOS.enqueue_workflow_async(_queue(workflow), self._workflows[workflow], *args)
        except (error.DBOSException, SQLAlchemyError) as failure:
            raise _failed(failure) from failure
        if workflow in self._queues:
            self._queues[workflow].bell.ring()

    async def step(self, name: str, body: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run ``body(*args)`` as a checkpoint of the calling workflow and return its plain result.

        Recovered runs get the stored result, or the stored error, without running it.

        Raises:
            NightmillError: What *body* raised, as the class that it was.
            EngineError: If it raised anything else, or returned what is not plain data of at most 64 kB.
            CancelledError: If the store is away: the run is `interrupted`, and nothing is recorded.
        """
        if DBOS.workflow_id is None:
            raise EngineError(f"step {name!r} was called outside a workflow")

        async def recorded() -> dict[str, Any]:
            return await self._envelope(body(*args), what=f"the result of step {name!r}")

        try:
            return opened(await DBOS.run_step_async({"name": name}, recorded))
        except AWAY as failure:
            raise self._interrupt(failure) from failure

    async def sleep(self, seconds: float) -> None:
        """Sleep; a recovered run sleeps only what is left."""
        await DBOS.sleep_async(seconds)

    async def receive(self, topic: str, seconds: float) -> Any:
        """The next message on *topic* of the calling workflow; None when none came within *seconds*.

        The time counts on while no worker is alive. A run that waits for long is parked: it leaves this process, and
        whichever worker takes it up again comes back to here.

        Raises:
            CancelledError: If the run is parked, or the store is away; nothing is recorded.
        """
        run = cast("str", DBOS.workflow_id)
        message = asyncio.ensure_future(DBOS.recv_async(topic, timeout_seconds=seconds))
        try:
            while not (await asyncio.wait({message}, timeout=self._linger))[0]:
                if await self.off_loop(self._rows.park, run, topic):
                    raise self._parked(run)
            found = message.result()
        except AWAY as failure:
            raise self._interrupt(failure) from failure
        finally:
            if not message.cancel() and not message.cancelled():
                message.exception()  # of a run that is parked: that it may not write any more
        return None if found is None else opened(found)

    async def send(self, run: str, topic: str, body: Any, *, key: str) -> None:
        """Send *body* to *run*, whether it waits for it yet or not; a second message with the same *key* is dropped.

        A run that is parked comes back to its queue. Who dies between the two is to send again.

        Raises:
            EngineError: If there is no such run or *body* is not plain data.
        """
        checked(body, what=f"the message to {run!r}")
        try:
            await DBOS.send_async(run, {"value": body}, topic, idempotency_key=f"{run}/{key}")
            await self.off_loop(self._rows.wake, run)
        except (error.DBOSException, SQLAlchemyError) as failure:
            raise _failed(failure) from failure

    async def result(self, run: str) -> Any:
        """Wait for *run* to end and return its result. In a workflow this is a step; it is parked while its child is.

        Raises:
            NightmillError: What the run raised, as the class that it was.
            EngineError: If it was cancelled or given up, or raised anything else.
        """
        if DBOS.workflow_id is not None and DBOS.step_id is None:
            return await self.step(f"result of {run}", self._wait, run, DBOS.workflow_id)
        return await self._wait(run)

    async def checkpoints(self, run: str) -> list[tuple[str, Any]]:
        """The name and the result of each step of *run* by now, in order; what it received is called "receive".

        Raises:
            EngineError: If there is no such run any more.
        """
        try:
            found = await DBOS.list_workflow_steps_async(run)
        except (error.DBOSException, SQLAlchemyError) as failure:
            raise _failed(failure) from failure
        return [
            (name, opened(each["output"]) if each["output"] else None)
            for each in found
            if (name := RECORDED.get(each["function_name"], each["function_name"]))
            and not each["error"]
            and "error" not in (each["output"] or ())  # of a step that failed there is no result, and nothing after it
        ]

    async def status(self, run: str) -> State:
        """Where *run* is for the engine; "ended" says nothing of how."""
        return states[await self._state(run)]

    async def cancel(self, run: str) -> None:
        """End *run* at its next checkpoint; at once, if this process works on it."""
        await DBOS.cancel_workflow_async(run)
        task = self._tasks.get(run)
        if task is not None:
            task.cancel()

    async def adopt(self, executors: Sequence[str]) -> list[str]:
        """Give the runs of the dead *executors* back to their queues; return them. Safe to repeat and to race."""
        # Private in dbos 3.4: tests/durable fails loudly if an upgrade moves it.
        handles = await self.off_loop(DBOS._recover_pending_workflows, list(executors))  # noqa: SLF001 - see above
        for queue in self._queues.values():
            queue.bell.ring()
        return [handle.get_workflow_id() for handle in handles]

    async def holds(self, executor: str) -> list[str]:
        """Runs that *executor* was last seen to work on and that are not over."""
        found = await DBOS.list_workflows_async(
            executor_id=executor, status="PENDING", load_input=False, load_output=False
        )
        return [each.workflow_id for each in found]

    async def stranded(self) -> list[Stranded]:
        """Runs that no worker of this version will go on with."""
        open_states = ["PENDING", "ENQUEUED", "DELAYED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
        found = await DBOS.list_workflows_async(status=open_states, load_input=False, load_output=False)
        reasons = [(each, self._reason(each)) for each in found]
        return [
            Stranded(run=each.workflow_id, reason=reason, over=states.get(each.status) == "given up")
            for each, reason in reasons
            if reason
        ]

    async def taken_up_again(self, run: str) -> bool:
        """Whether a worker lost *run* since it began, or was last parked."""
        return await self.off_loop(self._rows.taken_up, run) > 1

    async def drop(self, *, seconds: float = 10.0) -> None:
        """Cancel what this process works on, without ending the runs, and wait until their clean-up is done."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def off_loop(self, work: Callable[..., T], *args: Any) -> T:
        """Run blocking *work* in `pool`."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, partial(work, *args))

    async def close(self, *, seconds: float = 10.0) -> None:
        """Stop: nothing new is started, what runs is dropped and can be adopted by others.

        Each of its parts is waited for at most *seconds*.
        """
        for queue in self._queues.values():
            await self.off_loop(partial(queue.stop, seconds=seconds))
        await self.drop(seconds=seconds)
        try:
            await asyncio.wait_for(self.off_loop(partial(DBOS.destroy, destroy_registry=True)), seconds)
        except TimeoutError:
            self.log.warning("the engine did not stop within %s s", seconds)
        # DBOS leaves the loop with its own executor, which is shut down now.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        self.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _rows(self) -> Parking:
        if self._parking is None:
            raise EngineError("the engine is not launched")
        return self._parking

    def _parked(self, run: str) -> asyncio.CancelledError:
        """Give what ends the calling workflow with nothing recorded."""
        self.log.info("run %s is parked", run)
        return asyncio.CancelledError(f"run {run} is parked")

    def _run(self, name: str, body: Workflow) -> Workflow:
        async def run(*args: Any) -> dict[str, Any]:
            identity = cast("str", DBOS.workflow_id)
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._tasks[identity] = task
            self.interrupted.discard(identity)
            # Until the whole task is over, not only this body: the outcome is written after it.
            task.add_done_callback(lambda _: self._forget(identity, task))
            return await self._envelope(body(*args), what=f"the result of workflow {name!r}")

        return run

    def _forget(self, run: str, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(run) is task:
            del self._tasks[run]
        # Its outcome is written after its end.
        if not task.cancelled() and isinstance(task.exception(), AWAY):
            self.interrupted.add(run)

    def _interrupt(self, failure: BaseException) -> asyncio.CancelledError:
        """Give what ends the calling workflow with nothing recorded."""
        self.interrupted.add(cast("str", DBOS.workflow_id))
        self.log.warning("run %s is interrupted, the store is away: %s", DBOS.workflow_id, _cause(failure))
        return asyncio.CancelledError(f"the store is away: {_cause(failure)}")

    async def _envelope(self, awaited: Awaitable[Any], *, what: str) -> dict[str, Any]:
        # A cancellation and the engine's own stops are no Exceptions: they pass, and nothing is recorded.
        try:
            return {"value": checked(await awaited, what=what)}
        except AWAY as failure:
            raise self._interrupt(failure) from failure
        except Exception as failure:
            ours = _leaf(failure)
            if ours is None:
                self.log.exception("%s cannot be had", what)
                ours = EngineError(
                    f"{what} cannot be had: {type(failure).__name__}: {failure}", hint="see the worker's log"
                )
            return envelope_of_error(ours)

    async def _state(self, run: str) -> str:
        found = await DBOS.get_workflow_status_async(run)
        return "" if found is None else found.status

    async def _wait(self, run: str, parent: str = "") -> Any:
        try:
            # One of this process says itself that it is over; only the database knows of others.
            while (task := self._tasks.get(run)) or (state := await self._state(run)) in WAITED_FOR:
                if task:
                    await asyncio.wait({task})
                elif parent and state == "DELAYED" and await self.off_loop(self._rows.follow, parent, run):
                    raise self._parked(parent)
                else:
                    await asyncio.sleep(RESULT_POLL)
            handle: WorkflowHandleAsync[Any] = await DBOS.retrieve_workflow_async(run, existing_workflow=False)
            return opened(await handle.get_result(polling_interval_sec=RESULT_POLL))
        except (error.DBOSException, SQLAlchemyError) as failure:
            raise _failed(failure) from failure

    def _reason(self, found: Any) -> str:
        if found.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
            return "it was taken up again too often: its workers died, or its store was away, again and again"
        if found.app_version not in (None, VERSION):
            return f"it was started under engine version {found.app_version!r}, and this is {VERSION!r}"
        if found.name not in self._workflows:
            return f"this version has no workflow {found.name!r}"
        return ""


def _queue(workflow: str) -> str:
    return f"nightmill.{workflow}"


def _leaf(failure: Exception) -> NightmillError | None:
    # A task group wraps what failed in it.
    while isinstance(failure, ExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure if isinstance(failure, NightmillError) else None


def _cause(failure: BaseException) -> str:
    return str(getattr(failure, "orig", None) or failure)


def _failed(failure: Exception) -> EngineError:
    if isinstance(failure, AWAY):
        return StoreUnavailable(f"the store cannot be used: {_cause(failure)}", hint="is there space on its disk?")
    return EngineError(str(failure).removeprefix("DBOS Error ").lstrip("0123456789: "))
