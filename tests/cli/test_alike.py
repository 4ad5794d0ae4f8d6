"""What a project has is told and changed with the same words by the store here and by a server, whatever is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nightmill.access import ACTS, RoleName
from nightmill.crew import Memory
from nightmill.crew import Note as Remark
from nightmill.crew.memory import Person
from nightmill.estate.file import identify
from nightmill.store import notes, projects
from tests import whole
from tests.cli.conftest import HOSTILE, Done, Here
from tests.server.conftest import House, role
from tests.whole import Mill

KIM = "Kim <kim@example.org>"
YAML = '"Our own \\x1b[2J way \\u202e\\x9b"'
OWN = f"""\
name: own
title: {YAML}
description: Made for tests.
cues: [do it our way]
inputs: {{what: {{type: text, doc: "What \\x9b it is"}}}}
steps:
  - id: work
    agent: developer
    goal: Do it.
  - id: proof
    check: all
"""
FILES = {
    **whole.FILES,
    "SPEC.md": whole.SPEC.format(title=""),
    ".nightmill/blueprints/own.yaml": OWN,
    ".nightmill/blueprints/calls.yaml": "name: calls\ntitle: Calls own\nsteps:\n- id: a\n  call: own\n  inputs: {what: '\"x\"'}\n"
    "- {id: p, check: all}\n",
    ".nightmill/blueprints/broken.yaml": "name: broken\ntitle: Broken\nsteps:\n  - {id: a, agent: nobody, goal: x}\n",
    ".nightmill/blueprints/garbage.yaml": "name: [\x9b",
    ".nightmill/crew/painter.md": f"---\nname: painter\ndescription: {YAML}\nwrites: nothing\n---\nPaint \x1b[2J it.\n",
    ".claude/agents/other.md": "no role at all\n",
}


@dataclass
class Both:
    """A store with a project, the command line on it, and the same through its server from a home with nothing in it."""

    house: House
    root: Path
    project: str
    here: Here
    monkeypatch: pytest.MonkeyPatch
    mill: Mill

    def local(self, *args: str) -> Done:
        self.monkeypatch.setenv("NIGHTMILL_HOME", str(self.mill.home))
        self.monkeypatch.setenv("NIGHTMILL_PERSON", KIM)
        return self.here(*args)

    def afar(self, *args: str, token: str = "") -> Done:
        self.monkeypatch.setenv("NIGHTMILL_HOME", str(self.mill.folder / "other"))
        self.monkeypatch.delenv("NIGHTMILL_PERSON", raising=False)
        with self.monkeypatch.context() as patch:
            if token:
                patch.setenv("NIGHTMILL_TOKEN", token)
            return self.here("--server", self.house.url, *args)

    def token(self, address: str, *roles: RoleName, project: str = "") -> str:
        owner = self.house.let_in(address, *(role(each, project) for each in roles))
        return self.house.site.keys.make("t", owner=owner, scopes=ACTS, seconds=3600)

    def commit(self, path: str, text: str, *, mail: str = "bob@example.org") -> None:
        """Somebody's commit at the main branch, here and there."""
        (self.root / path).write_text(text)
        whole.git(self.root, "add", "--all")
        whole.git(self.root, "-c", f"user.email={mail}", "commit", "-q", "-m", "Change it")
        hub = self.house.door.hub(self.project)
        hub.advance("main", hub.take(self.root, "main"))

    def told(self, *names: str) -> list[dict[str, Any]]:
        return [each.event().to_plain() for each in self.house.door.ledger.read(names=names)]


@pytest.fixture
def both(mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    root = whole.repository(mill.folder / "calc", FILES)
    project = identify(root)
    monkeypatch.chdir(root)
    with mill.door() as store:
        house = House(store)
        hub = store.hub(project)
        hub.create()
        hub.advance("main", hub.take(root, "main"))
        projects.keep(store.database, projects.Known(id=project, root=root, hub=hub.path, added=1.0))
        house.start()
        found = Both(house, root, project, here, monkeypatch, mill)
        monkeypatch.setenv("NIGHTMILL_TOKEN", found.token("kim@example.org", "operator", "approver"))
        yield found
        house.stop()
    assert not (mill.folder / "other").exists(), "something here was used"


def note(number: int, project: str) -> notes.Note:
    named = {"run": "r1", "key": f"qa/{number}", "kind": "discovery", "who": "qa", "spec": "s", "tree": "t" * 40}
    return notes.Note(
        project=project, text=f"note {number} {HOSTILE}", files={"a\u202e.py": "b"}, at=number // 2, **named
    )


def remember(both: Both, *said: str) -> None:
    ada = Person(name="Ada", email="ada@example.org")
    for number, each in enumerate(said):
        made = Remark(project=both.project, role="qa", run="r1", kind="guard", key=str(number), said=each, at=1e9)
        Memory(both.mill.home).add(made, author=ada)


SAME = [
    ("crew",),
    ("crew", "--json"),
    ("crew", "painter"),
    ("crew", "painter", "--json"),
    ("crew", "nobody"),
    ("crew", "qa", "--forget", "9"),
    ("crew", "--memory"),
    ("policy",),
    ("policy", "--json"),
    ("policy", "nightmill.yaml", "calc.py"),
    ("policy", "nightmill.yaml", "--json"),
    ("notes", "list"),
    ("notes", "list", "--json"),
    ("notes", "forget"),
    ("notes", "forget", "r1/none"),
    ("blueprint", "list"),
    ("blueprint", "list", "--json"),
    *(
        ("blueprint", "show", name, *more)
        for name in ("own", "calls", "broken", "garbage", "quick", "nothing")
        for more in ((), ("--json",), ("--source",))
    ),
    *(("blueprint", "draw", name) for name in ("own", "deliver", "garbage", "nothing")),
    ("blueprint", "diff", "own"),
    ("blueprint", "diff", "own", "calls"),
    ("blueprint", "diff", "own", "calls", "--json"),
    ("blueprint", "diff", "own", "garbage"),
    ("blueprint", "diff", "own", ".nightmill/blueprints/calls.yaml"),
    ("blueprint", "explain", "own"),
    ("blueprint", "explain", "own", "--json"),
    ("blueprint", "explain", "own", "--spec", "SPEC.md"),
    ("blueprint", "explain", "deliver", "--spec", "SPEC.md", "--json"),
    ("blueprint", "explain", "broken"),
    ("blueprint", "explain", "own", "--spec", "none.md"),
    ("blueprint", "show", ".nightmill/blueprints/own.yaml"),
    ("blueprint", "check"),
    ("blueprint", "check", "own", "--json"),
    ("blueprint", "test"),
    ("blueprint", "revoke", "own"),
    ("blueprint", "approve", "broken", "--digest", "0"),
    ("blueprint", "approve", "quick"),
    ("blueprint", "approve", "own", "--digest", "0123"),
]


def test_what_is_looked_at_is_told_alike(both: Both) -> None:
    notes.keep(both.house.door.database, [note(number, both.project) for number in range(230)])
    remember(both, "broke it")
    for args in SAME:
        assert both.afar(*args) == both.local(*args), args
        said = both.afar(*args)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", said.out + said.err), (args, said)
    assert both.local("notes", "list").out.count("\n") == 230


def test_what_a_role_remembers_is_told_and_taken_out_alike(both: Both) -> None:
    assert both.afar("crew", "qa", "--memory") == both.local("crew", "qa", "--memory")
    remember(both, "broke one", "broke two")
    here, there = both.local("crew", "qa", "--memory"), both.afar("crew", "qa", "--memory")
    assert (here.out, here.code, there.err) == (there.out, there.code, "")
    assert "broke two" in there.out
    plain = [json.loads(at("crew", "qa", "--memory", "--json").out) for at in (both.local, both.afar)]
    assert plain[1] == {**plain[0], "folder": ""}, "where that is at the server helps nobody here"

    gone = both.afar("crew", "qa", "--forget", "1")
    assert gone == both.local("crew", "qa", "--forget", "2") or gone.code == 0
    assert "broke one" in gone.err
    assert "broke one" not in both.local("crew", "qa", "--memory").out
    assert Memory(both.mill.home).page(both.project, "qa").notes[0].endswith("broke two")


def test_a_note_that_moved_up_meanwhile_is_not_taken_out_for_another(both: Both) -> None:
    remember(both, "broke one", "broke two")
    first = Memory(both.mill.home).page(both.project, "qa").notes[0]
    with both.house.program("eve@example.org", role("operator")) as client:
        where = f"/api/v1/projects/{both.project}/crew/qa/forget"
        asked = {"json": {"number": 1, "note": first}, "headers": {"Idempotency-Key": "k"}}
        once, again = client.post(where, **asked), client.post(where, **asked)
        other = client.post(where, json={"number": 1, "note": first})
    assert (once.status_code, again.json(), other.status_code) == (200, once.json(), 409)
    assert "another one by now" in other.json()["detail"]
    assert len(Memory(both.mill.home).page(both.project, "qa").notes) == 1


def test_notes_are_deleted_alike_and_the_ledger_knows_by_whom(both: Both) -> None:
    notes.keep(both.house.door.database, [note(number, both.project) for number in range(5)])
    assert both.afar("notes", "forget", "r1/qa/1", "r1/none").code == 1
    assert len(notes.newest(both.house.door.database, both.project)) == 5
    assert (
        both.afar("notes", "forget", "r1/qa/1")
        == both.local("notes", "forget", "r1/qa/2")
        == Done(0, "", "1 deleted\n")
    )
    viewer = both.token("eve@example.org", "viewer")
    assert "may not operate" in both.afar("notes", "forget", "--all", token=viewer).err
    assert both.afar("notes", "forget", "--all").err == "3 deleted\n"
    assert [(each["count"], each["by"]) for each in both.told("notes_forgotten")] == [(1, KIM), (1, KIM), (3, KIM)]


def digest(both: Both, name: str, kind: str = "digest") -> str:
    found: str = json.loads(both.afar("blueprint", "show", name, "--json").out)[kind]
    return found


def test_a_blueprint_is_approved_of_revoked_and_compared_alike(both: Both) -> None:
    both.commit(".nightmill/blueprints/own.yaml", OWN.replace("Do it.", "Do this."))
    own = digest(both, "own")
    said = both.afar("blueprint", "approve", "own", "--digest", own[:12])
    assert both.afar("blueprint", "revoke", "own") == both.local("blueprint", "revoke", "own") or said.code == 0
    assert "approved own version 1" in said.err
    assert both.local("blueprint", "approve", "own", "--digest", own[:12]) == said
    assert both.afar("blueprint", "approve", "own") == both.local("blueprint", "approve", "own")
    both.commit(".nightmill/blueprints/own.yaml", OWN)
    for args in (("list", "--json"), ("list",), ("show", "own"), ("diff", "own"), ("diff", "own", "--json")):
        assert both.afar("blueprint", *args) == both.local("blueprint", *args), args
    assert "~ work: goal: Do this. → Do it." in both.afar("blueprint", "diff", "own").out
    assert both.afar("blueprint", "revoke", "own", "--digest", "00").code == 1
    assert both.afar("blueprint", "revoke", "own").err == "revoked 1 of own: version 1\n"
    assert [each["by"] for each in both.told("blueprint_revoked")] == [KIM, KIM]


def test_nobody_approves_of_what_they_have_not_seen(both: Both) -> None:
    unsaid = both.afar("blueprint", "approve", "own")
    assert (unsaid.code, "which own you looked at" in unsaid.err) == (1, True)
    seen, closure = digest(both, "own"), digest(both, "own", "closure")
    both.commit(".nightmill/blueprints/own.yaml", OWN.replace("Do it.", "Do something else."))
    late = both.afar("blueprint", "approve", "own", "--digest", seen)
    assert (late.code, "is not what you looked at" in late.err) == (1, True)
    with both.house.program("eve@example.org", role("approver")) as client:
        where = f"/api/v1/projects/{both.project}/blueprints/own/approve"
        forced = client.post(where, json={"closure": closure})
        assert (forced.status_code, "not what you looked at any more" in forced.json()["detail"]) == (409, True)
    assert both.told("blueprint_approved") == []


def test_who_looked_at_the_file_alone_has_not_seen_what_it_calls(both: Both) -> None:
    refused = both.afar("blueprint", "approve", "calls", "--digest", digest(both, "calls"))
    assert "give the one with all that it calls" in refused.err
    shown = re.search(r"with all that it calls · sha256 (\w+)", both.afar("blueprint", "show", "calls").out)
    assert shown
    both.commit(".nightmill/blueprints/own.yaml", OWN.replace("Do it.", "Do something else."))
    assert both.afar("blueprint", "approve", "calls", "--digest", shown[1]).code == 1
    assert both.afar("blueprint", "approve", "calls", "--digest", digest(both, "calls", "closure")[:12]).code == 0


@pytest.mark.parametrize("way", ["author", "trailer", "page"])
def test_who_wrote_what_changed_does_not_approve_of_it(both: Both, way: str) -> None:
    assert both.local("blueprint", "approve", "own").code == 0
    message = "Change it" if way != "trailer" else "Change it\n\nCo-Authored-By: Eve <EVE@example.org>"
    (both.root / ".nightmill/blueprints/own.yaml").write_text(OWN.replace("Do it.", "Let me in."))
    whole.git(both.root, "add", "--all")
    mail = "bob@example.org" if way == "trailer" else "eve@example.org"
    whole.git(both.root, "-c", f"user.email={mail}", "commit", "-q", "-m", message)
    both.commit(".nightmill/blueprints/own.yaml", OWN.replace("Do it.", "Let me in. "), mail="mal@example.org")
    if way == "page":
        with both.house.browser("eve@example.org", role("approver")) as browser:
            page = browser.get(f"/blueprints/{both.project}/own").text
            assert ("You have written part of it" in page, "Approve it as it is" in page) == (True, False)
            where = f"/blueprints/{both.project}/own/approve"
            said = browser.post(where, data={"closure": digest(both, "own", "closure")}).text
    else:
        token = both.token("eve@example.org", "approver")
        said = both.afar("blueprint", "approve", "own", "--digest", digest(both, "own"), token=token).err
    assert "eve@example.org has written part of" in said
    assert len(both.told("blueprint_approved")) == 1
    # Ada wrote the first one, which was approved of: what is new is not hers.
    assert both.afar("blueprint", "approve", "own", "--digest", digest(both, "own")).code == 0


def test_a_role_elsewhere_sees_nothing_and_a_viewer_changes_nothing(both: Both) -> None:
    elsewhere = both.token("eve@example.org", "admin", project="barn")
    viewer = both.token("vic@example.org", "viewer")
    for args in (("crew",), ("policy",), ("notes", "list"), ("blueprint", "list"), ("blueprint", "explain", "own")):
        assert f"there is no project '{both.project}' that you may see" in both.afar(*args, token=elsewhere).err
        assert both.afar(*args, token=viewer) == both.local(*args)
    refused = both.afar("blueprint", "approve", "own", "--digest", digest(both, "own"), token=viewer)
    assert (refused.code, "may not approve" in refused.err) == (1, True)


def test_a_project_is_named_by_its_id_where_it_has_no_checkout(both: Both, tmp_path: Path) -> None:
    here = both.local("crew", "--json")
    (tmp_path / "nowhere").mkdir()
    both.monkeypatch.chdir(tmp_path / "nowhere")
    assert both.afar("crew", "--json", "--project", both.project) == here
    assert both.afar("blueprint", "show", "own", "--project", both.project).code == 0
    assert both.afar("notes", "list", "--project", both.project).code == 0
