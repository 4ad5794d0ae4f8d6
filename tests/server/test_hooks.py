"""Webhooks over the network: who may, what is shown, and that the server delivers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightmill import event as e
from nightmill.desk import heard
from nightmill.hook.sign import signature
from nightmill.store import projects
from tests.hook.test_post import OK, Far
from tests.server.conftest import ROOT, House, door_of, role, served

PATIENCE = 60.0


@pytest.fixture
def told(tmp_path: Path) -> Iterator[House]:
    """A server whose operator lets it tell programs on this machine."""
    with served(door_of(tmp_path / "home", private_hosts=("localhost",))) as made:
        yield made


def types(far: Far) -> list[str]:
    return [json.loads(each.partition(b"\r\n\r\n")[2])["type"] for each in far.heard]


async def until(far: Far, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while wanted not in types(far):
            far.hearing.clear()
            await far.hearing.wait()


def test_a_server_tells_of_what_happens_also_of_what_happened_while_it_was_stopped(told: House) -> None:
    async def whole() -> None:
        far = Far()
        async with far.there() as port:
            with told.program("root@example.org", role("admin")) as client:
                url = f"http://localhost:{port}/in"
                made = (
                    await asyncio.to_thread(client.post, "/api/v1/hooks", json={"url": url, "events": EVENTS})
                ).json()
                tried = await asyncio.to_thread(client.post, f"/api/v1/hooks/{made['hook']['id']}/test")
                assert (tried.status_code, types(far)) == (204, ["test"])
            told.run("rshop1")
            told.tell(e.RunDone(run="rshop1"))
            await until(far, "run_done")
            await asyncio.to_thread(told.stop)
            told.run("rshop2")
            told.tell(e.RunStopped(run="rshop2", why="failed", reason="r"))
            await asyncio.to_thread(told.start)
            await until(far, "run_stopped")
        assert types(far) == ["test", "run_done", "run_stopped"]

    asyncio.run(whole())


EVENTS = ["run_done", "run_stopped"]


def test_a_secret_is_shown_once_and_an_address_to_those_alone_who_administer_everything(told: House) -> None:
    with told.program("root@example.org", role("admin")) as client:
        made = client.post("/api/v1/hooks", json={"url": "https://hooks.example/services/abc"})
        assert made.status_code == 201
        secret, hook = made.json()["secret"], made.json()["hook"]["id"]
        seen: list[httpx2.Response] = [
            client.get("/api/v1/hooks"),
            client.get("/api/v1/hooks/dead", params={"hook": hook}),
        ]
        assert [each.status_code for each in seen] == [200, 200]
        assert not [each for each in seen if secret in each.text]
    for person, grant in (("ada@example.org", role("operator")), ("bob@example.org", role("admin", "shop"))):
        with told.program(person, grant) as client:
            assert client.get("/api/v1/hooks").status_code == 403
            assert client.post("/api/v1/hooks", json={"url": "https://hooks.example/"}).status_code == 403
    entries = [entry.body for entry in told.door.ledger.read()]
    assert not [body for body in entries if "services/abc" in body or secret in body]
    assert (
        sum(secret.encode() in path.read_bytes() for path in told.door.settings.home.rglob("*") if path.is_file()) == 0
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://169.254.169.254/latest/meta-data/", "ftp://localhost/", "https://a@b/x"]
)
def test_an_address_that_nothing_is_sent_to_is_refused_at_once(told: House, url: str) -> None:
    with told.program("root@example.org", role("admin")) as client:
        assert client.post("/api/v1/hooks", json={"url": url}).status_code == 409


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254"],
)
def test_however_an_address_of_this_machine_is_written_nothing_is_sent_there(told: House, host: str) -> None:
    async def whole() -> Any:
        far = Far(OK)
        async with far.there() as port:
            with told.program("root@example.org", role("admin")) as client:
                made = await asyncio.to_thread(client.post, "/api/v1/hooks", json={"url": f"https://{host}:{port}/"})
                hook = made.json()["hook"]["id"]
                return await asyncio.to_thread(client.post, f"/api/v1/hooks/{hook}/test")

    said = asyncio.run(whole())

    assert said.status_code == 409
    assert "that nothing is sent to" in said.json()["detail"]


def say(
    client: httpx2.Client, body: bytes, secret: str, *, delivery: str = "d1", project: str = "shop"
) -> httpx2.Response:
    """What GitHub would send."""
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": f"sha256={made}"}
    return client.post(f"/api/v1/projects/{project}/heard", content=body, headers=headers)


PUSHED = json.dumps({"ref": "refs/heads/main", "after": "a" * 40, "sender": {"login": "ada"}}).encode()


def test_what_a_forge_says_is_in_the_ledger_once_however_often_it_is_sent(told: House, tmp_path: Path) -> None:
    projects.keep(told.door.database, projects.Known(id="shop", root=tmp_path, hub=tmp_path, added=1.0))
    secret = heard.listen(told.door, "shop", at=1.0, by=ROOT)
    with told.nobody() as client:
        said = [say(client, PUSHED, secret), say(client, PUSHED, secret), say(client, PUSHED, secret, delivery="d2")]
        later = say(client, PUSHED.replace(b"aaaa", b"bbbb"), secret)

    assert [each.status_code for each in (*said, later)] == [202] * 4
    assert [each.json()["news"] for each in (*said, later)] == [True, False, False, True]
    events = [entry.event() for entry in told.door.ledger.read(names={"forge_heard"})]
    assert [(each.kind, each.about, each.by) for each in events if isinstance(each, e.ForgeHeard)] == [
        ("pushed", "main", "ada")
    ] * 2
    assert list(heard.listening(told.door)) == ["shop"]


def test_what_is_forged_too_large_or_for_a_project_that_is_not_heard_is_refused_before_it_is_read(
    told: House, tmp_path: Path
) -> None:
    for name in ("shop", "barn"):
        projects.keep(told.door.database, projects.Known(id=name, root=tmp_path, hub=tmp_path, added=1.0))
    secret = heard.listen(told.door, "shop", at=1.0, by=ROOT)
    other = heard.listen(told.door, "barn", at=1.0, by=ROOT)
    heard.deafen(told.door, "barn", by=ROOT)
    with told.nobody() as client:
        forged = [
            say(client, PUSHED, other),
            say(client, PUSHED, other, project="barn"),
            say(client, b"no JSON", other),
        ]
        forged.append(say(client, PUSHED, secret, project="nothing"))
        large = say(client, b"x" * ((1 << 20) + 1), secret)
        broken = say(client, b"no JSON", secret)

    assert [each.status_code for each in forged] == [403] * 4
    assert len({each.json()["detail"] for each in forged}) == 1, "it does not say which projects there are"
    assert (large.status_code, broken.status_code) == (413, 409)
    assert told.door.ledger.read(names={"forge_heard"}) == []


def test_a_webhook_gets_another_secret_and_for_a_day_its_letters_are_good_under_both(told: House) -> None:
    async def whole() -> tuple[Far, list[str]]:
        far = Far()
        async with far.there() as port:
            with told.browser("root@example.org", role("admin")) as client:
                made = client.post("/api/v1/hooks", json={"url": f"http://localhost:{port}/", "events": EVENTS}).json()
                at = f"/api/v1/hooks/{made['hook']['id']}"
                secrets = [made["secret"], client.put(f"{at}/secret", json={}).json()["secret"]]
                await asyncio.to_thread(client.post, f"{at}/test")
                told.clock.now += 86_400
                await asyncio.to_thread(client.post, f"{at}/test")
                secrets.append(client.put(f"{at}/secret", json={"at_once": True}).json()["secret"])
                await asyncio.to_thread(client.post, f"{at}/test")
                sent = client.get(f"{at}/deliveries").json()["deliveries"]
                assert [(each["event"], each["status"]) for each in sent] == [("test", 204)] * 3
                assert client.delete(at).status_code == 204
        return far, secrets

    far, (first, second, third) = asyncio.run(whole())

    said = [good(letter, (first, second, third)) for letter in far.heard]
    assert said == [[True, True, False], [False, True, False], [False, False, True]]
    assert told.door.vault.names() == {}, "they are forgotten with it"


def good(letter: bytes, secrets: tuple[str, ...]) -> list[bool]:
    """Under which of *secrets* a letter is good."""
    head, _, body = letter.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    letter_id, at, signed = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    return [signature(each, id=letter_id, at=int(at), body=body) in signed.split() for each in secrets]


def test_an_admin_of_a_project_has_its_forge_heard_and_no_other(told: House, tmp_path: Path) -> None:
    for name in ("shop", "barn"):
        projects.keep(told.door.database, projects.Known(id=name, root=tmp_path, hub=tmp_path, added=1.0))
    with told.program("ada@example.org", role("admin", "shop")) as client, told.nobody() as forge:
        before = client.get("/api/v1/projects/shop/heard").json()
        made = client.put("/api/v1/projects/shop/heard").json()
        heard_ = say(forge, PUSHED, made["secret"]).status_code
        since = client.get("/api/v1/projects/shop/heard").json()
        barred = client.put("/api/v1/projects/barn/heard").status_code
        gone = client.delete("/api/v1/projects/shop/heard").status_code
        deaf = say(forge, PUSHED, made["secret"]).status_code

    assert (before["heard"], since["heard"], since["by"]) == (False, True, "Ada <ada@example.org>")
    assert made["address"] == f"{told.url}/api/v1/projects/shop/heard"
    assert (heard_, barred, gone, deaf) == (202, 404, 204, 403)
    called = [
        entry.event().to_plain()["called"] for entry in told.door.ledger.read(names={"secret_kept", "secret_removed"})
    ]
    assert called == ["ear.shop", "ear.shop"]
