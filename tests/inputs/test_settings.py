"""Settings and models that cannot be: refused by every command, with where they stand and what they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.refusal import refused
from tests.whole import MODELS, Mill, wait_for

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"

ENVIRONMENT = {
    ("NIGHTMILL_BUDGET_TURN", "3"): "unknown setting NIGHTMILL_BUDGET_TURN in the environment\nhint: did you mean",
    ("NIGHTMILL_BUDGET_TURNS", "many"): "NIGHTMILL_BUDGET_TURNS in the environment is 'many', which is not of type int",
    ("NIGHTMILL_BUDGET_MONEY", "nan"): "is 'nan', which is not of type float",
    ("NIGHTMILL_WORKERS", "0"): "NIGHTMILL_WORKERS in the environment is '0'; it must be at least 1",
    ("NIGHTMILL_PLAN", "wild"): "it must be auto or single",
    ("NIGHTMILL_SETTINGS", "/nowhere/settings.yaml"): "there is no settings file '/nowhere/settings.yaml'",
}
FILE = {
    "budget_turn: 3\n": "unknown setting budget_turn in the settings file\nhint: did you mean budget_turns?",
    "budget_turns: [1]\n": "budget_turns in the settings file is [1], which is not of type int",
    "budget_turns: 1.5\n": "is 1.5, which is not of type int",
    "budget_turns: true\n": "is True, which is not of type int",
    "- budget_turns\n": "must hold `name: value` lines",
    "budget_turns: [\n": "cannot be read",
    "\0": "cannot be read",
}
ASKED = {
    (): "no model is named",
    ("--model", "cohere:command"): "no model can be had by the name 'cohere:command'",
    ("--model", "gpt-4o"): "no model can be had by the name 'gpt-4o'",
    ("--model", "anthropic:"): "no model can be had by the name 'anthropic:'",
    ("--model", "anthropic:x", "--base-url", "ftp://example.org"): "is no address of http or https",
    ("--model", "anthropic:x", "--base-url", "example.org"): "is no address of http or https",
    ("--model", "anthropic:x", "--base-url", "http://"): "is no address of http or https",
    (
        "--model",
        "anthropic:x",
        "--base-url",
        "http://ada:word@example.org",
    ): "the base URL 'http://…@example.org' holds",
    ("--model", "openai:x"): "there is no API key for 'openai'\nhint: set OPENAI_API_KEY",
    ("--model", "anthropic:x"): "the API key for 'anthropic' holds characters that no key has",
}


@pytest.mark.parametrize("variable", ENVIRONMENT, ids="=".join)
def test_a_wrong_variable_is_refused_by_name(mill: Mill, checkout: Path, variable: tuple[str, str]) -> None:
    wrong = mill.given(**dict([variable]))

    said = {refused(wrong, *command, at=checkout) for command in (("settings", "--json"), ("runs", "--json"))}

    assert len(said) == 1
    assert ENVIRONMENT[variable] in said.pop()
    assert not mill.home.exists()


@pytest.mark.parametrize("text", FILE, ids=repr)
def test_a_wrong_line_of_the_settings_file_is_refused_by_name(mill: Mill, checkout: Path, text: str) -> None:
    path = mill.user / ".config/nightmill/settings.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)

    assert FILE[text] in refused(mill, "init", "--json", at=checkout)
    assert not mill.home.exists()


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_a_model_that_cannot_be_had_is_refused_before_a_run_is_made(
    mill: Mill, checkout: Path, words: tuple[str, ...]
) -> None:
    keys = mill.given(
        OPENAI_API_KEY="", ANTHROPIC_API_KEY="two words" if words == ("--model", "anthropic:x") else "key"
    )

    assert ASKED[words] in refused(keys, "run", mill.folder / "SPEC.md", "--json", *words, at=checkout)


def test_a_server_that_does_not_listen_parks_the_run_with_its_address(mill: Mill, checkout: Path) -> None:
    patient = mill.given(NIGHTMILL_RETRIES="0", NIGHTMILL_PARK_SECONDS="3600")
    with patient.worker(), patient.door() as door:
        asked = (
            "run",
            mill.folder / "SPEC.md",
            "--model",
            MODELS["openai"],
            "--base-url",
            NOWHERE,
            "--detach",
            "--json",
        )
        run = patient.json(*asked[:-1], at=checkout)["run"]

        parked = wait_for("parking", lambda: (found := door.runs.get(run)).state == "parked" and found)
        assert "openai:gpt-4o at 127.0.0.1" in parked.reason
        assert "onnect" in parked.reason
        assert patient.run("cancel", run, at=checkout).returncode == 0
        wait_for("the end", lambda: door.runs.get(run).over)
        assert door.runs.get(run).why == "cancelled"


def test_a_password_in_an_address_is_not_shown(mill: Mill, checkout: Path) -> None:
    given = mill.given(NIGHTMILL_STORE="postgresql://ada:password@127.0.0.1:1/none")

    assert mill.json("settings", at=checkout)["store"] == ""
    assert given.json("settings", at=checkout)["store"] == "postgresql://…@127.0.0.1:1/none"
    assert "password" not in given.run("runs", at=checkout).stderr
