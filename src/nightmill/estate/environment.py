"""The base of a project: one read-only layer that holds its checkout and everything its tests need.

It is built once per environment record (`record`: install lines, hosts, variables, files, tools, platform), in a
sandbox like any other, and shared by every run. The commit that it was built from is not part of the hash: `prepare`
moves a run's own checkout to the commit that the run wants.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import uv

from nightmill.errors import SandboxError, SettingsError
from nightmill.estate import agreed, install, services
from nightmill.estate.nouns import Project
from nightmill.estate.record import Record, committed
from nightmill.estate.registry import Reach, resolve
from nightmill.repo import Hub
from nightmill.sandbox import Place, Sandboxes
from nightmill.sandbox.disk.layers import freeze, remove
from nightmill.sandbox.network.credential import Credential

__all__ = [
    "BUNDLE",
    "Base",
    "Freeze",
    "Site",
    "access",
    "base",
    "build",
    "connected",
    "parcel",
    "place",
    "standing",
    "variables",
]

BUNDLE = "/mnt/nightmill/base.bundle"
"""Where a bundle is shown inside: a folder in which nothing inside can have made a link."""
REF = "refs/heads/nightmill"
PAUSE = 0.2

Freeze = Callable[[Path, Path], None]
"""Turn the upper of the closed sandbox in a directory into the layer *target*."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What this machine gives: where bases are kept and how sandboxes are made.

    Attributes:
        variables: The operator's environment, for the tools that say where packages come from; they go no further.
        allow: Hosts that the operator lets projects reach if they ask.
        credentials: What the proxy of *sandboxes* can add; each names the projects that it is for.
        image: The image that *sandboxes* show in place of this machine's /usr; "": none.
        run: In whose record requests of an installation go; "": nobody's.
        before: Words that every install line is started with, such as `nice`.
    """

    home: Path
    sandboxes: Sandboxes
    variables: Mapping[str, str] = field(default_factory=dict)
    freeze: Freeze = freeze
    allow: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    image: str = ""
    run: str = ""
    before: tuple[str, ...] = ()

    def names(self, project: str) -> tuple[str, ...]:
        """The ids of the credentials that sandboxes of *project* may use."""
        return tuple(each.id for each in self.credentials if each.serves(project))


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Layers for `Place`, lowest first; their checkout stands at *commit*.

    *drift* says how the environment differs from the one that people agreed on.
    """

    layers: tuple[Path, ...]
    hash: str
    commit: str
    drift: tuple[str, ...] = ()


async def base(project: Project, *, hub: Hub, commit: str, site: Site, progress: Progress) -> Base:
    """The base of *project* as *commit* needs it, built if there is none yet.

    Two processes that want the same one do not build it twice; a build that fails or dies leaves nothing.

    Raises:
        SettingsError: If an install line fails; the message holds the end of its output. If the environment is not
            the one that the commit's environment.lock.json agreed on.
        SandboxError: If the sandbox or the disk fails.
    """
    now = await asyncio.to_thread(committed, project, hub=hub, commit=commit)
    drift = await asyncio.to_thread(agreed.hold, now, hub=hub, commit=commit)
    made = await _made(project, now, hub=hub, commit=commit, site=site, progress=progress)
    return replace(made, drift=drift)


async def standing(project: Project, *, hub: Hub, commit: str, site: Site) -> bool:
    """Whether the base that *commit* needs is built already."""
    now = await asyncio.to_thread(committed, project, hub=hub, commit=commit)
    return _built(site.home / "projects" / project.id / "bases", _key(now, site)) is not None


async def _made(project: Project, now: Record, *, hub: Hub, commit: str, site: Site, progress: Progress) -> Base:
    """The base that *now* records, built if there is none."""
    key = _key(now, site)
    folder = site.home / "projects" / project.id / "bases"
    folder.mkdir(parents=True, exist_ok=True)
    if found := _built(folder, key):
        return found
    async with alone(folder / f"{key}.lock", progress):
        if found := _built(folder, key):
            return found
        for stale in folder.glob(f".{key}-*"):
            await asyncio.to_thread(remove, stale)
        work = folder / f".{key}-{secrets.token_hex(4)}"
        try:
            reach = await build(project, hub=hub, commit=commit, site=site, work=work, progress=progress)
            written = {"hash": key, "project": project.id, "commit": commit, "reached": list(reach.hosts)}
            text = json.dumps({**written, "record": now.plain()}, indent=2) + "\n"
            (work / "done" / "record.json").write_text(text, encoding="utf-8")
            (work / "done").rename(folder / key)
        except OSError as error:
            why = f"the environment of {project.id!r} cannot be kept: {error.strerror or error}"
            raise SandboxError(why, hint="is there space on the disk of nightmill's home?") from error
        finally:
            await asyncio.to_thread(remove, work)
    return Base(layers=(folder / key / "layer",), hash=key, commit=commit)


def variables(project: Project) -> dict[str, str]:
    """Variables of every command in a sandbox of *project*: what its language and its services need, and what it sets."""
    ours = {"PATH": "/work/env/bin:/opt/nightmill/bin:/usr/bin:/bin"}
    if project.language == "python":
        # Byte code would make every snapshot larger and can outlive the source that it came from.
        ours |= {"VIRTUAL_ENV": "/work/env", "PYTHONDONTWRITEBYTECODE": "1"}
    for service in reversed(project.services):
        ours |= service.variables
    return ours | project.environment.env


def place(project: Project, found: Base, *, directory: Path, files: Mapping[str, Path] | None = None) -> Place:
    """Where a run of *project* works: its own folder over the base, without any network."""
    return Place(
        directory=directory,
        layers=found.layers,
        tools={"uv": Path(uv.find_uv_bin())},
        files=files or {},
        env=variables(project),
        requires=frozenset(project.requires),
        quota=project.disk,
    )


async def access(project: Project, *, site: Site) -> Reach:
    """What agents' commands in *project* may reach on this machine.

    Raises:
        SettingsError: If the operator does not allow it, or a preset's tool does not say.
    """
    wanted = project.network
    if not set(wanted.inspect) <= set(wanted.hosts):
        raise SettingsError("`network.inspect` names what is not in `network.hosts`", hint="add it there, too")
    reach = await resolve(wanted.hosts, environment=site.variables, allow=site.allow)
    inspected = await resolve(wanted.inspect, environment=site.variables, allow=site.allow)
    return replace(reach, inspect=inspected.hosts)


def connected(place: Place, reach: Reach, *, project: Project, site: Site) -> Place:
    """*place* with the network that *reach* describes."""
    return replace(
        place,
        run=site.run,
        hosts=reach.hosts,
        inspect=reach.inspect,
        credentials=site.names(project.id),
        env={**place.env, **reach.env},
    )


def parcel(hub: Hub, found: Base, *, commit: str, target: Path) -> bool:
    """Write to *target* the bundle that `install.prepare` needs on *found*; False: none is needed."""
    if commit == found.commit:
        return False
    known = hub.resolve(found.commit)
    if known and hub.contains(commit=known, ancestor=commit):
        return False
    hub.bundle(target, tips={REF: commit}, exclude=[known] if known else [])
    return True


async def build(project: Project, *, hub: Hub, commit: str, site: Site, work: Path, progress: Progress) -> Reach:
    """Make the layer *work*/done/layer for *project* at *commit*, and say what the installation could reach.

    Raises:
        SettingsError: If an install line fails; the message holds the end of its output.
        SandboxError: If the sandbox or the disk fails.
    """
    for name in ("run", "done"):
        (work / name).mkdir(parents=True)
    bundle = work / "base.bundle"
    await asyncio.to_thread(hub.bundle, bundle, tips={REF: commit})
    reach = await _reach(project, site, progress)
    where = Place(
        directory=work / "run",
        layers=(),
        tools={"uv": Path(uv.find_uv_bin())},
        files={BUNDLE: bundle},
        env=variables(project),
        requires=frozenset(project.requires),
        quota=project.disk,
    )
    workspace = await site.sandboxes.open(connected(where, reach, project=project, site=site))
    try:
        progress("checking out")
        await install.check_out(workspace, bundle=BUNDLE, commit=commit)
        lines, settings = project.environment.install, install.SETTINGS
        await install.install(workspace, lines, env=settings, before=site.before, progress=progress)
        await services.fill(workspace, project.services, env=settings, progress=progress)
        await install.settle(workspace)
    finally:
        await workspace.close()
    progress("keeping it as a layer")
    await asyncio.to_thread(site.freeze, work / "run", work / "done" / "layer")
    return reach


async def _reach(project: Project, site: Site, progress: Progress) -> Reach:
    if not project.environment.install or not project.environment.hosts:
        return Reach(hosts=())
    reach = await resolve(project.environment.hosts, environment=site.variables, allow=site.allow)
    progress(f"installing may reach {', '.join(reach.hosts)}")
    return reach


def _key(now: Record, site: Site) -> str:
    """The name of the base that *now* records: what was installed for one system does not run on another."""
    return now.hash if not site.image else hashlib.sha256(f"{now.hash} {site.image}".encode()).hexdigest()[:32]


def _built(folder: Path, key: str) -> Base | None:
    try:
        written = json.loads((folder / key / "record.json").read_text(encoding="utf-8"))
        return Base(layers=(folder / key / "layer",), hash=key, commit=written["commit"])
    except (OSError, ValueError, KeyError):
        return None


@asynccontextmanager
async def alone(path: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold the lock file *path*. Asked for again and again, because a thread that waits cannot be cancelled."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    told = False
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress("another process builds this environment: waiting for it")
                told = True
                await asyncio.sleep(PAUSE)
        yield
    finally:
        os.close(lock)
