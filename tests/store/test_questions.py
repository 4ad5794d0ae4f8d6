"""What waits for a person: each once, decided once, bound to what it was about."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nightmill.errors import EngineError, SettingsError
from nightmill.event import QuestionAsked, QuestionDecided, RunQueued, RunStopped
from nightmill.store import Database, Ledger, Question, Questions, Runs, tables

ADA, BOB = "Ada <ada@example.org>", "Bob <bob@example.org>"
TREE = "a" * 40
ASKED = Question(
    id="r1/approve/1",
    run="r1",
    step="approve",
    kind="approve",
    title="Merge the cart",
    body="b" * 64,
    tree=TREE,
    policy="p" * 64,
    barred=("developer@agents.example", "@agents.example"),
)


@pytest.fixture
def runs(database: Database) -> Runs:
    runs = Runs(database, lambda: 5.0)
    for name in ("r1", "r2"):
        runs.create(RunQueued(run=name, kind="task", title="t", project="p", spec="s", model="m"), assignment="blob")
    return runs


@pytest.fixture
def questions(database: Database, runs: Runs) -> Questions:
    return Questions(database, lambda: 7.0)


def told(database: Database) -> list[Any]:
    names = (QuestionAsked.name, QuestionDecided.name)
    return [entry.event() for entry in Ledger(database, lambda: 0.0).read(names=names)]


def hurry(database: Database, name: str) -> None:
    """Let the time of the question *name* be over by the database's clock."""
    with database.write() as connection:
        over = tables.question.update().where(tables.question.c.id == name)
        connection.execute(over.values(expires=sa.select(database.now - 1.0).scalar_subquery()))


def test_a_question_is_asked_once_however_often_a_step_runs(questions: Questions, database: Database) -> None:
    first, again = questions.ask(ASKED), questions.ask(replace(ASKED, title="in other words"))

    assert first == again == questions.get(ASKED.id)
    assert [each.id for each in questions.open()] == [ASKED.id]
    assert first.created > 1_600_000_000, "the time is the database's"
    assert (first.barred, first.expires) == (ASKED.barred, 0.0)
    (event,) = told(database)
    assert (event.tree, event.policy, event.body) == (TREE, ASKED.policy, ASKED.body)


def test_a_question_never_becomes_one_about_another_tree_or_policy(questions: Questions) -> None:
    questions.ask(ASKED)
    for other in ({"tree": "b" * 40}, {"policy": "q" * 64}, {"run": "r2"}, {"kind": "answer"}):
        with pytest.raises(EngineError, match="asked before"):
            questions.ask(replace(ASKED, **other))
    assert questions.get(ASKED.id).tree == TREE


def test_a_yes_is_bound_told_and_wakes_the_run(questions: Questions, runs: Runs, database: Database) -> None:
    questions.ask(ASKED)
    granted = questions.grant(ASKED.id, by=ADA, because="as agreed")

    assert (granted.state, granted.by, granted.answer) == ("granted", ADA, "as agreed")
    assert (granted.tree, granted.policy) == (TREE, ASKED.policy)
    assert granted.decided >= granted.created
    wish = runs.wanted(["r1"])["r1"]
    assert (wish.wanted, wish.by, wish.count) == ("run", ADA, 1)
    assert told(database)[1] == QuestionDecided(
        run="r1", question=ASKED.id, state="granted", by=ADA, answer="as agreed", tree=TREE, policy=ASKED.policy
    )
    assert questions.open() == []


def test_the_first_who_decides_has_decided_and_the_second_is_told_who_was_first(
    questions: Questions, runs: Runs, database: Database
) -> None:
    questions.ask(ASKED)
    questions.refuse(ASKED.id, by=ADA, because="it loses data")

    with pytest.raises(SettingsError, match=r"was refused by Ada <ada@example\.org>"):
        questions.grant(ASKED.id, by=BOB)
    assert questions.get(ASKED.id).state == "refused"
    assert runs.wanted(["r1"])["r1"].count == 1
    assert len(told(database)) == 2


def test_of_many_at_once_exactly_one_decides(url: str, questions: Questions) -> None:
    questions.ask(ASKED)
    start, won, lost = threading.Barrier(6), list[str](), list[str]()

    def decide(number: int) -> None:
        own = Database.open(url)
        try:
            start.wait(60)
            Questions(own, lambda: 7.0).grant(ASKED.id, by=f"P <p{number}@example.org>")
            won.append(f"P <p{number}@example.org>")
        except SettingsError as error:
            lost.append(error.message)
        finally:
            own.close()

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(won) == 1
    assert len(lost) == 5
    assert all(won[0] in message for message in lost)
    assert questions.get(ASKED.id).by == won[0]


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("Dev <DEVELOPER@agents.example>", "has a part in"),
        ("QA <qa@Agents.Example>", "has a part in"),
        ("Ada", "does not say who"),
        ("", "does not say who"),
    ],
)
def test_authors_and_agents_cannot_decide(questions: Questions, by: str, why: str) -> None:
    questions.ask(ASKED)
    for say in (questions.grant, lambda name, by: questions.refuse(name, by=by, because="no")):
        with pytest.raises(SettingsError, match=why):
            say(ASKED.id, by=by)
    assert questions.get(ASKED.id).state == "open"


def test_where_people_are_named_only_they_decide(questions: Questions) -> None:
    questions.ask(replace(ASKED, approvers=("ada@example.org",)))
    with pytest.raises(SettingsError, match="not among those") as caught:
        questions.grant(ASKED.id, by=BOB)
    assert "ada@example.org" in caught.value.hint
    assert questions.grant(ASKED.id, by="ADA <Ada@Example.org>").state == "granted"


def test_an_answer_is_a_text_or_one_of_those_to_choose_from(questions: Questions) -> None:
    ask = replace(ASKED, id="r1/ask/1", step="ask", kind="answer", tree="", policy="", options=("left", "right"))
    questions.ask(ask)
    with pytest.raises(SettingsError, match="none of its answers") as caught:
        questions.answer(ask.id, "up", by=ADA)
    assert "left, right" in caught.value.hint
    with pytest.raises(SettingsError, match="wants an answer"):
        questions.grant(ask.id, by=ADA)
    assert questions.answer(ask.id, "left", by=ADA).answer == "left"
    questions.ask(ASKED)
    with pytest.raises(SettingsError, match="a yes or a no"):
        questions.answer(ASKED.id, "left", by=ADA)


def test_a_question_whose_time_is_over_waits_no_longer_and_is_noted_once(
    questions: Questions, database: Database, runs: Runs
) -> None:
    asked = questions.ask(replace(ASKED, seconds=3600.0))
    assert asked.expires == pytest.approx(asked.created + 3600.0)
    hurry(database, ASKED.id)

    assert questions.open() == []
    with pytest.raises(SettingsError, match="its time is over"):
        questions.grant(ASKED.id, by=ADA)
    assert questions.get(ASKED.id).state == questions.get(ASKED.id).state == "expired"
    assert [each.state for each in told(database)[1:]] == ["expired"]
    assert runs.wanted(["r1"])["r1"].count == 0, "whoever waits has a clock of its own"


def test_nothing_waits_of_a_run_that_is_over(questions: Questions, database: Database) -> None:
    questions.ask(ASKED)
    questions.ask(replace(ASKED, id="r2/approve/1", run="r2"))
    Ledger(database, lambda: 9.0).append([RunStopped(run="r1", why="cancelled", reason="no more")])

    assert [each.run for each in questions.open()] == ["r2"]
    with pytest.raises(SettingsError, match="run r1 is stopped"):
        questions.grant(ASKED.id, by=ADA)


def test_a_decision_does_not_overrule_who_paused_or_cancelled_the_run(questions: Questions, runs: Runs) -> None:
    questions.ask(ASKED)
    runs.want("r1", "pause", by=BOB)
    questions.grant(ASKED.id, by=ADA)

    wish = runs.wanted(["r1"])["r1"]
    assert (wish.wanted, wish.by, wish.count) == ("pause", BOB, 1)
    assert questions.get(ASKED.id).state == "granted", "it is found when the run goes on"


def test_what_people_and_models_write_is_kept_by_both_databases(questions: Questions) -> None:
    hostile = "a\0b\ud800c"
    ask = replace(ASKED, kind="answer", title=hostile, options=())
    questions.ask(ask)
    assert questions.answer(ask.id, hostile, by=ADA).answer == questions.get(ask.id).answer == "a\\0b\\ud800c"


def test_what_there_is_not_is_said(questions: Questions) -> None:
    for look in (questions.get, lambda name: questions.grant(name, by=ADA)):
        with pytest.raises(SettingsError, match="no question 'none'"):
            look("none")
