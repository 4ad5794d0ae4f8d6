"""The OpenAPI file against the server: schemathesis asks for everything that it says, and for what it does not say.

So often for each operation as `NIGHTMILL_EXAMPLES` says: once among all tests, and many times by `make fuzz`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from nightmill.access import Person
from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.server.feed import Feed
from nightmill.server.source import LedgerSource
from nightmill.server.stretch import Wants
from nightmill.server.watcher import Watcher
from nightmill.settings import load
from nightmill.store.drafts import Drafts
from nightmill.store.keys import Keys
from tests.server.conftest import House, role
from tests.server.left import leave

EXAMPLES = int(os.environ.get("NIGHTMILL_EXAMPLES", "1"))  # noqa: TID251 - the door of the tests
SEED = "6"
RUNS = [f"{project}{number}" for project in ("rshop", "rbarn") for number in range(20)]

SETTINGS = """
generation.allow-x00 = true
request-timeout = 30.0
# What fits the schema can still be refused for what it says: a cursor that nobody gave out, a key that was used before.
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429"]
# What does not fit may be too large besides, and that is seen first.
checks.negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "406", "409", "413", "415", "422", "428", "429"]

[dictionaries.runs]
values = {runs}

[parameters]
"path.run" = {{ dictionary = "runs", probability = 0.6 }}

[headers]
{headers}
"""


class Brief(Feed):
    """A feed that lets everybody go once they have what they missed, so that each stream has an end."""

    @contextlib.contextmanager
    def watch(self, wants: Wants, *, seen: int, **named: Any) -> Iterator[Watcher]:
        with super().watch(wants, seen=seen, **named) as watcher:

            async def rest() -> bool:
                watcher.let_go()
                return True

            watcher.rest = rest  # type: ignore[method-assign]
            yield watcher


class Spared(Keys):
    """Keys of which the one that everything is asked with is ended by nothing that is asked."""

    def revoke(self, name: str, *, owner: str, by: str) -> None:
        if name == "test":
            raise SettingsError("it is still needed", hint="ask with it")
        super().revoke(name, owner=owner, by=by)


@contextlib.contextmanager
def opened(folder: Path, *, local: Person | None = None) -> Iterator[House]:
    """A server with runs that ask something, and nobody who is kept waiting for asking often."""
    door = Door(load(file={}, environment={}, flags={"home": folder / "home"}))
    house = House(door, local=local)
    house.start()
    house.site.feed = Brief(LedgerSource(door), Drafts(door.database))
    house.site.keys = Spared(door.database, house.clock, known=house.site.people.known)
    house.site.rates.clock = itertools.count(0.0, 3600.0).__next__
    for run in RUNS:
        house.run(run, project=run[1:5])
        house.asks(run)
        house.asks(run, kind="answer")
    leave(house, folder)
    try:
        yield house
    finally:
        house.stop()
        door.ledger.close()
        door.database.close()


def ask(house: House, folder: Path, headers: Mapping[str, str], *, without: str = "") -> dict[str, set[int]]:
    """Ask for everything, *without* a check; with which statuses each operation was answered.

    Raises:
        AssertionError: If an answer was not as the file says, with what schemathesis says of all such answers.
    """
    lines = "\n".join(f'"{name}" = "{value}"' for name, value in headers.items())
    (folder / "schemathesis.toml").write_text(SETTINGS.format(headers=lines, runs=json.dumps(RUNS)))
    words = ["--config-file", str(folder / "schemathesis.toml"), "--no-color", "run", f"{house.url}/api/openapi.json"]
    words += ["--checks", "all", "--phases", "fuzzing,stateful"]
    words += ["--max-examples", str(EXAMPLES), "--seed", SEED, "--generation-deterministic"]
    words += ["--continue-on-failure", "--suppress-health-check", "all", "--report-har-path", str(folder / "asked.har")]
    words += ["--exclude-checks", without] if without else []
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-30_000:] + done.stderr[-5_000:]
    return answers(json.loads((folder / "asked.har").read_text()), described(house))


def described(house: House) -> dict[str, Any]:
    """The OpenAPI file as the server gives it."""
    found: dict[str, Any] = httpx2.get(f"{house.url}/api/openapi.json", timeout=60).json()
    return found


def answers(har: dict[str, Any], schema: dict[str, Any]) -> dict[str, set[int]]:
    """The statuses in *har* by operation, as "GET /path"."""
    found: dict[str, set[int]] = {
        f"{method.upper()} {path}": set() for path, methods in schema["paths"].items() for method in methods
    }
    paths = {name: re.compile(re.sub(r"\{\w+\}", "[^/]+", name.partition(" ")[2])) for name in found}
    for entry in har["log"]["entries"]:
        where = urlsplit(entry["request"]["url"]).path
        for name, path in paths.items():
            if name.startswith(entry["request"]["method"] + " ") and path.fullmatch(where):
                found[name].add(entry["response"]["status"])
    return found


pytestmark = pytest.mark.slow
LOOKS = {f"GET /api/v1/{name}" for name in ("me", "runs", "runs/{run}", "waiting", "events")}


def well(found: Mapping[str, set[int]]) -> set[str]:
    """The operations that somebody got through with."""
    return {name for name, statuses in found.items() if any(status < 300 for status in statuses)}


def test_an_admin_gets_from_every_operation_what_the_file_says(tmp_path: Path) -> None:
    with opened(tmp_path) as house, house.program("root@example.org", role("admin")) as client:
        found = ask(house, tmp_path, {"Authorization": client.headers["Authorization"]})

    assert well(found) >= LOOKS


def test_who_is_alone_on_the_machine_gets_the_same_without_signing_in(tmp_path: Path) -> None:
    alone = Person(name="root", address="root@localhost", grants=(role("admin"),), way="local")
    with opened(tmp_path, local=alone) as house:
        found = ask(house, tmp_path, {"Sec-Fetch-Site": "same-origin"}, without="ignored_auth")

    assert well(found) >= LOOKS


def test_a_viewer_is_refused_what_changes_anything_as_the_file_says(tmp_path: Path) -> None:
    with opened(tmp_path) as house, house.program("ada@example.org", role("viewer", "shop")) as client:
        found = ask(house, tmp_path, {"Authorization": client.headers["Authorization"]})

    assert well(found) >= LOOKS
    # To be seen by others who watch a run changes nothing of it; tokens are one's own.
    own = {"POST /api/v1/runs/{run}/attend", "POST /api/v1/tokens", "DELETE /api/v1/tokens/{name}"}
    own.add("POST /api/v1/projects/{project}/blueprints/{name}/explain")  # it measures, and changes nothing
    assert {name for name in well(found) if not name.startswith("GET ")} <= own


def test_nobody_is_told_to_sign_in_as_the_file_says(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        found = ask(house, tmp_path, {})

    assert well(found) == {"GET /api/v1/health"}
