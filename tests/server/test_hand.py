"""What a person does with a run from its page: by keyboard, by commands to copy, and taking over its work."""

from __future__ import annotations

import shlex
from pathlib import Path

from nightmill import event as e
from scripts import reference
from tests.browser import seen_by
from tests.report.others import under_way
from tests.server.conftest import House, role
from tests.server.past import went
from tests.server.shelf import shelve
from tests.server.test_run_page import EVIL, HTML, Elements, look


def test_who_reads_it_by_keyboard_stays_where_they_are_and_hears_of_a_state_once(house: House) -> None:
    run = shelve(house.door, under_way())
    house.let_in("ada@example.org", role("operator"))
    with seen_by(house, "ada@example.org") as page:
        page.goto(f"/runs/{run}")
        page.locator("html[data-connection=live]").wait_for(state="attached")
        page.locator("#rewind-of").press("Enter")
        page.locator("#to").select_option("0")
        page.locator(".legend").first.click()
        lost = page.locator("#drawn a.turn").first
        lost.focus()
        at = page.evaluate("document.activeElement.getAttribute('aria-label')")
        page.evaluate("document.querySelector('#drawn').dataset.old = ''")
        assert page.locator("#news").text_content() == ""
        house.tell(e.RunParked(run=run, reason="No key", needs="person"))
        page.locator("#drawn:not([data-old])").wait_for(state="attached", timeout=60_000)

        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == at
        assert page.locator("#to").input_value() == "0"
        assert "waits for you" in (page.locator("#news").text_content() or "")
        assert "waits for you" in page.title()
        house.stop()
        page.get_by_text("The server is away.").wait_for(timeout=60_000)
        house.start()
        page.locator("html[data-connection=live]:not([data-away])").wait_for(state="attached", timeout=60_000)


def commands(text: str) -> list[list[str]]:
    """The commands of ours that a page has to copy, as a shell would split them."""
    copied = [str(named["data-copy"]) for _, named in Elements(text).found if "data-copy" in named]
    return [shlex.split(each.partition(" > ")[0])[1:] for each in copied if each.startswith("nightmill ")]


def test_every_command_that_it_shows_is_one_that_there_is(house: House) -> None:
    run = shelve(house.door, under_way())
    house.asks(run, kind="answer", title="Which one?")
    house.asks(run, title="May it?", step="gate", id=f"{run}/gate")
    text = look(house, run, role("operator"), role("approver"))
    found = commands(text)

    assert {"pause", "say", "rewind", "sandbox", "cancel", "answer", "approve", "refuse"} <= {each[0] for each in found}
    known = reference.commands()
    for words in found:
        length = next(at for at in (2, 1) if f"nightmill {' '.join(words[:at])}" in known)
        known[f"nightmill {' '.join(words[:length])}"].make_context("nightmill", words[length:])


def test_an_answer_is_given_otherwise_as_a_new_run(house: House, tmp_path: Path) -> None:
    run = went(house, tmp_path)
    asked = house.asks(run, kind="answer", title=f"Which one? {EVIL}", options=("left", "right"))
    house.door.questions.answer(asked, "left", by="Ada <ada@example.org>")
    text = look(house, run, role("operator"))
    with house.browser("bob@example.org", role("operator")) as client:
        wrong = client.post(f"/runs/{run}/rewind", data={"question": asked, "answer": "up"})
        made = client.post(f"/runs/{run}/rewind", data={"question": asked, "answer": "right"})
        nothing = client.post(f"/runs/{run}/rewind", data={})

    assert f'name="question" value="{asked}"' in text
    assert [each.status_code for each in (wrong, made, nothing)] == [409, 303, 409]
    new = made.headers["location"].rpartition("/")[2]
    (edit,) = (entry.event() for entry in house.door.ledger.read(run=new, names=("past_edited",)))
    assert isinstance(edit, e.PastEdited)
    assert (edit.kind, edit.what, edit.by) == ("answer", asked, "Bob <bob@example.org>")


def test_whoever_takes_over_is_given_the_branch_that_holds_the_work(house: House, tmp_path: Path) -> None:
    run = went(house, tmp_path)
    before = look(house, run, role("operator"))
    house.tell(
        e.WorkPreserved(run=run, branch=f"nightmill/wip/{run}", commit="b" * 40),
        e.RunStopped(run=run, why="cancelled", reason="Cancelled"),
    )
    after = look(house, run, role("operator"), who="bob@example.org")

    assert f"git diff --cached --binary {'0' * 40}" in before
    assert "git fetch" not in before
    assert f"nightmill/wip/{run} &amp;&amp; git switch" in after
    assert {"pause", "cancel", "say"}.isdisjoint(each.rpartition("/")[2] for each in Elements(after).forms())
    assert "rewind" in {each.rpartition("/")[2] for each in Elements(after).forms()}
    assert "git fetch" not in look(house, run, role("viewer"), who="eve@example.org")


def test_only_turns_that_can_be_gone_on_from_are_offered(house: House, tmp_path: Path) -> None:
    run, put = went(house, tmp_path), house.door.blobs.put

    def turn(number: int, ending: str) -> e.TurnFinished:
        record, usage = put(f'{{"turn": {number}, "ending": {ending}}}'.encode()), {"input": 1, "output": 1}
        return e.TurnFinished(
            run=run, turn=number, role="developer", model="m", record=record, snapshot="s", usage=usage, cost=0.0, calls=0,
            seconds=1.0,
        )  # fmt: skip

    house.tell(turn(2, "null"), turn(3, "null"), e.AgentFinished(run=run, turn=3, summary="Done", role="developer"))
    house.tell(turn(4, '{"kind": "stuck"}'))
    text = look(house, run, role("operator"))
    house.tell(
        turn(5, "null"), e.PullRequestOpened(run=run, number=1, branch="b", target="main", title="t"), turn(6, "null")
    )
    after = look(house, run, role("operator"), who="bob@example.org")

    assert [f'<option value="developer/{at}">' in text for at in range(1, 5)] == [True, True, False, False]
    assert [f"moment?to=developer/{at}" in text for at in range(1, 5)] == [True, True, False, False]
    assert [f'<option value="developer/{at}">' in after for at in range(1, 7)] == [True, True, False, True, True, False]


def test_a_run_of_a_spec_shows_no_conversation_that_it_never_has(house: House) -> None:
    queued = e.RunQueued(run="rspec1", kind="spec", title="Two", project="shop", spec="s", model="m")
    house.door.runs.create(queued, assignment="a")
    house.run("rspec1-1", parent="rspec1")
    usage = {"input": 9, "output": 1}
    house.tell(
        e.TurnFinished(
            run="rspec1-1",
            turn=1,
            role="developer",
            model="m",
            record="",
            snapshot="",
            usage=usage,
            cost=0.5,
            calls=0,
            seconds=1.0,
        )
    )
    text = look(house, "rspec1", role("viewer"))
    with house.browser("bob@example.org", role("viewer")) as client:
        night = client.get("/", headers=HTML).text

    assert "No turn has begun" not in text
    assert "Nothing proven" not in text
    assert "$0.500" in night
