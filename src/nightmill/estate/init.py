"""Take a project in: look at it, write its file, build its base, measure its baseline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nightmill.estate import baseline as baselines
from nightmill.estate import environment
from nightmill.estate.detect import detect
from nightmill.estate.environment import Base, Site
from nightmill.estate.file import NAME, load, parse
from nightmill.estate.found import Detected
from nightmill.estate.nouns import Project
from nightmill.estate.write import render, write
from nightmill.repo import Hub
from nightmill.review import Baseline

__all__ = ["Initialised", "initialise"]

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """What `nightmill init` found and made. *detected* is None where an existing file was used as it is."""

    project: Project
    detected: Detected | None
    base: Base
    baseline: Baseline
    tree: str


async def initialise(
    root: Path, *, hub: Hub, commit: str, site: Site, progress: Progress, replace: bool = False
) -> Initialised:
    """Take the checkout *root*, whose *commit* is in *hub*, in.

    An existing nightmill.yaml is used as it is, unless *replace*. A new one is written before the installation is
    tried, because it is what a person has to change when that fails; nothing else in the checkout is touched.

    Raises:
        SettingsError: If the file cannot be used or the installation fails.
    """
    detected: Detected | None = None
    if replace or not (root / NAME).exists():
        files = await asyncio.to_thread(hub.files, commit)
        detected = await asyncio.to_thread(detect, root, [file.path for file in files])
        text = render(detected)
        parse(text.encode(), root=root)
        progress(f"writing {write(root, text, replace=replace)}")
    project = await asyncio.to_thread(load, root)
    base = await environment.base(project, hub=hub, commit=commit, site=site, progress=progress)
    tree = await asyncio.to_thread(hub.tree, commit)
    baseline = await baselines.make(project, base, hub=hub, commit=commit, site=site, progress=progress)
    return Initialised(project=project, detected=detected, base=base, baseline=baseline, tree=tree)
