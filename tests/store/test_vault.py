"""Secrets are in the home only as what nobody without the key can read, and in what is stored they are stars."""

from __future__ import annotations

import base64
import html
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import keyring
import pytest
import sqlalchemy as sa
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.kept import Kept
from nightmill.store import Blobs, Database, Ledger, Runs, notes, results, tables
from nightmill.store.notes import Note
from nightmill.store.questions import Question, Questions
from nightmill.store.redaction import Redaction
from nightmill.store.vault import Vault, read_key

SECRET = 'correct "horse" battery'
KEY = bytes(range(32))


def test_a_secret_is_kept_and_read_by_name_and_is_in_no_file(tmp_path: Path) -> None:
    vault = Vault(home=tmp_path)

    vault.put("SHOP_TOKEN", SECRET, at=5.0, by="Ada <ada@example.org>")
    vault.put("OTHER", "another secret", at=6.0)

    assert Vault(home=tmp_path).get("SHOP_TOKEN") == SECRET
    assert vault.names() == {"OTHER": Kept(6.0, ""), "SHOP_TOKEN": Kept(5.0, "Ada <ada@example.org>")}
    assert vault.get("ABSENT") is None
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"horse" not in path.read_bytes()
        assert base64.b64encode(SECRET.encode())[:8] not in path.read_bytes()
    vault.remove("OTHER")
    assert list(vault.names()) == ["SHOP_TOKEN"]
    with pytest.raises(SettingsError, match="there is no secret"):
        vault.remove("OTHER")


def test_the_same_secret_looks_different_each_time(tmp_path: Path) -> None:
    vault, seen = Vault(home=tmp_path, key=KEY), set()
    for at in range(5):
        vault.put("A", SECRET, at=at)
        seen.add(json.loads((tmp_path / "secrets.json").read_text())["secrets"]["A"]["body"])

    assert len(seen) == 5
    assert not (tmp_path / "secret.key").exists(), "the key was given"


def test_without_its_key_a_secret_can_be_deleted_and_nothing_else(tmp_path: Path) -> None:
    Vault(home=tmp_path, key=KEY).put("A", SECRET, at=1.0)
    other = Vault(home=tmp_path, key=bytes(32))

    for use in (
        lambda: other.get("A"),
        other.values,
        lambda: other.put("B", "another secret", at=2.0),
        lambda: other.rotate(KEY),
    ):
        with pytest.raises(SettingsError, match="cannot be opened") as refused:
            use()
        assert SECRET not in f"{refused.value.message}{refused.value.hint}"
    assert list(other.names()) == ["A"]
    other.remove("A")
    assert other.names() == {}


def test_an_entry_cannot_stand_in_for_another(tmp_path: Path) -> None:
    vault, file = Vault(home=tmp_path, key=KEY), tmp_path / "secrets.json"
    vault.put("A", SECRET, at=1.0)
    vault.put("B", "another secret", at=1.0)
    held = json.loads(file.read_text())
    held["secrets"]["B"] = held["secrets"]["A"]
    file.write_text(json.dumps(held))

    with pytest.raises(SettingsError, match="'B' cannot be opened"):
        vault.get("B")


def test_after_a_rotation_only_the_new_key_opens_them(tmp_path: Path) -> None:
    old = Vault(home=tmp_path)
    old.put("A", SECRET, at=1.0)
    before = (tmp_path / "secret.key").read_bytes()

    assert old.rotate(None) == 1
    assert (tmp_path / "secret.key").read_bytes() != before
    assert (old.get("A"), old.names()) == (SECRET, {"A": Kept(1.0, "")})
    assert old.rotate(KEY) == 1
    assert Vault(home=tmp_path, key=KEY).get("A") == SECRET
    with pytest.raises(SettingsError, match="cannot be opened"):
        old.get("A")


def test_a_rotation_that_was_killed_before_its_last_step_is_made_whole(tmp_path: Path) -> None:
    vault = Vault(home=tmp_path)
    vault.put("A", SECRET, at=1.0)
    before = (tmp_path / "secret.key").read_bytes()
    vault.rotate(None)
    (tmp_path / "secret.key").rename(tmp_path / "secret.key.new")
    (tmp_path / "secret.key").write_bytes(before)

    assert vault.get("A") == SECRET
    assert not (tmp_path / "secret.key.new").exists()


@pytest.mark.parametrize("value", ["short", "", "two\nlines of it", "ends with a space ", "täglich anders"])
def test_what_is_no_secret_is_refused_without_a_word_of_it(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="no secret that can be used") as refused:
        Vault(home=tmp_path).put("A", value, at=1.0)

    assert not value or value not in f"{refused.value.message}{refused.value.hint}"


@pytest.mark.parametrize("text", ["", "00", "z" * 64, "00" * 33])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no key"):
        read_key(text)


def test_a_damaged_file_is_an_error_and_not_an_empty_vault(tmp_path: Path) -> None:
    vault = Vault(home=tmp_path)
    vault.put("A", SECRET, at=1.0)
    (tmp_path / "secrets.json").write_text("{")

    with pytest.raises(SettingsError, match="cannot be read"):
        vault.put("B", SECRET, at=1.0)
    assert (tmp_path / "secrets.json").read_text() == "{"


def test_a_key_that_is_gone_is_missed_and_not_made_anew(tmp_path: Path) -> None:
    vault = Vault(home=tmp_path)
    vault.put("A", SECRET, at=1.0)
    (tmp_path / "secret.key").unlink()

    for use in (
        vault.values,
        lambda: vault.get("A"),
        lambda: vault.put("B", SECRET, at=2.0),
        lambda: vault.rotate(None),
    ):
        with pytest.raises(SettingsError, match="is not there"):
            use()
    assert not (tmp_path / "secret.key").exists()
    assert Vault(home=tmp_path / "empty").values() == {}


def test_a_key_comes_from_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY.hex()}\n")
    file.chmod(0o600)

    assert read_key(f"file:{file}") == read_key(KEY.hex()) == KEY
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="others can read"):
        read_key(f"file:{file}")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_key(f"file:{tmp_path / 'none'}")


class Ring(KeyringBackend):
    """A keyring in memory, of the library's own making."""

    priority = 1.0  # type: ignore[assignment]  # the library's own backends say it so

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("it is locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def test_a_key_comes_from_the_keyring_which_is_loaded_for_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, before = Ring(), keyring.get_keyring()
    keyring.set_keyring(ring)
    try:
        with pytest.raises(SettingsError, match="has no 'mill'") as refused:
            read_key("keyring:mill")
        assert "keyring set nightmill mill" in refused.value.hint
        keyring.set_password("nightmill", "mill", KEY.hex())
        Vault(home=tmp_path, key=read_key("keyring:mill")).put("A", SECRET, at=1.0)
        ring.locked = True
        with pytest.raises(SettingsError, match="it is locked"):
            read_key("keyring:mill")
    finally:
        keyring.set_keyring(before)

    assert Vault(home=tmp_path, key=KEY).get("A") == SECRET
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert read_key(KEY.hex()) == KEY
    with pytest.raises(SettingsError, match="wants the extra"):
        read_key("keyring:mill")


@pytest.fixture
def guarded(url: str) -> Iterator[Database]:
    """A store that knows a secret."""
    database = Database.open(url, hidden=Redaction(lambda: [SECRET, "short"]))
    yield database
    database.close()


def test_no_secret_gets_into_the_ledger_the_runs_or_a_blob_however_it_is_spelt(
    guarded: Database, tmp_path: Path
) -> None:
    ledger, blobs = Ledger(guarded, lambda: 1.0), Blobs(tmp_path, hidden=guarded.hidden)
    queued = e.RunQueued(run="r", kind="task", title=f"use {SECRET}", project="p", spec="s", model="m")
    Runs(guarded, lambda: 1.0).create(queued, assignment="a")
    coded = base64.b64encode(SECRET.encode()).decode()

    ledger.emit(
        e.RunParked(run="r", reason=f"401: {SECRET} and correct%20%22horse%22%20battery, short", needs="person")
    )
    ledger.append([e.AgentNudged(run="r", turn=1, guard="g", message=coded)])
    ledger.close()
    digest = blobs.put(f"before {SECRET} after".encode())

    assert Runs(guarded, lambda: 1.0).get("r").reason == "401: ******** and ********, short"
    assert Runs(guarded, lambda: 1.0).get("r").title == "use ********"
    assert json.loads(ledger.read(names={"run_queued"})[0].body)["title"] == "use ********"
    assert json.loads(ledger.read(names={"agent_nudged"})[0].body)["message"] == "********"
    assert blobs.get(digest) == b"before ******** after"
    assert ledger.verify() is None


@pytest.mark.parametrize("before", ["", "u", "us", "usr"])
@pytest.mark.parametrize("code", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_in_a_longer_text_in_base64_goes_wherever_it_begins(
    before: str, code: Callable[[bytes], bytes]
) -> None:
    text = code(f"{before}:{SECRET}\n".encode()).decode()

    hidden = Redaction(lambda: [SECRET]).exact(f"Authorization: Basic {text}".encode()).decode()

    assert "********" in hidden
    left = hidden.removeprefix("Authorization: Basic ").replace("********", "")
    assert len(left) <= len(code(f"{before}:xx\n".encode())) + 4, left


SPELT: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "HTML": html.escape,
    "an address": quote,
    "a part of an address": lambda secret: quote(secret, safe=""),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "large hexadecimal": lambda secret: secret.encode().hex().upper(),
}


@pytest.mark.parametrize("spell", SPELT.values(), ids=SPELT)
def test_a_secret_is_hidden_however_a_format_spells_it_and_a_mark_leads_back_to_that(
    spell: Callable[[str], str],
) -> None:
    secret = 'a<b/c "d" & e'
    redaction, spelt = Redaction(lambda: [secret]), spell(secret)
    text = f"before {spelt} after"

    assert redaction.text(text) == "before ******** after"
    assert redaction.exact(text.encode()) == b"before ******** after"
    assert redaction.plain({"x": text}) == {"x": "before ******** after"}
    (mark,) = redaction.marks(redaction.marked(text))
    assert redaction.behind(text) == {mark: spelt}


def test_what_people_and_agents_write_beside_the_ledger_is_hidden_too(guarded: Database) -> None:
    queued = e.RunQueued(run="r", kind="task", title="t", project="p", spec="s", model="m")
    Runs(guarded, lambda: 1.0).create(queued, assignment="a")
    questions = Questions(guarded, lambda: 1.0)
    asked = questions.ask(Question(id="r/q", run="r", step="q", kind="answer", title=f"Is it {SECRET}?"))
    questions.answer(asked.id, f"yes, {SECRET}", by="Ada <ada@example.org>")
    Runs(guarded, lambda: 1.0).say("r", f"try {SECRET}", by="Ada <ada@example.org>")
    note = Note(project="p", run="r", key="k", kind="discovery", who="w", text=f"it is {SECRET}", spec="s", tree="t")
    notes.keep(guarded, [note])
    key = results.Key(project="p", environment="e", tree="t", command="c")
    results.keep(guarded, key, results.Result(run="r", turn=1, exit=0, output=f"> {SECRET}", seconds=1.0, at=1.0))

    with guarded.read() as connection:
        rows = [str(row) for table in tables.metadata.sorted_tables for row in connection.execute(sa.select(table))]
    assert rows
    assert not [row for row in rows if SECRET in row or json.dumps(SECRET)[1:-1] in row]
    assert sum("********" in row for row in rows) >= 6


def test_a_secret_is_hidden_in_names_too_and_a_key_in_a_diff_line_by_line() -> None:
    hide = Redaction(lambda: ["correct-horse-battery"])
    lines = ["Ab3/" * 16, "xY9+" * 16, "short=="]
    patch = "\n".join(["+-----BEGIN PRIVATE KEY-----", *(f"+{each}" for each in lines), " next = 1", f"-{lines[0]}"])

    told = hide.plain({"correct-horse-battery": {"x-correct-horse-battery": 1}})
    shown = hide.patch(patch).split("\n")

    assert told == {"********": {"x-********": 1}}
    assert shown == ["+-----BEGIN PRIVATE KEY-----", "+********", "+********", "+********", " next = 1", f"-{lines[0]}"]
