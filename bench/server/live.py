"""Viewers of runs at work: how late they hear, what that costs the server, and that nobody misses anything.

The server has a core of its own, the viewers and the runs share the others. In the middle it is killed; every viewer
comes again by itself and names what it had. In the end what each heard is laid beside the ledger, number by number.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import process
from bench.figures import Figure, Spread, spread
from bench.server.served import Served
from bench.server.viewers import Heard, Wanted, heard
from nightmill.store import Entry

__all__ = ["crowd", "each", "slow"]

RUNS, VIEWERS, RATE = 50, 200, 100
"""*RATE* is events per second of all runs together: two of each, as where a call takes half a second."""
SECONDS, KILLED, SETTLED = 60.0, 45.0, 5.0
"""Of the whole, until the server is killed, and until figures are taken."""
GOAL = 250.0
PROCESSES = 4
PEOPLE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How the server was, each second: of a core, and in MB of PSS."""

    cpu: tuple[float, ...]
    memory: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What a night of a minute left."""

    viewers: dict[str, Heard]
    load: Load
    killed: float
    back: float
    """Unix seconds of the kill, and of when it was there again; both 0.0 if it was not killed."""
    began: float


def crowd(folder: Path) -> Iterator[Figure]:
    """Everybody watches everything, as with the first page open."""
    served = Served(folder, core=1)
    after, tokens, ids = _set_up(served)
    wanted = [Wanted(name=f"v{at}", token=tokens[at % PEOPLE], after=after, ends=len(ids)) for at in range(VIEWERS)]
    night = _night(served, _shared_out(wanted), kill=True)
    yield from _figures(served, night, after, f"{VIEWERS} who watch all of {RUNS} runs")


def each(folder: Path) -> Iterator[Figure]:
    """Each watches one run."""
    served = Served(folder, core=1)
    after, tokens, ids = _set_up(served)
    wanted = [
        Wanted(name=f"v{at}", token=tokens[at % PEOPLE], after=after, run=ids[at % RUNS]) for at in range(VIEWERS)
    ]
    night = _night(served, _shared_out(wanted), kill=True)
    yield from _figures(served, night, after, f"{VIEWERS} who watch one run each")


def slow(folder: Path) -> Iterator[Figure]:
    """Forty take nothing for most of the time, of events of 20 kB; ten read."""
    served = Served(folder, core=1)
    after, tokens, ids = _set_up(served)
    deaf = {f"v{at}": 50.0 if at < 40 else 0.0 for at in range(50)}
    wanted = [
        Wanted(name=name, token=tokens[at % PEOPLE], after=after, ends=len(ids), deaf=seconds)
        for at, (name, seconds) in enumerate(deaf.items())
    ]
    # Those who read have a process of their own: they are not to wait for what the others take in at the end.
    night = _night(served, [wanted[40:]], behind=_shared_out(wanted[:40]), kill=False, size=20_000)
    _hold(served, night, after)
    quick = _latencies([night.viewers[name] for name, seconds in deaf.items() if not seconds], night)
    gone = [night.viewers[name].let_go for name, seconds in deaf.items() if seconds]
    yield Figure(
        name="10 readers beside 40 that take nothing: event to viewer, p95", unit=" ms", values=_at(quick, 0.95), goal=GOAL,
    )  # fmt: skip
    yield Figure(
        name="of the 40, let go, come again and with every event in the end", unit="", goal=40.0, floor=True,
        values=spread([float(sum(count > 0 for count in gone))]),
    )  # fmt: skip
    yield _memory(night, "memory beside readers that take nothing, PSS")


def _set_up(served: Served) -> tuple[int, list[str], list[str]]:
    tokens, ids = served.let_in(PEOPLE), served.runs(RUNS)
    served.start()
    return served.door.ledger.last(), tokens, ids


def _shared_out(wanted: Sequence[Wanted]) -> list[Sequence[Wanted]]:
    return [wanted[at::PROCESSES] for at in range(PROCESSES)]


def _night(
    served: Served,
    groups: Sequence[Sequence[Wanted]],
    *,
    behind: Sequence[Sequence[Wanted]] = (),
    kill: bool,
    size: int = 100,
) -> Night:
    """Watch what each of *groups* wants, a process for each, for `SECONDS`, with a kill in the middle or without.

    What those *behind* take in at the end takes no time of the others here: they would be on machines of their own.
    """
    began = killed = back = 0.0
    with ExitStack() as stack:
        viewers = [stack.enter_context(_viewers(served, each)) for each in groups]
        viewers += [stack.enter_context(_viewers(served, each, nice=19)) for each in behind]
        for each in viewers:
            assert each.stdout is not None
            assert each.stdout.readline() == "watching\n"
        watch = _Watch(served)
        began = time.time()
        words = [str(served.folder / "home"), str(RUNS), str(RATE), str(SECONDS), str(size)]
        runs = stack.enter_context(_python("runs", *words))
        if kill:
            time.sleep(KILLED)
            killed = time.time()
            served.kill()
            served.start()
            back = time.time()
        assert runs.wait(SECONDS + 120) == 0
        for each in viewers:
            assert each.wait(180) == 0
        load = watch.end()
        served.stop()
    found = {each.name: heard(served.folder, each.name) for wanted in [*groups, *behind] for each in wanted}
    return Night(viewers=found, load=load, killed=killed, back=back, began=began)


def _viewers(served: Served, wanted: Sequence[Wanted], *, nice: int = 0) -> subprocess.Popen[str]:
    started = _python("viewers", str(served.port), str(served.folder), nice=nice)
    assert started.stdin is not None
    started.stdin.write(json.dumps([asdict(each) for each in wanted]))
    started.stdin.close()
    return started


def _python(module: str, *words: str, nice: int = 0) -> subprocess.Popen[str]:
    command = [
        "nice",
        f"-n{nice}",
        "taskset",
        "--cpu-list",
        "0",
        sys.executable,
        "-m",
        f"bench.server.{module}",
        *words,
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class _Watch:
    """Looks at the server each second, also at the one that comes after a kill."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.cpu: list[float] = []
        self.memory: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> Load:
        """Stop looking."""
        self._over.set()
        self._thread.join()
        return Load(cpu=tuple(self.cpu), memory=tuple(self.memory))

    def _look(self) -> None:
        pid, used = 0, 0.0
        while not self._over.wait(1.0):
            try:
                now = process.cpu(self.served.pid)
                held = process.memory(self.served.pid).pss
            except (OSError, KeyError, IndexError):
                continue  # between its end and the next
            if self.served.pid == pid:
                self.cpu.append(now - used)
                self.memory.append(held)
            pid, used = self.served.pid, now


def _figures(served: Served, night: Night, after: int, name: str) -> Iterator[Figure]:
    count = _hold(served, night, after)
    late = _latencies(list(night.viewers.values()), night)
    for share, goal in ((0.5, None), (0.95, GOAL), (0.99, None)):
        detail = f"{len(late):,} of {count:,} heard" if share == 0.5 else ""
        yield Figure(
            name=f"{name}: event to viewer, p{share * 100:.0f}",
            unit=" ms",
            values=_at(late, share),
            goal=goal,
            detail=detail,
        )
    yield Figure(name=f"{name}: of its core", unit=" %", values=spread(night.load.cpu[5:40], scale=100))
    yield _memory(night, f"{name}: memory, PSS")
    resumed = [_resumed(each, night) for each in night.viewers.values()]
    detail = (
        f"killed with -9 and there again in {night.back - night.killed:.1f} s; every number of the ledger once, by all"
    )
    yield Figure(
        name=f"{name}: from the kill until all is heard that happened meanwhile",
        unit=" s",
        values=spread(resumed),
        detail=detail,
    )


def _hold(served: Served, night: Night, after: int) -> int:
    """How many events were heard by all; each by whom it was for, once, in order.

    Raises:
        AssertionError: If one was missed or came twice.
    """
    every = served.door.ledger.read(after=after)
    for name, each in night.viewers.items():
        wanted = json.loads((served.folder / f"{name}.json").read_text())["wanted"]
        should = [entry.seq for entry in every if _is_for(entry, wanted["run"])]
        assert list(each.ids) == should, f"{name} heard {len(each.ids)} of {len(should)}"
    return sum(len(each.ids) for each in night.viewers.values())


def _is_for(entry: Entry, run: str) -> bool:
    return run in {"", entry.run}


def _latencies(viewers: Sequence[Heard], night: Night) -> list[float]:
    """Milliseconds from when it was told to when it was heard, oldest viewer first, of what was heard live."""
    until = night.killed - 1 if night.killed else night.began + SECONDS
    return [
        (here - at) * 1000
        for each in viewers
        for at, here in zip(each.at, each.here, strict=True)
        if night.began + SETTLED < at < until
    ]


def _at(values: Sequence[float], share: float) -> Spread:
    ordered = sorted(values)
    return spread([ordered[min(len(ordered) - 1, int(len(ordered) * share))]])


def _memory(night: Night, name: str) -> Figure:
    held = night.load.memory
    detail = f"after 5 s {held[5]:.0f} MB, at the end {held[-1]:.0f} MB"
    return Figure(name=name, unit=" MB", values=spread(held), goal=200.0, detail=detail)


def _resumed(each: Heard, night: Night) -> float:
    """Seconds from the kill until it had all that was told before the server was there again."""
    return max(here for at, here in zip(each.at, each.here, strict=True) if at < night.back) - night.killed
