"""Whether an environment is reproducible: built twice, in sandboxes of their own, and compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nightmill.estate import environment
from nightmill.estate.compare import Comparison, compare
from nightmill.estate.environment import Site
from nightmill.estate.nouns import Project
from nightmill.repo import Hub
from nightmill.sandbox.disk.layers import remove

__all__ = ["verify"]

NAMES = ("first", "second")

Progress = Callable[[str], None]


async def verify(project: Project, *, hub: Hub, commit: str, site: Site, progress: Progress) -> Comparison:
    """Build the environment of *project* at *commit* twice, one after the other, and compare the two layers.

    Neither becomes a base; both are gone afterwards.

    Raises:
        SettingsError: If an install line fails.
        SandboxError: If the sandbox or the disk fails.
    """
    verified = site.home / "projects" / project.id / "verified"
    verified.mkdir(parents=True, exist_ok=True)
    async with environment.alone(verified.with_suffix(".lock"), progress):
        # Whoever left something here is dead.
        await asyncio.to_thread(remove, verified)
        try:
            for name in NAMES:
                progress(f"the {name} build")
                (verified / name).mkdir(parents=True)
                await environment.build(
                    project, hub=hub, commit=commit, site=site, work=verified / name, progress=progress
                )
            progress("comparing")
            return await asyncio.to_thread(compare, *(verified / name / "done" / "layer" for name in NAMES))
        finally:
            await asyncio.to_thread(remove, verified)
