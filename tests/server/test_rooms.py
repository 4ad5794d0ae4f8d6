"""Crew, blueprints, projects and ledger: what a project has at its main branch, what it did, and what was told of it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from nightmill import event as e
from nightmill.estate.file import identify
from nightmill.review import Baseline, Flake
from nightmill.store import chain, projects, tables
from tests import whole
from tests.server.conftest import House, role

HOSTILE = "<script>alert(1)</script>\u202e"
AUDITOR = f"---\nname: auditor\ndescription: Looks twice {HOSTILE}\nwrites: nothing\n---\nAudit it. {HOSTILE}\n"
OWN = """\
name: own
version: 1
title: Our own way
description: As we like it.
steps:
  - id: work
    agent: developer
    goal: Do it.
  - id: proof
    check: all
"""


@dataclass
class Shop:
    """A project with a role, a blueprint and a checkout that holds more than is committed."""

    house: House
    root: Path
    project: str


@pytest.fixture
def shop(house: House, tmp_path: Path) -> Shop:
    files = {**whole.FILES, ".nightmill/crew/auditor.md": AUDITOR, ".nightmill/blueprints/own.yaml": OWN}
    root = whole.repository(tmp_path / "shop", files)
    project, door = identify(root), house.door
    hub = door.hub(project)
    hub.create()
    hub.advance("main", hub.take(root, "main"))
    (root / ".nightmill/crew/intruder.md").write_text(
        "---\nname: intruder\ndescription: x\n---\nOnly in the checkout.\n"
    )
    (root / ".nightmill/blueprints/own.yaml").write_text(OWN.replace("Our own way", "Not committed"))
    projects.keep(door.database, projects.Known(id=project, root=root, hub=hub.path, added=1.0))
    return Shop(house, root, project)


def ran(shop: Shop, name: str, *, well: bool = True, blueprint: str = "own", cost: float = 0.5) -> None:
    queued = e.RunQueued(
        run=name, kind="task", title=HOSTILE, project=shop.project, spec="s", model="m", blueprint=blueprint
    )
    shop.house.door.runs.create(queued, assignment="a")
    usage = {"input": 10, "output": 5}
    turn = e.TurnFinished(
        run=name, turn=1, role="developer@work", model="m", record="x", snapshot="y", usage=usage, cost=cost, calls=1, seconds=1.0,
    )  # fmt: skip
    review = e.ReviewGiven(run=name, step="look", role="auditor", tree="t", approved=well, findings=[])
    wrong = e.MistakeMade(run=name, project=shop.project, role="developer", model="m", kind="claim", on="t")
    over = e.RunDone(run=name) if well else e.RunStopped(run=name, why="failed", reason="no")
    shop.house.tell(turn, review, *([] if well else [wrong]), over)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text.replace("\xa0", " ")))


def test_blueprints_say_who_answers_for_them_how_they_ended_and_what_they_cost(shop: Shop) -> None:
    for number in range(4):
        ran(shop, f"r{number}", well=number > 0, cost=number / 10)
    with shop.house.browser("ada@example.org", role("viewer")) as client:
        listed = client.get(f"/blueprints/{shop.project}")
        own = client.get(f"/blueprints/{shop.project}/own")
        shipped = client.get(f"/blueprints/{shop.project}/deliver")

    text = words(listed.text)
    assert "Our own way" in text
    assert "Not committed" not in text
    assert "3 of 4" in text
    assert "3 of 4: between 30% and 95% (95 %)" in listed.text, "Wilson 1927"
    text = words(own.text)
    assert "nobody approved of it" in text
    assert "with the role approver" in text
    assert "<button data-key" not in own.text
    assert "$0.200 in the middle" in text
    assert 'class="bp"' in own.text
    assert "<style" not in own.text + shipped.text
    assert "approved by the release" in words(shipped.text)
    assert "<script>alert" not in own.text


def test_an_approver_says_yes_to_exactly_the_blueprint_that_was_looked_at(shop: Shop) -> None:
    path = f"/blueprints/{shop.project}/own"
    with shop.house.browser("kim@example.org", role("approver", shop.project)) as client:
        (closure,) = re.findall(r'name="closure" value="(\w+)"', client.get(path).text)
        whole.git(shop.root, "checkout", "-q", "--", ".nightmill/blueprints")
        (shop.root / ".nightmill/blueprints/own.yaml").write_text(OWN.replace("Our own way", "Another way"))
        whole.commit(shop.root, "another way")
        hub = shop.house.door.hub(shop.project)
        hub.advance("main", hub.take(shop.root, "main"))
        stale = client.post(f"{path}/approve", data={"closure": closure})
        (closure,) = re.findall(r'name="closure" value="(\w+)"', client.get(path).text)
        done = client.post(f"{path}/approve", data={"closure": closure}, follow_redirects=True)
    with shop.house.browser("eve@example.org", role("operator", shop.project)) as client:
        other = client.post(f"{path}/approve", data={"closure": closure})

    assert (stale.status_code, other.status_code) == (409, 403)
    assert "approved by Kim" in words(done.text)
    (told,) = shop.house.door.ledger.read(names=("blueprint_approved",))
    assert told.event().to_plain()["by"] == "Kim <kim@example.org>"


def test_a_broken_blueprint_says_what_is_wrong_with_it_once_and_is_not_offered_to_be_run(shop: Shop) -> None:
    broken = OWN.replace("name: own", "name: broken").replace("goal: Do it.", "goal: 'Do {{ task.title == }}'")
    (shop.root / ".nightmill/blueprints/broken.yaml").write_text(broken)
    whole.git(shop.root, "add", ".nightmill/blueprints/broken.yaml")
    whole.git(shop.root, "commit", "-q", "-m", "broken", "--", ".nightmill/blueprints/broken.yaml")
    hub = shop.house.door.hub(shop.project)
    hub.advance("main", hub.take(shop.root, "main"))
    with shop.house.browser("ada@example.org", role("approver")) as client:
        listed = words(client.get(f"/blueprints/{shop.project}").text)
        page = words(client.get(f"/blueprints/{shop.project}/broken").text)

    said = ".nightmill/blueprints/broken.yaml:8: 'Do {{ task.title == }}' cannot be read: nothing follows '=='"
    assert said.replace("'", "&#39;") in listed
    assert page.count(said.replace("'", "&#39;")) == 1
    assert "--blueprint broken" not in page
    assert "Approve" not in page


def test_of_many_projects_the_one_that_is_looked_at_is_the_first_and_the_others_are_folded(shop: Shop) -> None:
    house = shop.house
    for number in range(12):
        other = projects.Known(id=f"p{number:02}", root=shop.root, hub=shop.root, added=10.0 + number)
        projects.keep(house.door.database, other)
    with house.browser("ada@example.org", role("viewer")) as client:
        page = client.get("/crew/p03").text
        listed = words(client.get("/projects").text)
    with house.browser("root@example.org", role("admin")) as client:
        unheard = client.get("/settings/webhooks").text
    near, _, folded = page.partition('class="tabs"')[2].partition('<details class="others"')

    assert re.findall(r"<a href=\"/crew/(\w+)\"", near) == ["p03", "p11", "p10", "p09", "p08"]
    assert len(re.findall(r'href="/crew/', folded.partition("</details>")[0])) == 13
    assert "13 projects" in listed
    assert "13 projects whose forge is not heard" in words(unheard.partition('<details class="fold" id="unheard">')[2])


def test_a_drawing_on_a_page_is_the_drawing_of_the_file(shop: Shop) -> None:
    with shop.house.browser("ada@example.org", role("viewer")) as client:
        page = client.get(f"/blueprints/{shop.project}/deliver").text
        (styled,) = re.findall(r'href="(/static/drawing\.css\?\w+)"', page)
        assert ".bp .box" in client.get(styled).text


def test_a_project_that_has_nothing_yet_shows_what_is_shipped(house: House, tmp_path: Path) -> None:
    hub = tmp_path / "none.git"
    projects.keep(house.door.database, projects.Known(id="new", root=tmp_path, hub=hub, added=1.0))
    with house.browser("ada@example.org", role("viewer")) as client:
        for path in ("/blueprints/new", "/projects"):
            page = client.get(path)
            assert page.status_code == 200, path
            assert "nothing" in page.text.casefold()


def test_projects_are_listed_with_what_is_under_way_to_those_who_may_see_them(shop: Shop) -> None:
    ran(shop, "r1")
    shop.house.run("r2", project=shop.project)
    with shop.house.browser("ada@example.org", role("viewer", shop.project)) as client:
        text = words(client.get("/projects").text)
        assert "1 at work" in text
        assert re.search(r"1 at work\s+1\s+0", text)
    with shop.house.browser("bob@example.org", role("viewer", "barn")) as client:
        assert shop.project not in client.get("/projects").text
        assert client.get(f"/crew/{shop.project}").status_code == 404
        assert client.get("/crew").headers["location"] == "/crew/barn", "of the one that they may see"


def test_a_project_shows_how_its_runs_and_checks_end_and_what_is_unsteady(shop: Shop) -> None:
    ran(shop, "r1")
    ran(shop, "r2", well=False)
    for tree, passed in (("a" * 40, True), ("b" * 40, False)):
        result = {"seconds": 2.0}
        told = e.CheckFinished(run="r1", round=0, check="units", tree=tree, passed=passed, result=result, output="")
        shop.house.tell(told)
    flakes = {"units": {"test_x[<b>]": Flake(failed=2, runs=10)}}
    kept = Baseline(tree="t", failing={}, flaky={}, passing={}, flakes=flakes)
    body = json.dumps(asdict(kept))
    database = shop.house.door.database
    projects.keep_baseline(database, project=shop.project, tree="t", checks="c", change=lambda _: body, at=1.0)
    with shop.house.browser("ada@example.org", role("viewer", shop.project)) as client:
        page = client.get(f"/projects/{shop.project}").text
        other = client.get("/projects/barn").status_code

    text = words(page)
    assert "1 of 2" in text
    assert "units 1 of 2: between" in text
    assert "test_x[&lt;b&gt;] 2 of 10: between 6% and 51% (95 %)" in text
    assert "<b>]" not in page
    assert other == 404


def test_the_ledger_is_searched_by_run_name_and_time_within_what_may_be_seen(house: House) -> None:
    house.run("rshop1", title=HOSTILE)
    house.run("rbarn1", project="barn")
    house.tell(e.PhaseStarted(run="rshop1", phase="work"))
    with house.browser("ada@example.org", role("viewer", "shop")) as client:

        def found(**asked: str) -> str:
            page = client.get("/ledger", params=asked)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            return words(page.text.partition("<tbody>")[2])

        assert "run_queued" in found()
        assert "rbarn1" not in found()
        assert "person_added" not in found(), "what is about no run is for who sees all"
        assert found(run="rbarn1") == ""
        assert "phase_started" in found(run="rsho", name="phase_started")
        assert found(name="phase_started", since="2100-01-01T00:00") == ""
        assert "phase_started" in found(name="phase_started", until="2100-01-01")
        assert client.get("/ledger", params={"since": "yesterday"}).status_code == 422
        assert client.get("/ledger/export").status_code == 403
        assert client.post("/ledger/verify").status_code == 403


def test_the_ledger_is_paged_from_the_newest_and_nothing_is_left_out_or_twice(house: House) -> None:
    house.run("rone")
    house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(150)])
    with house.browser("ada@example.org", role("viewer", "shop")) as client:
        seen, path = list[int](), "/ledger?run=rone"
        while path:
            page = client.get(path).text
            seen += [int(number) for number in re.findall(r"<tr data-row><td>(\d+)</td>", page)]
            more = re.search(r'<a href="([^"]+)" rel="next"', page)
            path = more[1].replace("&amp;", "&") if more else ""
    assert len(seen) == 151
    assert seen == sorted(set(seen), reverse=True)


def test_whoever_sees_all_verifies_the_chain_and_takes_it_along(house: House) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("viewer")) as client:
        assert "the chain holds" in client.post("/ledger/verify").text
        lines = [json.loads(line) for line in client.get("/ledger/export").text.splitlines()]
        assert [line["seq"] for line in lines] == list(range(1, house.door.ledger.last() + 1))
        assert {"seq", "at", "run", "name", "key", "body", "hash"} == set(lines[0])
        with house.door.database.write() as connection:
            chain.lock(connection)
            connection.execute(sa.update(tables.event).where(tables.event.c.seq == 1).values(body='{"changed":1}'))
        page = client.post("/ledger/verify").text
    assert "the chain is broken" in page
    assert "Entry 1: the row was changed after it was written" in page


def test_the_days_of_a_project_add_up_to_what_its_runs_cost_and_how_they_ended(shop: Shop) -> None:
    database, now, day = shop.house.door.database, shop.house.clock.now, 86_400
    for number in range(12):
        ran(shop, f"r{number}", well=number % 3 > 0, cost=0.1 * number)
    shop.house.run("ropen", project=shop.project)
    shop.house.run("rother", project="barn")
    midnight = now // day * day
    with database.write() as connection:
        for at, name in enumerate([f"r{number}" for number in range(12)]):
            created = midnight + (0.0 if at == 0 else -0.001 if at == 1 else -day * at)
            row = tables.run.c.id == name
            connection.execute(tables.run.update().where(row).values(created=created))
        for name in ("ropen", "rother"):
            connection.execute(tables.run.update().where(tables.run.c.id == name).values(created=midnight - 40 * day))
    with shop.house.browser("ada@example.org", role("viewer", shop.project)) as client:
        page = client.get(f"/projects/{shop.project}").text

    table = page.partition('<table class="by-day">')[2].partition("</table>")[0]
    rows = [words(each).split() for each in re.findall(r"<tr>(.*?)</tr>", table)[1:]]
    assert len(rows) == 30
    assert rows[0][1:] == ["$0", "15", "0", "1", "0", "0"], "at midnight the day has begun"
    assert rows[1][1:] == ["$0.100", "15", "1", "0", "0", "0"]
    assert rows[3][1:] == ["$0.300", "15", "0", "1", "0", "0"]
    assert [sum(int(each[at]) for each in rows) for at in (3, 4, 5, 6)] == [8, 4, 0, 0], "what is older is not in it"
    assert "8 done, 4 stopped, 0 not over" in words(page)
    assert "$6.60 in all" in words(page)
    assert page.count("<title>") - page.count("<title>" + shop.project) >= 60, "each bar says what it is"
