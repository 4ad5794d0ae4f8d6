"""Whether an environment is reproducible: built twice, in sandboxes of their own, and compared."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from nightmill.estate import environment
from nightmill.estate.compare import Comparison, compare
from nightmill.estate.environment import Site
from nightmill.estate.nouns import Project
from nightmill.repo import Hub
from nightmill.sandbox.layers import remove

__all__ = ["verify"]

Progress = Callable[[str], None]


async def verify(project: Project, *, hub: Hub, commit: str, site: Site, progress: Progress) -> Comparison:
    """Build the environment of *project* at *commit* twice, one after the other, and compare the two layers.

    Neither becomes a base; both are gone afterwards.

    Raises:
        SettingsError: If an install line fails.
        SandboxError: If the sandbox or the disk fails.
    """
    folder = site.home / "projects" / project.id / "verified" / secrets.token_hex(8)
    try:
        for name in ("first", "second"):
            progress(f"the {name} build")
            (folder / name).mkdir(parents=True)
            await environment.build(project, hub=hub, commit=commit, site=site, work=folder / name, progress=progress)
        progress("comparing")
        first, second = (folder / name / "done" / "layer" for name in ("first", "second"))
        return await asyncio.to_thread(compare, first, second)
    finally:
        await asyncio.to_thread(remove, folder)
