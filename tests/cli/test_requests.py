"""What a model was sent is rebuilt at the server as on the machine, for who may see the run, without what looks like a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightmill import event as e
from nightmill.agent import Brief, TurnRecord
from nightmill.line.brief import write_brief
from nightmill.line.record import write_record
from nightmill.model import Message, ModelReply, Text, ToolCall, ToolResult, Usage
from tests.cli.conftest import HOSTILE
from tests.cli.test_alike import Both, both
from tests.server.past import went

__all__ = ["both"]

WORD = "q7Zr9Xk2Lm4Vt8Bn6Wc3Yd5Hs1Jf0Pg"
"""As a model makes one up; what a tool showed it were marks."""


def went_on(both: Both, run: str, turn: int, text: str, *, sent: str = "", role: str = "developer") -> None:
    """A turn of *run* in which its model said *text*, and gave it to a tool as a password."""
    blobs = both.house.door.blobs
    call = ToolCall(id=f"call_{turn}", name="run_command", arguments=json.dumps({"command": "ls", "password": text}))
    reply = ModelReply(
        model="m", parts=(Text(text=text), call), stop="tools", usage=Usage(input=9), cost=0.0, sent=sent
    )
    result = ToolResult(call=call.id, name=call.name, text=HOSTILE)
    messages = (Message(role="assistant", parts=reply.parts), Message(role="user", parts=(result,)))
    record = blobs.put(write_record(TurnRecord(turn=turn, reply=reply, messages=messages, changed=False)))
    told = e.TurnFinished(
        run=run, turn=turn, role=role, model="anthropic:m", record=record, snapshot="", usage={}, cost=0.0, calls=1,
        seconds=1.0,
    )  # fmt: skip
    both.house.tell(told)


@pytest.fixture
def run(both: Both, tmp_path: Path) -> str:
    """One whose model made up a secret in its second turn, so that it stands in the request of the third."""
    run = went(both.house, tmp_path)
    for role in ("developer", "qa"):
        brief = Brief(role=role, model="m", system=("Work.",), anchor="Mend it.", prompts={}, conversation="c")
        both.house.tell(
            e.AgentStarted(run=run, role=role, step="work", brief=both.house.door.blobs.put(write_brief(brief)))
        )
    went_on(both, run, 2, f"I take {WORD}")
    went_on(both, run, 3, "Done.", sent="0" * 64)
    went_on(both, run, 2, "I look.", role="qa")
    return run


def test_requests_are_listed_and_printed_alike(both: Both, run: str) -> None:
    both.house.run("rempty1")
    for args in (
        (run,),
        ("rpast",),
        (run, "--role", "developer"),
        (run, "--role", "nobody"),
        (run, "2"),
        (run, "2", "--role", "qa"),
        (run, "9"),
        (run, "1"),
        (run, "3", "--role", "qa"),
        (run, "0"),
        ("rnone", "1"),
        ("rnone",),
        ("rempty1",),
    ):
        here, there = both.local("requests", *args), both.afar("requests", *args)
        assert there == here or "rnone" in args, args
        assert (there.code, there.out) == (here.code, here.out), args
        assert "Traceback" not in there.err
    listed = both.afar("requests", run)
    assert [line.split("\t")[::3] for line in listed.out.splitlines()] == [
        ["2", "no reply"],
        ["3", "differs"],
        ["2", "no reply"],
    ]
    assert (listed.code, "another version" in listed.err) == (1, True)
    assert json.loads(both.afar("requests", run, "2").out)["system"], "it is the body, as its endpoint reads it"


def test_what_looks_like_a_secret_is_seen_where_the_store_is_and_nowhere_else(both: Both, run: str) -> None:
    here, there = both.local("requests", run, "3"), both.afar("requests", run, "3")
    assert here.out.count(WORD) == 2, "to be asked again with the very same"
    assert WORD not in there.out
    assert "\x9b" not in there.out
    assert json.loads(there.out)["messages"][-2]["content"][0]["text"] == "I take ********"
    assert json.loads(there.out).keys() == json.loads(here.out).keys()
    assert (there.code, "what looks like a secret is hidden" in there.err) == (1, True)
    assert "hidden" not in both.afar("requests", run, "2").err
    assert both.told("turn_finished"), "nothing was asked of a model for it"


def test_who_may_not_see_the_run_reads_no_request_of_it(both: Both, run: str) -> None:
    elsewhere, viewer = both.token("eve@example.org", "admin", project="barn"), both.token("vic@example.org", "viewer")
    for args in ((run,), (run, "2")):
        refused = both.afar("requests", *args, token=elsewhere)
        assert (refused.code, refused.out, f"there is no run '{run}' that you may see" in refused.err) == (1, "", True)
        assert both.afar("requests", *args, token=viewer).out == both.local("requests", *args).out
