"""Each way in which a model or its provider goes wrong: a finished run, or a stop that says why.

How each dialect tells what goes wrong is tests/model's to try; what comes of it is the same for all, so here they take
turns. All runs of this module go on at once, in one worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nightmill.agent.explore import MOST_TURNS
from tests.conftest import ScriptedFactory
from tests.faults.field import DEADLINE, Case, Field, Outcome
from tests.whole import EDIT, FINISH, LOOK, MODELS, TRY, Mill, repository, right_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(DEADLINE + 60)]

DIALECTS = tuple(MODELS)

ANYWHERE = (
    "empty",
    "max_tokens",
    "slow_first_token",
    "disconnect",
    "clean_cut",
    "stream_error",
    "rate_limit",
    "overloaded",
    "server_error",
)
"""Faults that any reply can have, and that one sound reply after it makes good."""
OF_CALLS = (
    "malformed_json",
    "truncated_json",
    "text_tool_call",
    "unknown_tool",
    "bad_param",
    "repeat_call",
    "premature_done",
    "duplicate_ids",
    "interleaved",
)
"""Faults that a reply with tool calls can have."""
OUTAGES = {
    "slow_first_token": "ReadTimeout",
    "disconnect": "peer closed connection",
    "clean_cut": "the stream ended before the reply did",
    "stream_error": "in the stream",
    "rate_limit": "429",
    "overloaded": "verloaded",
    "server_error": "500",
}
"""Faults of the way to the provider, and what the reason for waiting says of them."""
LASTING = {
    "malformed_json": "repeated call, 4 times",
    "truncated_json": "failing calls, 4 times",
    "unknown_tool": "repeated call, 4 times",
    "bad_param": "repeated call, 4 times",
    "repeat_call": "repeated call, 4 times",
    "premature_done": "monologue, 4 times",
    "empty": "empty, 4 times",
    "refusal": "refusal, 4 times",
    "max_tokens": "cut off, 4 times",
}
"""What a model does again and again, and what the run stops for."""
BUDGETS = {
    "turns": {"budget_turns": 3},
    "tokens": {"budget_tokens": 8_000},
    "money": {"budget_money": 0.014},
    "context": {"context_tokens": 2_300},
}

ONCE = [
    *(
        # An empty reply leaves no trace in a request, so the script takes an empty beginning for a new conversation.
        Case(
            name=f"{kind} once each turn",
            dialect=DIALECTS[number % 3],
            architect=kind,
            developer=kind,
            sound=int(kind == "empty"),
        )
        for number, kind in enumerate(ANYWHERE)
    ),
    *(
        Case(name=f"{kind} once each turn", dialect=DIALECTS[number % 3], developer=kind)
        for number, kind in enumerate((*OF_CALLS, "refusal"))
    ),
    *(
        Case(name="each call is in the text", dialect=d, developer={"kind": "text_tool_call", "times": "always"})
        for d in DIALECTS
    ),
]
AGAIN = [
    Case(
        name=f"an outage by {kind}",
        dialect=DIALECTS[number % 3],
        developer={"kind": kind, "times": 3},
        turns=(EDIT, TRY, FINISH),
    )
    for number, kind in enumerate(OUTAGES)
]
ALWAYS = [
    Case(
        name=f"always {kind}",
        dialect=DIALECTS[number % 3],
        developer={"kind": kind, "times": "always"},
        turns=(LOOK, FINISH),
    )
    for number, kind in enumerate(LASTING)
]
TOO_LONG = [
    *(Case(name="a prompt that is too long", dialect=d, developer="context_length") for d in DIALECTS),
    *(Case(name="a spec that is too long", dialect=d, architect="context_length") for d in DIALECTS),
]
REFUSED = [Case(name="a plan that is refused", dialect=d, architect="refusal") for d in DIALECTS]
NO_PLAN = [
    Case(name=f"a plan with always {kind}", dialect=DIALECTS[number], architect={"kind": kind, "times": "always"})
    for number, kind in enumerate(("empty", "max_tokens"))
]
BOUND = [
    Case(
        name=f"a bound on {name}",
        dialect=DIALECTS[number % 3],
        developer={"kind": "bad_param", "times": "always"},
        settings={"plan": "single", **settings},
    )
    for number, (name, settings) in enumerate(BUDGETS.items())
]
GREEDY = [
    Case(
        name=f"five explorers and a bound on {name}",
        dialect=DIALECTS[number],
        turns=(
            {
                "tool_calls": [
                    {
                        "name": "explore",
                        "arguments": {
                            "questions": [
                                {"question": f"Part {at} of {DIALECTS[number]}, five explorers and a bound on {name}."}
                                for at in range(5)
                            ]
                        },
                    }
                ]
            },
            LOOK,
            EDIT,
            TRY,
            FINISH,
        ),
        explorer={**LOOK, "usage": {"input_tokens": 3_000, "output_tokens": 500}},
        settings={"plan": "single", **bound},
    )
    for number, (name, bound) in enumerate(
        {"tokens": {"budget_tokens": 60_000}, "money": {"budget_money": 0.3}}.items()
    )
]
"""All five ask at once, and each would use up everything alone."""
LUCKLESS = [Case(name=f"chance {number}", dialect=DIALECTS[number % 3]) for number in range(20)]


class Harvest(NamedTuple):
    """What came of all cases, the tree that each should have, and what the worker said meanwhile."""

    outcomes: dict[str, Outcome]
    tree: str
    log: str


def of(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.title)


@pytest.fixture(scope="module")
def harvest(scripted_for_all: ScriptedFactory, tmp_path_factory: pytest.TempPathFactory) -> Harvest:
    folder: Path = tmp_path_factory.mktemp("faults")
    planned = [*ONCE, *AGAIN, *ALWAYS, *TOO_LONG, *REFUSED, *NO_PLAN, *BOUND, *GREEDY]
    roles = {name: role for case in (*planned, *LUCKLESS) for name, role in case.roles().items()}
    model = scripted_for_all({"roles": roles}, "--slow", "7", "--retry-after", "0.2")
    chance = scripted_for_all(
        {"roles": roles}, "--slow", "7", "--retry-after", "0.2", "--fault-rate", "0.2", "--seed", "2"
    )
    mill = Mill(folder=folder).given(
        NIGHTMILL_IDLE_READ="4", NIGHTMILL_RETRIES="1", NIGHTMILL_PARK_SECONDS="0.5", NIGHTMILL_WORKERS="40"
    )
    field = Field(mill, repository(folder / "checkout"))
    with mill.worker(), mill.door() as door:
        field.sow(door, planned, url=model.url)
        field.sow(door, LUCKLESS, url=chance.url)
        outcomes = field.harvest(door, [*planned, *LUCKLESS])
    return Harvest(outcomes, right_tree(folder / "right"), mill.log.read_text())


@of([*ONCE, *AGAIN])
def test_a_fault_that_passes_costs_a_step_and_never_the_work(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    assert outcome.run.state == "done", outcome.run.reason or outcome.run
    assert outcome.trees == [harvest.tree]
    assert outcome.request is not None
    assert outcome.request.tree == harvest.tree


@of(AGAIN)
def test_a_provider_that_is_down_parks_the_run_until_it_is_back(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    parked = outcome.told("run_parked")
    assert parked
    assert {each["needs"] for each in parked} == {"time"}
    assert OUTAGES[case.name.rpartition(" ")[2]] in parked[0]["reason"]
    assert case.dialect in parked[0]["reason"], "who failed is said"
    assert {each["by"] for each in outcome.told("run_resumed")} == {"clock"}


@of(ALWAYS)
def test_a_fault_that_lasts_stops_the_run_with_its_name(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    assert (outcome.run.state, outcome.run.why) == ("stopped", "failed")
    assert LASTING[case.name.rpartition(" ")[2]] in outcome.run.reason
    assert outcome.request is None


@of(TOO_LONG)
def test_a_request_that_is_too_long_stops_the_run_with_what_to_do(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    assert (outcome.run.state, outcome.run.why) == ("stopped", "failed")
    assert "too long" in outcome.run.reason or "context" in outcome.run.reason
    assert "smaller parts" in outcome.told("run_stopped")[-1]["hint"]


@of(REFUSED)
def test_a_plan_that_is_refused_stops_the_run_with_what_to_do(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    assert outcome.run.state == "stopped"
    assert "the model refused to plan" in outcome.run.reason
    assert outcome.task is None


@of(NO_PLAN)
def test_a_plan_that_never_comes_stops_the_run_and_its_price_is_told(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    assert outcome.run.state == "stopped"
    assert "could not be used after 2 repairs" in outcome.run.reason
    assert outcome.run.turns == 3
    assert outcome.run.tokens > 0


@of(BOUND)
def test_a_budget_holds_whatever_the_model_does(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    name = case.name.rpartition(" ")[2]
    assert (outcome.run.state, outcome.run.why) == ("stopped", "limit")
    assert outcome.task is not None
    assert {"turns": "turns", "tokens": "tokens", "money": "$", "context": "in one request"}[name] in outcome.run.reason
    assert outcome.task.turns <= BUDGETS["turns"]["budget_turns"] or name != "turns"
    assert outcome.task.tokens <= BUDGETS["tokens"]["budget_tokens"] or name != "tokens"
    assert outcome.task.cost <= BUDGETS["money"]["budget_money"] or name != "money"


@of(GREEDY)
def test_explorers_side_by_side_cannot_pass_the_budget_together(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    assert len(outcome.told("explorer_sent")) == 5
    assert outcome.task is not None
    assert outcome.task.tokens <= case.settings.get("budget_tokens", outcome.task.tokens)
    assert outcome.task.cost <= case.settings.get("budget_money", outcome.task.cost)
    turns = [each["role"] for each in outcome.told("turn_finished")]
    used = [turns.count(f"explorer 1.{at}") for at in range(1, 6)]
    assert min(used) > 0, "each had its share"
    assert max(used) < MOST_TURNS, "and ended with it"


@of(LUCKLESS)
def test_faults_by_chance_end_in_the_work_or_in_a_reason(harvest: Harvest, case: Case) -> None:
    outcome = harvest.outcomes[case.title]

    if outcome.run.state == "done":
        assert outcome.trees == [harvest.tree]
        return
    assert outcome.run.state == "stopped"
    assert any(said in outcome.run.reason for said in ("too long", "context", "refused", " times", "repairs"))
    assert outcome.request is None


def test_most_runs_survive_faults_by_chance(harvest: Harvest) -> None:
    states = [harvest.outcomes[case.title].run.state for case in LUCKLESS]

    assert states.count("done") >= len(states) // 2


def test_no_pull_request_is_there_twice(harvest: Harvest) -> None:
    requests = [each.request for each in harvest.outcomes.values() if each.request]

    assert len({request.number for request in requests}) == len(requests)
    assert len(requests) == len([each for each in harvest.outcomes.values() if each.run.state == "done"])


def test_every_turn_is_told_once(harvest: Harvest) -> None:
    for title, outcome in harvest.outcomes.items():
        turns = [(body["role"], body["turn"]) for body in outcome.told("turn_finished")]
        assert len(turns) == len(set(turns)), title


def test_no_fault_of_a_model_is_one_of_the_worker(harvest: Harvest) -> None:
    assert "Traceback" not in harvest.log
    assert "ERROR" not in harvest.log
