"""A stage for each test: a small project taken in, its home as new, and nothing left running afterwards."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.stage import SCRIPTED, Stage, descendants
from tests.acceptance.adopting import adopting
from tests.conftest import Scripted
from tests.halting import Halting
from tests.server.conftest import House, served
from tests.whole import Mill, adopted


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The stage that all tests of this process share: taking a project in takes its second only once."""
    if not SCRIPTED.is_file():
        pytest.skip(f"the scripted model is not at {SCRIPTED} (set NIGHTMILL_SHARED)")
    stage = Stage(tmp_path_factory.mktemp("acceptance") / "s")
    with adopting():
        stage.build()
    stage.keep()
    clear(stage)
    return stage


@pytest.fixture
def stage(built: Stage) -> Iterator[Stage]:
    """The stage as new; whatever the test leaves running is killed."""
    with adopting():
        before = list(descendants())
        built.renew()
        yield built
        built.end(but=before)
    clear(built)


@pytest.fixture
def mill(model: Scripted | Halting, tmp_path: Path) -> Mill:
    """An installation with a project and a spec, whose model is the *model* that the test has."""
    return adopted(tmp_path, model.url)


@pytest.fixture
def house(mill: Mill) -> Iterator[House]:
    """A server of the store of *mill*, by the clock of its workers."""
    with mill.door() as door, served(door, clock=time.time) as made:  # type: ignore[arg-type]  # it is only called
        yield made


def clear(stage: Stage) -> None:
    """No settings but the usual ones: neither of the environment nor of the operator's folder."""
    stage.settings = {"TMPDIR": str(stage.folder), "ANTHROPIC_API_KEY": "key"}
    (stage.folder / "said.log").unlink(missing_ok=True)
    shutil.rmtree(stage.folder / "nightmill", ignore_errors=True)
