"""A store with people, projects and what takes secrets, and the same at a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightmill.access import ACTS
from nightmill.cli.door import _uses
from nightmill.desk.door import Door
from nightmill.estate.file import identify
from nightmill.settings import load
from nightmill.store import projects
from tests.cli.conftest import Done, Here
from tests.server.conftest import House, role, served
from tests.whole import Mill

ADA = "Ada <ada@example.org>"
SHOP = identify(Path("/srv/shop"))
SECRET = "hunter2-hunter2-hunter2"


@contextmanager
def furnished(folder: Path) -> Iterator[House]:
    """A server with a store of its own, two people, two projects and what takes secrets."""
    door = Door(
        load(file={}, environment={}, flags={"home": folder, "private_hosts": ("localhost",)}),
        secrets=lambda: door.vault.values().values(),
        uses=_uses,
    )
    with served(door) as house:
        for name in (SHOP, "barn"):
            projects.keep(door.database, projects.Known(id=name, root=folder, hub=folder, added=1.0))
        house.let_in("ada@example.org", role("admin"))
        house.let_in("bob@example.org", role("viewer", SHOP))
        yield house


@pytest.fixture
def house(mill: Mill) -> Iterator[House]:
    """The server that is asked from afar."""
    with furnished(mill.folder / "afar") as made:
        yield made


@pytest.fixture
def near(here: Here, mill: Mill, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The commands on a store that holds the same."""
    monkeypatch.setenv("NIGHTMILL_PERSON", ADA)
    monkeypatch.setenv("NIGHTMILL_PRIVATE_HOSTS", "localhost")
    config = mill.folder / "config" / "settings.yaml"
    config.parent.mkdir()
    config.write_text("{}\n")
    monkeypatch.setenv("NIGHTMILL_SETTINGS", str(config))
    credentials = config.with_name("credentials.yaml")
    credentials.write_text(
        '- {name: forge, host: git.example, projects: ["*"], from: "secret:FORGE"}\n'
        '- {name: lab, host: lab.example, projects: [/srv/shop], from: "secret:LAB"}\n'
    )
    credentials.chmod(0o600)
    with furnished(mill.folder / "near"):
        pass

    def run(*words: str) -> Done:
        monkeypatch.setenv("NIGHTMILL_HOME", str(mill.folder / "near"))
        monkeypatch.setenv("NIGHTMILL_SERVER", "")
        return here(*words)

    return run


@pytest.fixture
def afar(near: Here, house: House, here: Here, mill: Mill, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The commands through the server; the home here is another one, with nothing in it."""
    ada = house.site.people.known("ada@example.org")
    assert ada is not None
    token = house.site.keys.make("terminal", owner=ada, scopes=ACTS, seconds=300 * 86_400)

    def run(*words: str) -> Done:
        monkeypatch.setenv("NIGHTMILL_HOME", str(mill.folder / "nowhere"))
        monkeypatch.setenv("NIGHTMILL_SERVER", house.url)
        monkeypatch.setenv("NIGHTMILL_TOKEN", token)
        done = here(*words)
        assert not (mill.folder / "nowhere").exists(), "something here was used"
        return done

    return run
