"""An ask through a server comes to the same, with the same words and status; a model is asked once, and one run is started."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.server.api import intake
from tests.cli.conftest import HOSTILE, Done
from tests.cli.test_alike import Both, both
from tests.cli.test_dispatcher import ASK, picks, says
from tests.conftest import Scripted, ScriptedFactory
from tests.server.conftest import role
from tests.whole import MODELS

__all__ = ["both"]

RUN = ("ask", ASK, "--blueprint", "quick")
SAME = [
    RUN,
    (*RUN, "--json"),
    ("ask", ""),
    ("ask", "x" * 30_000),
    ("ask", "hm"),
    ("ask", "hm", "--json"),
    ("ask", "deploy it to production and delete the old one", "--no-model"),
    ("ask", f"make it nicer {HOSTILE}", "--no-model"),
    ("ask", f"make it nicer {HOSTILE}", "--no-model", "--json"),
    ("ask", ASK, "--no-model"),
    ("ask", ASK, "--no-model", "--json"),
    ("ask", ASK, "--blueprint", "quick", "--json"),
    ("ask", ASK, "--blueprint", "own"),
    ("ask", ASK, "--blueprint", "nothing"),
    ("ask", "write tests", "--set", "target=calc.py", "--no-model"),
    ("ask", "write tests", "--blueprint", "write-tests", "--set", "target=calc.py", "--json"),
    ("ask", "write tests", "--blueprint", "write-tests", "--set", "nothing=1"),
    ("ask", "find out why the tests are slow, and write tests for calc.py, and rename add to plus", "--no-model"),
]


def model(both: Both, scripted: ScriptedFactory, script: dict[str, Any], *more: str) -> Scripted:
    """A model that the store here and the server ask."""
    made = scripted({"roles": script}, *more)
    door = both.house.door
    for name, value in (("model", MODELS["anthropic"]), ("base_url", made.url), ("retries", 0)):
        object.__setattr__(door.settings, name, value)
        both.monkeypatch.setenv(f"NIGHTMILL_{name.upper()}", str(value))
    object.__setattr__(door, "keys", lambda: {"anthropic": "key"})
    return made


def asked(made: Scripted) -> int:
    return made.log_file.read_text().count("\n")


def test_an_ask_comes_to_the_same(both: Both) -> None:
    kinds = set()
    for args in SAME:
        here, there = both.local(*args), both.afar(*args)
        assert there == here, args
        assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(there.out + there.err), args
        kinds.add(there.code)
    assert kinds == {1, 2, 3}
    assert json.loads(both.afar(*RUN, "--json").out)["kind"] == "run"


def test_a_model_is_asked_there_and_paid_for_once(both: Both, scripted: ScriptedFactory) -> None:
    made = model(both, scripted, {"picks": picks("quick", sees="(one)"), "babbles": says("} \x1b[2J", sees="(two)")})
    there = both.afar("ask", f"{ASK} (one)", "--json")
    assert (there.code, json.loads(there.out)["blueprint"], asked(made)) == (3, "quick", 1)
    assert "was asked which process it is: $" in there.err
    assert both.local("ask", f"{ASK} (one)", "--json").err == there.err
    assert both.afar("ask", f"{ASK} (two)") == both.local("ask", f"{ASK} (two)")
    assert asked(made) == 4
    with both.house.program("eve@example.org", role("operator")) as client:
        where = f"/api/v1/projects/{both.project}/ask"
        sent = {"json": {"words": f"{ASK} (one)", "think": True}, "headers": {"Idempotency-Key": "k"}}
        first, again = (client.post(where, **sent) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    assert first.json()["proposal"]["blueprint"] == "quick"
    assert asked(made) == 5
    assert len(both.told("dispatcher_asked")) == 5


def test_a_model_that_does_not_answer_is_waited_for_no_longer_than_who_asks(
    both: Both, scripted: ScriptedFactory
) -> None:
    slow = {
        **picks("quick", sees="(one)"),
        "turns": [{"text": "", "fault": {"kind": "slow_first_token", "times": "always"}}],
    }
    model(both, scripted, {"picks": slow}, "--slow", "30")
    both.monkeypatch.setattr(intake, "SECONDS", 0.3)
    there = both.afar("ask", f"{ASK} (one)", "--json")
    assert (there.code, json.loads(there.out)["kind"]) == (3, "which")
    assert "did not answer within 0.3 s" in there.out


def test_who_asks_too_often_is_told_so_and_four_ask_at_once(both: Both) -> None:
    with both.house.program("eve@example.org", role("operator")) as client:
        where, wish = f"/api/v1/projects/{both.project}/ask", {"words": "hm", "think": True}
        for _ in range(4):
            assert intake.AT_ONCE.acquire(blocking=False)
        try:
            full = client.post(where, json=wish)
            assert (full.status_code, full.headers["Retry-After"]) == (503, "5")
            assert client.post(where, json={"words": "hm"}).status_code == 200
        finally:
            intake.AT_ONCE.release(4)
        assert [client.post(where, json=wish).status_code for _ in range(12)].count(429) >= 1


def test_exactly_what_was_proposed_is_started_and_once(both: Both, scripted: ScriptedFactory) -> None:
    model(both, scripted, {"picks": picks("quick", sees="(one)")})
    started = both.afar(*RUN, "--yes", "--detach")
    assert started.code == 0, started.err
    run = both.house.door.runs.get(started.out.split("\n")[-2])
    assert (run.project, run.title, run.state) == (both.project, ASK, "queued")
    told = json.loads(both.afar(*RUN, "--yes", "--json").out)
    assert both.house.door.runs.get(told["run"]).id != run.id, "who asks again wants it again"
    proposed = json.loads(both.afar(*RUN, "--json").out)
    errand = {
        "title": proposed["title"],
        "words": proposed["title"],
        "blueprint": proposed["blueprint"],
        "closure": proposed["closure"],
        "inputs": proposed["inputs"],
    }
    where, before = f"/api/v1/projects/{both.project}/errands", len(both.house.door.runs.list())
    with both.house.program("eve@example.org", role("operator")) as client:
        headers = {"Idempotency-Key": "k"}
        first, again = (client.post(where, json=errand, headers=headers) for _ in range(2))
        other = client.post(where, json={**errand, "closure": "0" * 64})
        unknown = client.post(where, json={**errand, "inputs": {"nothing": 1}})
    assert (first.status_code, again.json()["id"]) == (201, first.json()["id"]), first.text
    assert (other.status_code, "not as it was when it was chosen" in other.text) == (409, True)
    assert (unknown.status_code, "has no input 'nothing'" in unknown.text) == (409, True)
    assert len(both.house.door.runs.list()) == before + 1
    queued = both.told("run_queued")[-1]
    assert (queued["project"], queued["blueprint"]) == (both.project, proposed["blueprint"])


def test_who_may_only_look_asks_nothing(both: Both) -> None:
    viewer = both.token("vic@example.org", "viewer")
    refused: Done = both.afar(*RUN, token=viewer)
    assert (refused.code, "may not operate" in refused.err) == (1, True)
    assert both.house.door.runs.list() == []


@pytest.mark.parametrize("base", ["-x", "a b", "none"])
def test_a_base_that_cannot_be_is_refused(both: Both, scripted: ScriptedFactory, base: str) -> None:
    model(both, scripted, {"picks": picks("quick", sees="(one)")})
    assert both.afar(*RUN, "--yes", "--detach", f"--base={base}").code == 1
    assert both.house.door.runs.list() == []


def test_a_request_for_a_blueprint_is_written_here(both: Both) -> None:
    args = ("ask", "deploy it to production and delete the old one", "--no-model", "--request", "wanted.yaml")
    texts = []
    for at in (both.local, both.afar):
        assert at(*args).code == 2
        texts.append((both.root / "wanted.yaml").read_text())
        (both.root / "wanted.yaml").unlink()
    assert texts[0] == texts[1]
    assert "Kim <kim@example.org>" in texts[0]
