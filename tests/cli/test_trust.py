"""Secrets, backups and forgetting, as somebody types them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightmill import event as e
from nightmill.cli.door import credentials, keys, open_door
from nightmill.store import projects, tables
from nightmill.store import seal as sealing
from tests.cli.conftest import Here, typed
from tests.whole import Mill

SECRET = "s3cret-of-the-operator"


def test_a_secret_is_set_from_standard_input_used_by_name_and_never_shown(
    mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, f"{SECRET}\n")
    said = [here("secret", "set", "SHOP_TOKEN")]
    typed(monkeypatch, "another-secret-key")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    said += [here("secret", "set", "ANTHROPIC_API_KEY"), here("secret", "list"), here("secret", "rotate")]
    file = mill.user / ".config/nightmill/credentials.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("- {name: shop, host: shop.example, projects: ['*'], from: 'secret:SHOP_TOKEN'}\n")
    file.chmod(0o600)

    assert [each.code for each in said] == [0, 0, 0, 0], said
    assert not any(SECRET in f"{each.out}{each.err}" for each in said)
    assert "SHOP_TOKEN" in said[2].out
    assert [each.secret for each in credentials()] == [SECRET]
    assert keys()["anthropic"] == "another-secret-key"
    door = open_door()
    door.ledger.append([e.PhaseStarted(run="r", phase=f"{SECRET} another-secret-key")])
    assert json.loads(door.ledger.read()[-1].body)["phase"] == "******** ********"
    door.database.close()
    assert here("secret", "remove", "SHOP_TOKEN").code == 0
    refused = here("doctor")
    assert "no secret 'SHOP_TOKEN' is kept" in refused.out


def test_a_key_in_the_environment_is_no_setting_and_is_not_shown(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTMILL_SECRET_KEY", "ab" * 32)
    typed(monkeypatch, SECRET)

    assert here("secret", "set", "A").code == 0
    assert "abab" not in here("settings").out
    monkeypatch.setenv("NIGHTMILL_SECRET_KEY", "cd" * 32)
    refused = here("secret", "rotate")
    assert (refused.code, "cannot be opened" in refused.err) == (1, True)


def test_the_ledger_forgets_before_a_day_in_somebodys_name(here: Here) -> None:
    door = open_door()
    door.ledger.clock = lambda: 86400.0 * 10
    door.ledger.append([e.PhaseStarted(run="r", phase="work"), e.RunDone(run="r")])
    door.database.close()

    assert "2 entries up to 2 would be forgotten" in here("ledger", "forget", "--before", "1970-01-20", "--dry-run").err
    assert "2 entries up to 2 are forgotten" in here("ledger", "forget", "--before", "1970-01-20").err
    assert here("ledger", "verify").code == 0
    assert '"forgotten": true' in here("ledger", "export").out
    assert "is not a day" in here("ledger", "forget", "--before", "yesterday").err


def test_what_is_exported_can_be_verified_by_whoever_has_it(here: Here, tmp_path: Path) -> None:
    door = open_door()
    told = [e.AgentNudged(run="r", turn=1, guard="g", message=text) for text in ("plain", "ä \ud800 🌊", '"\\')]
    door.ledger.append(told)
    door.database.close()

    assert here("ledger", "export", f"{tmp_path}/ledger.jsonl").code == 0

    previous, lines = "0" * 64, (tmp_path / "ledger.jsonl").read_bytes().splitlines()
    assert len(lines) == len(told)
    for line in lines:
        plain = json.loads(line)
        body = json.dumps(plain["body"], sort_keys=True, separators=(",", ":"))
        covered = [*(plain[name] for name in ("seq", "at", "run", "name", "key")), body]
        text = previous + json.dumps(covered, separators=(",", ":"))
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert plain["hash"] == previous


def test_a_seal_shows_an_end_that_was_cut_off_and_is_believed_by_its_key_alone(here: Here, tmp_path: Path) -> None:
    seals = tmp_path / "seals"
    door = open_door()
    door.ledger.append([e.PhaseStarted(run="r", phase="work"), e.RunDone(run="r")])
    assert here("ledger", "seal", str(seals)).code == 0
    ours = json.loads(seals.read_text())["key"]
    assert here("ledger", "verify", "--seals", str(seals), "--key", ours).code == 0

    with door.database.write() as connection:
        connection.execute(tables.event.delete().where(tables.event.c.seq == 2))
    assert here("ledger", "verify").code == 0, "the chain alone does not show it"
    cut = here("ledger", "verify", "--seals", str(seals), "--key", ours)
    forged = sealing.seal(door.database, Ed25519PrivateKey.generate(), at=1.0)
    seals.write_text(forged.text())
    other = here("ledger", "verify", "--seals", str(seals), "--key", ours)
    seals.write_text("")
    none = here("ledger", "verify", "--seals", str(seals))
    door.database.close()

    assert (cut.code, "seal 1: entry 2: the row is missing" in cut.err) == (1, True)
    assert (other.code, "sealed by another key" in other.err) == (1, True)
    assert (none.code, "holds no seal" in none.err) == (1, True)


def test_a_home_is_backed_up_and_restored(
    mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    door = open_door()
    door.ledger.append([e.PhaseStarted(run="r", phase="work")])
    door.database.close()

    assert here("backup", "mill.tar").code == 0
    assert "lost with it" in here("backup", str(mill.home / "mill.tar")).err
    monkeypatch.setenv("NIGHTMILL_HOME", str(tmp_path / "elsewhere"))
    done = here("restore", "mill.tar")

    assert done.code == 0, done.err
    assert str(mill.home) in done.err
    assert "1 entries" in here("ledger", "verify").err
    assert "not empty" in here("restore", "mill.tar").err


def test_a_webhook_is_added_listed_tried_and_removed_and_its_secret_is_shown_once(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTMILL_PRIVATE_HOSTS", "localhost")
    monkeypatch.setenv("COLUMNS", "200")
    made = here("webhook", "add", "http://localhost:9/in", "--events", "run_done,run_stopped", "--events", "run_parked")
    secret = made.out.strip()
    listed = here("webhook", "list", "--json")
    (hook,) = json.loads(listed.out)

    assert made.code == 0, made.err
    assert secret.startswith("whsec_")
    assert hook["events"] == ["run_done", "run_parked", "run_stopped"]
    assert "it did not arrive: the connection failed" in here("webhook", "test", hook["id"]).err
    assert "nothing was given up" in here("webhook", "dead").err
    assert "nothing was given up for" in here("webhook", "resend", hook["id"]).err
    assert not any(
        secret in f"{each.out}{each.err}" for each in (listed, here("webhook", "list"), here("log", "--help"))
    )
    assert "is no address" in here("webhook", "add", "localhost").err
    assert "only told over https" in here("webhook", "add", "http://10.0.0.1/").err
    assert "no event 'run_don'" in here("webhook", "add", "http://localhost:9/", "--events", "run_don").err
    door = open_door()
    assert door.vault.get(f"webhook.{hook['id']}") == secret
    assert secret not in door.hidden.text(f"found {secret}")
    assert here("webhook", "remove", hook["id"]).code == 0
    assert door.vault.names() == {}
    assert "there are no webhooks" in here("webhook", "list").err
    assert "no webhook" in here("webhook", "remove", hook["id"]).err
    door.database.close()


def test_the_forge_of_a_project_is_heard_and_not_any_more(here: Here, tmp_path: Path) -> None:
    door = open_door()
    projects.keep(door.database, projects.Known(id="shop-1", root=tmp_path, hub=tmp_path, added=1.0))

    made = here("webhook", "hear", "shop-1")

    assert made.out.startswith("whsec_")
    assert "/api/v1/projects/shop-1/heard" in made.err
    assert here("webhook", "hear").out == "shop-1\n"
    assert "no project" in here("webhook", "hear", "barn-1").err
    assert here("webhook", "hear", "shop-1", "--stop").code == 0
    assert "no forge is heard" in here("webhook", "hear").err
    door.database.close()
