"""Calls that lead nowhere are seen; calls that only look alike are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nightmill import agent, event
from nightmill.agent.guard.reply import chant
from nightmill.model import ToolCall, Usage
from tests.agent.conftest import BRIEF, Stage, call, replace, reply

GUIDED = replace(BRIEF, tag="[system 1]", objective="Mend the parser.")


def spoken(stage: Stage) -> list[tuple[str, str]]:
    return [(told.guard, told.measure) for told in stage.told if isinstance(told, event.AgentNudged)]


def giving(stage: Stage, results: Callable[[int], str]) -> Stage:
    """*stage*, whose `look` gives one of *results* after another."""
    given: list[None] = []

    async def look(_: str) -> str:
        given.append(None)
        return results(len(given))

    stage.tools.tools["look"].does = look  # type: ignore[attr-defined]
    return stage


def poll(stage: Stage, times: int) -> list[tuple[str, str]]:
    for number in range(times):
        stage.turn(reply(call("look", "log", id=f"p{number}")))
        if stage.state.ending:
            break
    return spoken(stage)


def test_the_whole_ladder_of_a_loop(stage: Stage) -> None:
    stage.brief = GUIDED
    told = poll(stage, 20)

    assert told == [("repeated_call", measure) for measure in ("nudge", "firmer", "fresh", "stop")]
    assert stage.state.turn == 8, "after a fresh context it takes three calls again"
    assert stage.state.ending is not None
    assert stage.state.ending.text == (
        "repeated call, 4 times: `look` 3 times in a row, with the same result each time"
    )


def test_a_fresh_context_holds_what_failed_and_asks_for_small_steps(stage: Stage) -> None:
    stage.brief = GUIDED
    poll(stage, 5)

    assert stage.state.messages == ()
    assert stage.state.layer == "fresh"
    assert "5 times in a row" in stage.state.working.failed[-1]
    assert "5 times in a row" in stage.state.carried
    stage.send_back("Go on.")
    tail = agent.ask(GUIDED, stage.state, stage.tools, max_tokens=9).tail
    assert "You begin with a fresh context" in tail
    for number in range(4):
        stage.turn(reply(call("look", f"{number}")))
    assert "fresh context" not in agent.ask(GUIDED, stage.state, stage.tools, max_tokens=9).tail


def test_another_model_goes_on_before_the_work_is_stopped(stage: Stage) -> None:
    stage.brief = replace(GUIDED, others=2)
    models = []
    for number in range(40):
        stage.turn(reply(call("look", "log", id=f"p{number}")))
        models.append(stage.state.model)
        if stage.state.ending:
            break

    measures = [measure for _, measure in spoken(stage)]
    assert measures == ["nudge", "firmer", "fresh", "model", "model", "stop"]
    assert sorted(set(models)) == [0, 1, 2]


def test_noise_in_a_result_hides_no_loop(stage: Stage) -> None:
    told = poll(giving(stage, lambda n: f"2026-11-28 10:00:{n:02} pid {900 + n} /tmp/x{n}: waiting, {n}.3 s"), 12)
    assert told[0] == ("repeated_call", "nudge")
    assert len(stage.records) >= 6


@pytest.mark.parametrize(
    "progress",
    [
        lambda n: f"{n * 3}% done",
        lambda n: f"built {n} of 40 files, 10:00:{n:02}",
        lambda n: f"downloaded {n * 1_234_567} bytes",
        lambda n: "\n".join(f"line {at}" for at in range(n)),
    ],
)
def test_polling_that_makes_progress_is_work(stage: Stage, progress: Callable[[int], str]) -> None:
    assert poll(giving(stage, progress), 30) == []


def test_reading_again_after_an_edit_is_work(stage: Stage) -> None:
    giving(stage, lambda n: f"version {n}")
    for number in range(10):
        stage.turn(reply(call("do", f"edit {number}"), call("look", "file", id=f"l{number}")))
    assert spoken(stage) == []


def test_a_long_output_that_stays_as_it_is_is_no_growth(stage: Stage) -> None:
    chatter = "x" * 12_000
    giving(stage, lambda n: f"{chatter}\n{n} passed"[: 12_000 if n % 2 else 9_000] + str(n))
    assert poll(stage, 12) == []


def test_output_that_only_grows_is_told_to_narrow(stage: Stage) -> None:
    told = poll(giving(stage, lambda n: "\n".join(f"entry {at}" for at in range(1_000 * n))), 5)

    assert told == [("growing_output", "nudge"), ("growing_output", "firmer")]
    assert "narrow it with grep, head or tail" in stage.results()[-1]


def test_results_that_are_too_large_together_are_told_and_never_stop_the_work(stage: Stage) -> None:
    giving(stage, lambda n: f"{n}" + "x" * 40_000)
    for turn in range(8):
        stage.turn(reply(*(call("look", f"{turn} {part}") for part in range(4))))

    assert spoken(stage)[:3] == [("large_results", "nudge"), ("large_results", "firmer"), ("large_results", "note")]
    assert stage.state.ending is None


def test_three_calls_in_a_circle_are_a_loop(stage: Stage) -> None:
    for number in range(4):
        stage.turn(reply(*(call("look", word, id=f"{word}{number}") for word in "abc")))

    assert spoken(stage) == [("alternating_calls", "nudge")]
    assert "`look`, `look`, `look`: 4 times in turn" in stage.results()[-1]


def test_the_same_call_between_others_is_a_loop_if_nothing_comes_of_it(stage: Stage) -> None:
    for number in range(6):
        stage.turn(reply(call("look", "same", id=f"s{number}"), call("look", f"{number}")))
    assert spoken(stage) == [("repeated_call", "nudge")]


def test_a_tool_that_there_is_not_is_told_with_those_that_there_are(stage: Stage) -> None:
    for number in range(4):
        stage.turn(reply(call(f"browser_{number}", "x")))

    assert spoken(stage) == [("unknown_tool", each) for each in ("nudge", "firmer", "fresh", "stop")]
    nudge = stage.records[0].messages[-1].parts[-1]
    assert "The tools are: do, finish, look, update_todo." in nudge.text  # type: ignore[union-attr]
    assert stage.state.ending is not None
    assert "browser_3" in stage.state.ending.text


def test_an_unknown_tool_beside_a_call_that_works_has_its_result_and_no_more(stage: Stage) -> None:
    for number in range(6):
        stage.turn(reply(call("browser", f"{number}"), call("look", f"{number}")))
    assert spoken(stage) == []


def test_calls_that_are_all_wrong_are_seen_though_each_is_another(stage: Stage) -> None:
    for number in range(5):
        broken = ToolCall(id=f"b{number}", name="update_todo", arguments=f'{{"items": {number}}}')
        stage.turn(reply(broken))
    assert [guard for guard, _ in spoken(stage)] == ["failing_calls"] * 3
    assert "items" in stage.records[2].messages[-1].parts[-1].text  # type: ignore[union-attr]


def test_nothing_new_for_many_turns_is_a_standstill(stage: Stage) -> None:
    for number, word in enumerate("abcbacabbcab"):
        stage.turn(reply(call("look", word, id=f"n{number}")))
        if spoken(stage):
            break
    assert spoken(stage) == [("standstill", "nudge")]
    assert "nothing new in 8 turns" in stage.results()[-1]


def test_replies_that_grow_towards_their_limit_are_told_before_one_is_cut_off(stage: Stage) -> None:
    for number, size in enumerate((2_000, 3_000, 5_000)):
        stage.turn(reply(call("look", f"{number}"), usage=Usage(input=10, output=size)))
    assert spoken(stage) == [("growing_replies", "nudge")]
    assert "2,000, 3,000, 5,000 tokens" in stage.results()[-1]


def test_long_replies_that_do_not_grow_are_none_of_it(stage: Stage) -> None:
    for number, size in enumerate((7_000, 7_100, 7_000, 300, 900, 2_000)):
        stage.turn(reply(call("look", f"{number}"), usage=Usage(input=10, output=size)))
    assert spoken(stage) == []


def test_a_chant_is_seen_with_and_without_a_call(stage: Stage) -> None:
    said = "I need to check the parser once more before I can go on. " * 20
    stage.turn(reply(said, call("look", "a")))
    assert spoken(stage) == [("chant", "nudge")]
    assert stage.log == ["look a"]


@pytest.mark.parametrize(
    "text",
    [
        "```\n" + "assert parse(line) == expected_value_of_the_line_here  # again and again\n" * 40 + "```",
        "- check the parser, the lexer and the printer for tabs\n" * 30,
        "| a column with words | another column with words | and a third |\n" * 30,
        "=" * 3_000,
        " ".join(
            f"First I look at module {n}, which has its own way of reading tabs and its own tests." for n in range(9)
        ),
        "The parser is wrong. " * 4 + "Now I mend it, and then I run the tests, and look at what they say.",
    ],
)
def test_what_repeats_itself_by_nature_is_no_chant(text: str) -> None:
    assert chant(text) == ""


def test_a_list_before_it_hides_no_chant_and_blank_lines_cost_nothing() -> None:
    over = "Over and over, I say the very same thing to you now. " * 12
    assert chant(f"The steps:\n- look\n- think\n\n{over}")
    assert chant("\n" * 20_000) == ""


def test_of_a_long_text_only_the_end_is_looked_at_for_a_chant() -> None:
    text = "".join(f"{n:x} and {n * 7919 % 1000} are words of a text that is very long. " for n in range(40_000))
    said = "Over and over, I say the very same thing to you now. " * 12
    assert chant(text) == chant(said + text) == ""
    assert chant(text + "Over and over, I say the very same thing to you now. " * 12)
