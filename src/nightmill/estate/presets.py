"""Services that nightmill knows how to run with the programs of this machine, each with settings for throw-away data.

The settings keep snapshots small and exact: what a client was told is written is in the files when the sandbox is held
still. Nothing is flushed to the disk, because no data here outlives a snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from nightmill import sandbox
from nightmill.estate.nouns import Service

__all__ = ["PRESETS", "find", "lacking", "preset"]

DATA = "/work/services"

POSTGRES = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '/tmp'
fsync = off
shared_buffers = 32MB
max_wal_size = 32MB
min_wal_size = 2MB
log_checkpoints = off
"""

POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/bin",
    "/usr/local/bin",
)
REDIS_FOLDERS = ("/usr/bin", "/usr/local/bin", "/usr/sbin")
REDIS_PROGRAMS = (("redis-server", "redis-cli"), ("valkey-server", "valkey-cli"))

PACKAGES = {
    "postgres": "PostgreSQL's server (Debian and Ubuntu: `apt install postgresql`; Fedora: `dnf install postgresql-server`)",
    "redis": "Redis or Valkey (Debian and Ubuntu: `apt install redis-server`; Fedora: `dnf install valkey`)",
}


def find(use: str, *, root: Path = Path("/")) -> tuple[str, ...]:
    """The programs of the preset *use* where a sandbox sees them, below *root*; empty: they are not there."""
    found = next(FINDERS[use](root), ())
    return tuple(f"/{each.relative_to(root)}" for each in found)


def lacking(use: str) -> str:
    """What to install for the preset *use*."""
    return PACKAGES[use]


def preset(use: str, *, name: str, port: int = 0, root: Path = Path("/")) -> Service | None:
    """The preset *use* as the service *name* on *port* (0: the usual one); None if its programs are not below *root*."""
    programs = find(use, root=root)
    return PRESETS[use](name, port, programs) if programs else None


def _postgres(name: str, port: int, programs: tuple[str, ...]) -> Service:
    server, initdb, asks = programs
    port, data = port or 5432, f"{DATA}/{name}"
    init = f"{initdb} -D {data} -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --wal-segsize=1 --no-sync"
    settings = f"cat >>{data}/postgresql.conf <<'END'\n{POSTGRES.format(port=port)}END"
    # The process whose number a restored file holds is another's now.
    stale = f"rm -f {data}/postmaster.pid /tmp/.s.PGSQL.{port}*"
    return Service(
        program=sandbox.Service(
            name=name,
            run=f"{stale}; exec {server} -D {data}",
            ready=f"{asks} -q -h 127.0.0.1 -p {port}",
            stop="INT",
            grace=60.0,
        ),
        setup=(f"mkdir -p {DATA} && {init} >/dev/null", settings),
        variables={
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "postgres",
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{port}/postgres",
        },
    )


def _redis(name: str, port: int, programs: tuple[str, ...]) -> Service:
    server, client = programs
    port, data = port or 6379, f"{DATA}/{name}"
    # Every write goes to the append-only file before it is answered; the kernel may keep it in memory.
    kept = "--save '' --appendonly yes --appendfsync no"
    return Service(
        program=sandbox.Service(
            name=name,
            run=f"exec {server} --bind 127.0.0.1 --port {port} --dir {data} {kept}",
            ready=f'test "$({client} -h 127.0.0.1 -p {port} ping)" = PONG',
        ),
        setup=(f"mkdir -p {data}",),
        variables={"REDIS_URL": f"redis://127.0.0.1:{port}/0"},
    )


def _find_postgres(root: Path) -> Iterator[tuple[Path, ...]]:
    for pattern in POSTGRES_FOLDERS:
        for folder in sorted(root.glob(pattern.lstrip("/")), key=_version, reverse=True):
            programs = tuple(folder / each for each in ("postgres", "initdb", "pg_isready"))
            if all(each.is_file() for each in programs):
                yield programs


def _find_redis(root: Path) -> Iterator[tuple[Path, ...]]:
    for names in REDIS_PROGRAMS:
        for folder in REDIS_FOLDERS:
            programs = tuple(root / folder.lstrip("/") / each for each in names)
            if all(each.is_file() for each in programs):
                yield programs


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


PRESETS: dict[str, Callable[[str, int, tuple[str, ...]], Service]] = {"postgres": _postgres, "redis": _redis}
FINDERS: dict[str, Callable[[Path], Iterator[tuple[Path, ...]]]] = {"postgres": _find_postgres, "redis": _find_redis}
