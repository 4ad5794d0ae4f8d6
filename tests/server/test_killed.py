"""Every write of the API, by its server killed between the effect and the answer: sent again it is done once, and answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from nightmill.access import Person
from nightmill.desk import heard, hooks, secrets
from nightmill.desk.door import Door
from nightmill.desk.processes import Processes, at_main
from nightmill.estate.file import load as load_project
from nightmill.server import api, receipts
from nightmill.settings import load
from nightmill.store import notes, projects
from tests import whole
from tests.server.conftest import ROOT, House, role
from tests.server.killed import Forge, stand
from tests.server.left import leave
from tests.server.past import went
from tests.server.test_change import opened
from tests.server.test_rooms import shop as rooms

__all__ = ["rooms"]

MAX = "Max <max@example.org>"
WRITES = {
    f"{method} {route.path_format.removeprefix('/api/v1')}"
    for route in api.routes()
    for method in route.methods or ()
    if method not in {"GET", "HEAD"}
}

WITHOUT = {
    "POST /mcp": "a door of its own: its tools name what they make by the key of the call",
    "POST /projects/{project}/heard": "signed by a forge, which sends no key: each comment has its number there",
    "POST /runs/{run}/attend": "a sign of life, good for seconds",
    "POST /ledger/verify": "reads",
    "POST /ledger/seal": "reads, and signs what it read",
    "POST /projects/{project}/blueprints/{name}/explain": "reads",
    "POST /projects/{project}/ask": "starts nothing; a model that was asked is paid for, and test_ask_afar has it asked once",
    "POST /projects/{project}/crew/{role}/forget": "a commit in a memory: the note is named by its text, and gone when it is asked again",
    "PUT /projects/{project}/secrets/{name}": "the function of PUT /secrets/{name}",
    "DELETE /projects/{project}/secrets/{name}": "the function of DELETE /secrets/{name}",
    "POST /hooks/{hook}/dead": "sets a mark that is there then",
    "POST /hooks/{hook}/test": "sends a letter of the type test, which means nothing twice",
}
"""Writes that need not be looked at, and why."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A write in a place that *make* prepares, which gives the values of its path.

    *anew*: it gives a secret that nobody saw, so another takes its place. Else the retry changes nothing at all.
    """

    make: Callable[[pytest.FixtureRequest, House, Path], dict[str, str]]
    body: dict[str, Any] | Callable[[dict[str, str]], dict[str, Any]] | None = None
    anew: bool = False


def run(_: Any, house: House, __: Path) -> dict[str, str]:
    house.run("rone")
    return {"run": "rone"}


def paused(request: Any, house: House, folder: Path) -> dict[str, str]:
    house.door.runs.want(run(request, house, folder)["run"], "pause", by=MAX)
    return {"run": "rone"}


def asking(kind: str) -> Callable[..., dict[str, str]]:
    def make(request: Any, house: House, folder: Path) -> dict[str, str]:
        found = run(request, house, folder)
        house.asks("rone", kind=kind)
        return found

    return make


def past(_: Any, house: House, folder: Path) -> dict[str, str]:
    return {"run": went(house, folder)}


def task(_: Any, house: House, folder: Path) -> dict[str, str]:
    left = leave(house, folder)
    return {"task": left.task, "project": left.project}


def calc(_: Any, house: House, folder: Path) -> dict[str, str]:
    root = whole.repository(folder / "calc")
    project = load_project(root).id
    projects.keep(house.door.database, projects.Known(id=project, root=root, hub=folder / "hub", added=0.0))
    return {"project": project}


def note(request: Any, house: House, folder: Path) -> dict[str, str]:
    found = rooms_of(request, house, folder)
    kept = notes.Note(
        project=found["project"],
        run="rone",
        key="k",
        kind="fact",
        who="developer",
        text="Cents.",
        spec="s",
        tree="t",
        files={},
        at=1.0,
    )
    notes.keep(house.door.database, [kept])
    return found


def errand(request: Any, house: House, folder: Path) -> dict[str, str]:
    found = calc(request, house, folder)
    closure = at_main(house.door, found["project"], by=ROOT, apart=True).whole("quick").process.closure
    return {**found, "closure": closure}


def own(request: Any, house: House, folder: Path) -> dict[str, str]:
    found = rooms_of(request, house, folder)
    return {**found, "name": "own", "closure": of(house, found["project"]).whole("own").process.closure}


def approved(request: Any, house: House, folder: Path) -> dict[str, str]:
    found = own(request, house, folder)
    of(house, found["project"]).approve("own", closure=found["closure"])
    return found


def of(house: House, project: str) -> Processes:
    return at_main(house.door, project, by=MAX, apart=True)


def change(_: Any, house: House, folder: Path) -> dict[str, str]:
    shop = opened(house, folder / "change")
    return {"project": shop.project, "number": str(shop.request.number), "tree": shop.request.tree}


def hook(_: Any, house: House, __: Path) -> dict[str, str]:
    return {"hook": hooks.add(house.door, "https://hooks.example/in", events=(), project="", by=ROOT).hook.id}


def paused_hook(request: Any, house: House, folder: Path) -> dict[str, str]:
    found = hook(request, house, folder)
    house.door.hooks.change(found["hook"], "paused", by=ROOT)
    return found


def token(_: Any, house: House, __: Path) -> dict[str, str]:
    owner = Person(name="Max", address="max@example.org", grants=(role("admin"),), way="password")
    house.site.keys.make("old", owner=owner, scopes=["view"], seconds=3600)
    return {"name": "old"}


def person(_: Any, house: House, __: Path) -> dict[str, str]:
    house.let_in("grace@example.org", role("viewer"))
    return {"address": "grace@example.org"}


def secret(_: Any, house: House, __: Path) -> dict[str, str]:
    secrets.keep(house.door, "GITHUB", "sk-the-old-one", project="", by=ROOT, at=1.0)
    return {"name": "GITHUB"}


def ear(request: Any, house: House, folder: Path) -> dict[str, str]:
    found = rooms_of(request, house, folder)
    heard.listen(house.door, found["project"], at=1.0, by=ROOT)
    return found


def rooms_of(request: Any, _: House, __: Path) -> dict[str, str]:
    return {"project": request.getfixturevalue("rooms").project}


def nothing(_: Any, __: House, ___: Path) -> dict[str, str]:
    return {}


def named(name: str, value: str, make: Callable[..., dict[str, str]] = nothing) -> Callable[..., dict[str, str]]:
    return lambda request, house, folder: {**make(request, house, folder), name: value}


TREE = {"because": "reads well"}
CASES = {
    "POST /runs/{run}/pause": Case(make=run),
    "POST /runs/{run}/resume": Case(make=paused),
    "POST /runs/{run}/cancel": Case(make=run),
    "POST /runs/{run}/say": Case(make=run, body={"text": "Use cents."}),
    "POST /runs/{run}/approve": Case(make=asking("approve"), body=TREE),
    "POST /runs/{run}/refuse": Case(make=asking("approve"), body=TREE),
    "POST /runs/{run}/answer": Case(make=asking("answer"), body={"text": "Cents."}),
    "POST /runs/{run}/rewind": Case(make=past, body={"turn": 1, "role": "developer", "instruction": "Use cents."}),
    "POST /projects/{project}/runs": Case(
        make=calc, body={"spec": whole.SPEC.format(title=" twice"), "model": "anthropic:m"}
    ),
    "POST /projects/{project}/errands": Case(
        make=errand,
        body=lambda at: {
            "title": "Mend it",
            "words": "Mend it",
            "blueprint": "quick",
            "closure": at["closure"],
            "model": "anthropic:m",
        },
    ),
    "POST /tasks/{task}/start": Case(make=task, body={}),
    "POST /tasks/{task}/drop": Case(make=task, body={"because": "not needed"}),
    "POST /projects/{project}/changes/{number}/approve": Case(make=change, body=lambda at: {"tree": at["tree"]}),
    "POST /projects/{project}/changes/{number}/merge": Case(make=change, body=lambda at: {"tree": at["tree"]}),
    "POST /projects/{project}/changes/{number}/back": Case(make=change, body=TREE),
    "POST /people": Case(
        make=nothing, body={"address": "eve@example.org", "grants": [{"role": "viewer", "project": ""}]}, anew=True
    ),
    "PUT /people/{address}/grants": Case(make=person, body={"project": "", "roles": ["operator"]}),
    "DELETE /people/{address}": Case(make=person),
    "POST /tokens": Case(make=nothing, body={"name": "laptop"}, anew=True),
    "DELETE /tokens/{name}": Case(make=token),
    "POST /hooks": Case(make=nothing, body={"url": "https://hooks.example/in"}, anew=True),
    "DELETE /hooks/{hook}": Case(make=hook),
    "POST /hooks/{hook}/pause": Case(make=hook),
    "POST /hooks/{hook}/resume": Case(make=paused_hook),
    "PUT /hooks/{hook}/secret": Case(make=hook, body={}, anew=True),
    "PUT /projects/{project}/heard": Case(make=rooms_of, anew=True),
    "DELETE /projects/{project}/heard": Case(make=ear),
    "PUT /projects/{project}/logins/{login}": Case(
        make=named("login", "ada-at-hub", rooms_of), body={"address": "max@example.org"}
    ),
    "PUT /secrets/{name}": Case(make=named("name", "GITHUB"), body={"value": "sk-a-long-secret"}),
    "DELETE /secrets/{name}": Case(make=secret),
    "POST /projects/{project}/notes/forget": Case(make=note, body={"ids": ["rone/k"]}),
    "POST /projects/{project}/blueprints/{name}/approve": Case(make=own, body=lambda at: {"closure": at["closure"]}),
    "POST /projects/{project}/blueprints/{name}/revoke": Case(make=approved, body={}),
    "POST /budget/raise": Case(make=nothing, body={"dollars": 5.0}),
}


def test_a_write_without_a_case_is_seen() -> None:
    assert WRITES - WITHOUT.keys() == CASES.keys()
    assert WITHOUT.keys() <= WRITES


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    with stand() as made:
        yield made


@pytest.fixture
def rich(house: House) -> House:
    """A house whose day has a budget."""
    house.stop()
    house.door.ledger.close()
    house.door.database.close()
    house.door = Door(load(file={}, environment={}, flags={"home": house.door.settings.home, "budget_day_money": 20.0}))
    house.start()
    return house


@pytest.mark.parametrize("write", CASES)
def test_a_write_whose_server_is_killed_is_done_once_and_answered(
    rich: House, forge: Forge, request: pytest.FixtureRequest, tmp_path: Path, write: str
) -> None:
    case, (method, _, path) = CASES[write], write.partition(" ")
    house = rich
    rich.let_in("root@example.org", role("admin"))
    with house.program("max@example.org", role("admin")) as client:
        values = case.make(request, house, tmp_path)
        body = case.body(values) if callable(case.body) else case.body
        where = f"/api/v1{path.format(**values)}"
        sent: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}} | ({} if body is None else {"json": body})
        before = state(house)
        port = forge.server(house.door.settings.home, house.door.settings.store, money=20.0)
        head = {**sent["headers"], "Authorization": client.headers["Authorization"]}
        alive = asked_of(port, method, where, {**sent, "headers": head})
        assert alive is None, f"it was not done: {alive.status_code} {alive.text}"
        done = state(house)
        house.clock.now += receipts.LEASE + 1
        again = client.request(method, where, **sent)
        after = state(house)
        once_more = client.request(method, where, **sent)

    assert again.status_code in {200, 201, 202, 204}, again.text
    assert done != before, "it was done before the server died"
    if case.anew:  # the ledger tells of both
        numbers = [{name: len(rows) for name, rows in each.items() if name != "event"} for each in (done, after)]
        assert numbers[0] == numbers[1]
    else:
        assert after == done, "and not again"
    assert (once_more.status_code, once_more.text) == (again.status_code, again.text)
    assert state(house) == after


def asked_of(port: int, method: str, where: str, sent: dict[str, Any]) -> httpx2.Response | None:
    """What a server answers; None: it is gone."""
    with suppress(httpx2.TransportError):
        return httpx2.request(method, f"http://127.0.0.1:{port}{where}", **sent, timeout=60)
    return None


def state(house: House) -> dict[str, list[str]]:
    """All that the store holds and a write may change, but for receipts and when somebody was seen."""
    found: dict[str, list[str]] = {}
    with house.door.database.read() as connection:
        for name in sa.inspect(connection).get_table_names():
            if name in {"receipt", "worker", "presence"}:
                continue
            rows = connection.exec_driver_sql(f"SELECT * FROM {name}").mappings()
            kept = [{key: value for key, value in row.items() if key not in {"used", "seen"}} for row in rows]
            found[name] = sorted(json.dumps(row, default=str) for row in kept)
    found["secrets"] = sorted(str(each) for each in house.door.vault.names())
    for hub in house.door.settings.home.glob("projects/*/hub.git"):
        found[hub.parent.name] = whole.git(hub, "for-each-ref").splitlines()
    return found
