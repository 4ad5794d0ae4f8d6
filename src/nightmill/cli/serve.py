"""The worker as a process: made here, because only a door reads the environment."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightmill.cli.door import Door
    from nightmill.line.machines import Machines
    from nightmill.model.connect import Client
    from nightmill.sandbox import Sandboxes

__all__ = ["ensure", "machines", "serve"]

LEAST = 8
"""Megabytes with which interrupted runs go on."""

LEFT_OVER = 60.0
"""Seconds after which a bubblewrap that has begun nothing is one that a killed worker left."""

IDLE = 60.0
"""Seconds after which a worker that `run` started ends when there is nothing to do."""


def ensure(door: Door) -> None:
    """Start a worker beside this process if none is alive; it outlives the terminal and ends when it is idle."""
    if door.alive():
        return
    log = door.settings.home / "worker.log"
    with log.open("ab") as out:
        subprocess.Popen(
            [sys.executable, "-m", "nightmill.cli", "worker", "--until-idle", str(IDLE)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            start_new_session=True,
            env={**os.environ, "NIGHTMILL_HOME": str(door.settings.home)},
        )


def serve(door: Door, *, until_idle: float | None, succeed: Callable[[Door], None] = ensure) -> None:
    """Be a worker until told to stop, or idle.

    Who asks for a run while an idle worker ends still sees it alive and starts none: *succeed* gives it one.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It has said good-bye by now: whoever asks later starts a worker, whoever asked before is seen here.
    if asyncio.run(_serve(door, until_idle)) and any(not run.parent for run in door.runs.queued()):
        succeed(door)


async def _serve(door: Door, until_idle: float | None) -> bool:
    """Be a worker; whether it ended because it was idle."""
    from nightmill.cli.door import STALE
    from nightmill.cli.screen import say
    from nightmill.durable import Bounds, Engine, Recovery
    from nightmill.line.worker import Worker
    from nightmill.model.connect import client
    from nightmill.store.workers import Workers

    main = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, main.cancel if main else lambda: None)
    name = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(2)}"
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(client(door.settings))
        made = machines(door, name=name, http=http)
        worker = Worker(made)
        _look_ahead(made.sandboxes, stack)
        url = door.settings.store or f"sqlite:///{door.settings.home / 'engine.db'}"
        stack.callback(made.close)
        engine = await Engine.launch(
            url, executor_id=name, workflows=worker.workflows, bounds=Bounds(concurrency=door.settings.workers)
        )
        ready = partial(_roomy, door)
        recovery = Recovery(engine, Workers(door.database), stale_seconds=STALE, ready=ready)
        stack.push_async_callback(recovery.leave)
        stack.push_async_callback(engine.close)
        await recovery.join(version="1")
        say(f"worker {name} takes up runs of {door.settings.home}; Ctrl-C stops it, and the next one goes on")
        try:
            await worker.serve(engine, until_idle=until_idle)
        except asyncio.CancelledError:
            logging.getLogger(__name__).warning("worker %s stops; what it had goes on with the next", name)
            return False
    return True


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
