"""The worker as a process: made here, because only a door reads the environment."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import random
import secrets
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from nightmill.cli import beside, descriptors, logs
from nightmill.cli.screen import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from nightmill.cli.door import Door
    from nightmill.durable import Engine
    from nightmill.line.machines import Machines
    from nightmill.model.connect import Client
    from nightmill.sandbox import Sandboxes

__all__ = ["end_on_signals", "machines", "serve", "worker"]

LEAST = 8
"""Megabytes with which interrupted runs go on."""

M_ARENA_MAX = -8
"""Of malloc.h."""

LEFT_OVER = 60.0
"""Seconds after which a bubblewrap that has begun nothing is one that a killed worker left."""


def worker(*, until_idle: float | None = None, on_word: bool = False) -> int:
    """Be a worker for the settings in force; if *on_word*, only when a run that is asked for on standard input is taken in.

    Gives the exit status.
    """
    from nightmill.cli.door import own_door

    _share_one_heap()
    door = own_door()
    most = door.settings.workers
    descriptors.raised(descriptors.of_worker(most), what=f"a worker of {most} runs at once")
    if not on_word:
        serve(door, until_idle=until_idle)
        return 0
    _load()
    pool = ThreadPoolExecutor(max_workers=1)
    asked = pool.submit(_taken_in, door)
    pool.shutdown(wait=False)
    serve(door, until_idle=until_idle, asked=asked)
    return 0


def _taken_in(door: Door) -> bool:
    """Do what is asked on standard input, a socket, which is nothing's then; whether that is done.

    Nothing is opened or written before: who started this process may still refuse what it is for.
    """
    from nightmill.cli import bell, porter

    with suppress(OSError, ValueError), socket.socket(fileno=os.dup(sys.stdin.fileno())) as line:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, sys.stdin.fileno())
        os.close(nothing)
        with line.makefile("rb") as said:
            asked = bell.heard(said.readline(bell.LONGEST))
        done = asked is not None and not door.alive() and porter.take(door, asked)
        line.sendall(json.dumps(bell.Answer(done)).encode() + b"\n")
        return done
    return False


def _share_one_heap() -> None:
    """Have all threads take memory from one heap: of those that glibc gives to each, every one keeps what it once held."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def _load() -> None:
    """Import all that the first run would import in midst of its work."""
    import nightmill.cli.door
    import nightmill.cli.porter
    import nightmill.durable
    import nightmill.line.worker  # noqa: F401 - it registers the workflows


def serve(
    door: Door,
    *,
    until_idle: float | None,
    succeed: Callable[[Door], None] = beside.ensure,
    asked: Future[bool] | None = None,
) -> None:
    """Be a worker until told to stop, or idle; not at all, if what was *asked* beforehand is not done.

    Who asks for a run while an idle worker ends still sees it alive and starts none: *succeed* gives it one.
    """
    logs.begin(door.hidden.text)
    # It has said good-bye by now: whoever asks later starts a worker, whoever asked before is seen here.
    if asyncio.run(_serve(door, until_idle, asked)) and any(
        not run.parent and run.wanted == "run" for run in door.runs.queued()
    ):
        succeed(door)


async def _serve(door: Door, until_idle: float | None, asked: Future[bool] | None) -> bool:
    """Be a worker; whether it ended because it was idle."""
    from nightmill.cli.door import STALE
    from nightmill.cli.porter import Porter
    from nightmill.durable import Bounds, Engine, Recovery
    from nightmill.line.worker import Worker
    from nightmill.model.connect import client
    from nightmill.store.workers import Workers

    end_on_signals()
    name = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(2)}"
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(client(door.settings))
        if asked and not await asyncio.wrap_future(asked):
            return False
        made = machines(door, name=name, http=http)
        worker = Worker(made)
        _look_ahead(made.sandboxes, stack)
        url = door.settings.store or f"sqlite:///{door.settings.home / 'engine.db'}"
        stack.callback(made.close)
        engine = await Engine.launch(
            url, executor_id=name, workflows=worker.workflows, bounds=Bounds(concurrency=door.settings.workers)
        )
        recovery = Recovery(engine, Workers(door.database), stale_seconds=STALE, ready=partial(_roomy, door))
        stack.push_async_callback(recovery.leave)
        stack.push_async_callback(engine.close)
        await recovery.join(version="1")
        leave = worker.leave if until_idle is not None else None
        await stack.enter_async_context(Porter(door, wake=worker.wake, leave=leave, off_loop=engine.off_loop))
        say(f"worker {name} takes up runs of {door.settings.home}; Ctrl-C stops it, and the next one goes on")
        _load_the_rest(engine, stack)
        try:
            await worker.serve(engine, until_idle=until_idle)
        except asyncio.CancelledError:
            logging.getLogger(__name__).warning("worker %s stops; what it had goes on with the next", name)
            return False
    return True


def end_on_signals() -> None:
    """Cancel the task that runs now when this process is told to end."""
    main = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, main.cancel if main else lambda: None)


def _load_the_rest(engine: Engine, stack: AsyncExitStack) -> None:
    """Until *stack* ends: load what only the first turn takes, while its sandbox starts."""
    from nightmill.model import price

    gc.freeze()  # what was loaded is never garbage: no collection looks at it again
    stack.callback(asyncio.create_task(engine.off_loop(price.load)).cancel)


def _look_ahead(sandboxes: Sandboxes, stack: AsyncExitStack) -> None:
    """Until *stack* ends: have the next sandbox ready, and look for what killed workers left of theirs."""
    stack.push_async_callback(sandboxes.close)
    sandboxes.ahead()
    stack.callback(asyncio.create_task(_sweeping()).cancel)


async def _sweeping() -> None:
    """End what killed workers left of their sandboxes, now and then."""
    from nightmill.sandbox.bubblewrap import bundled
    from nightmill.sandbox.orphans import sweep

    while True:
        await asyncio.to_thread(sweep, bundled(), older=LEFT_OVER)
        await asyncio.sleep(LEFT_OVER)


def _roomy(door: Door) -> bool:
    """Whether the store has space to be written: each run that is taken up in vain counts against it."""
    import shutil

    return shutil.disk_usage(door.settings.home).free >> 20 >= LEAST


def machines(door: Door, *, name: str, http: Client) -> Machines:
    """What the line works with."""
    from nightmill.cli.door import keys
    from nightmill.cli.site import make_site
    from nightmill.forge.local import LocalForge
    from nightmill.line.machines import Machines
    from nightmill.model import rates
    from nightmill.model.connect import ACCOUNTS
    from nightmill.model.gate import Gates
    from nightmill.model.route import Circuits
    from nightmill.policy import Purse
    from nightmill.repo import Hub
    from nightmill.store.accounts import Accounts
    from nightmill.store.gates import Gates as Rows

    home = door.settings.home
    site = make_site(door, emit=door.ledger.emit)
    return Machines(
        settings=door.settings,
        database=door.database,
        ledger=door.ledger,
        blobs=door.blobs,
        runs=door.runs,
        forge=LocalForge(door.database, lambda project: Hub(home / "projects" / project / "hub.git"), clock=time.time),
        sandboxes=site.sandboxes,
        site=site,
        client=http,
        keys=keys(),
        gates=Gates(
            Rows(door.database),
            worker=name,
            said=rates.read(door.settings.rates, known=ACCOUNTS),
            patience=door.settings.retry_after,
            clock=time.monotonic,
            random=random.random,
        ),
        circuits=Circuits(clock=time.monotonic, first=door.settings.park_seconds),
        purse=Purse(Accounts(door.database)),
        tools=tools(),
        clock=time.monotonic,
        now=time.time,
        worker=name,
    )


def tools() -> dict[str, Path]:
    """Programs from our own dependencies that every sandbox shows."""
    import shutil
    from pathlib import Path

    import uv

    beside = Path(sys.executable).parent
    rg = shutil.which("rg", path=str(beside)) or shutil.which("rg")
    found = {"uv": Path(uv.find_uv_bin())}
    return found | ({"rg": Path(rg)} if rg else {})
