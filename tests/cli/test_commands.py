"""Every command on a home that has never been used: what it prints where, and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import chain
from pathlib import Path

import pytest

from nightmill import event as e
from nightmill.cli import helped
from scripts import reference
from tests import whole
from tests.cli.conftest import Here, sample
from tests.whole import Mill

VAGUE = "# Make it better\n\nEverything should be nicer.\n"


@pytest.fixture
def specs(mill: Mill) -> tuple[str, str]:
    """A spec that is accepted and one that is not."""
    good, bad = mill.folder / "good.md", mill.folder / "bad.md"
    good.write_text(whole.SPEC.format(title=""))
    bad.write_text(VAGUE)
    return str(good), str(bad)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ("runs", 0, "no runs yet"),
        ("prs --all", 0, "no pull requests yet"),
        ("prs", 1, "hint: nightmill init"),
        ("pr show 1", 1, "hint: nightmill init"),
        ("pr merge 1", 1, "hint: nightmill init"),
        ("show rabc", 1, "there is no run 'rabc'\nhint: `nightmill runs` lists them"),
        ("log rabc", 1, "there is no run 'rabc'\nhint: `nightmill runs` lists them"),
        ("log rabc --follow --json", 1, "there is no run 'rabc'"),
        ("pause rabc", 1, "there is no run 'rabc'"),
        ("resume rabc", 1, "there is no run 'rabc'"),
        ("cancel rabc", 1, "there is no run 'rabc'"),
        ("budget --raise 5", 1, "hint: set `budget_day_money`"),
        ("init", 1, "not in a git repository"),
        ("init nowhere", 1, "there is no folder"),
        ("spec check none.md", 2, "hint: check the path"),
        ("run none.md --model openai:m", 2, "hint: check the path"),
        ("worker --until-idle x", 2, "valid number"),
        ("nonsense", 2, "no such command 'nonsense'"),
    ],
)
def test_a_command_on_an_empty_home(mill: Mill, here: Here, args: str, code: int, said: str) -> None:
    done = here(*args.split())

    assert done.code == code
    assert said in done.err
    assert done.out == "", "talk is not data"


def test_lists_of_nothing_are_json(mill: Mill, here: Here) -> None:
    assert json.loads(here("runs", "--json").out) == []
    assert json.loads(here("prs", "--all", "--json").out) == []
    settings = json.loads(here("settings", "--json").out)
    assert settings["home"] == str(mill.home)
    assert settings["model"] == ""


def test_settings_are_printed_with_what_they_are(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = here("settings").out.splitlines()

    assert ["budget_turns", "100", "Turns that one run may take."] in [line.split("\t") for line in lines]
    monkeypatch.setenv("NIGHTMILL_BUDGET_TURNS", "7")
    assert json.loads(here("settings", "--json").out)["budget_turns"] == 7


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"NIGHTMILL_COLOUR": "red"}, "unknown setting NIGHTMILL_COLOUR"),
        ({"NIGHTMILL_BUDGET_TURNS": "many"}, "is 'many', which is not of type int"),
        ({"NIGHTMILL_HOME": "/dev/null/x"}, "the home folder '/dev/null/x' cannot be made"),
        ({"NIGHTMILL_SETTINGS": "/dev/null/x"}, "cannot be read"),
    ],
)
def test_what_the_operator_set_wrong_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = here("runs")

    assert done.code == 1
    assert said in done.err


def test_the_version_and_the_help_need_no_home(mill: Mill) -> None:
    assert mill.run("--version").stdout.startswith("nightmill ")
    assert "Specs in, reviewed pull requests out." in mill.run("-h").stdout
    assert not mill.home.exists()


def test_a_spec_is_accepted_or_refused_by_the_exit_code(specs: tuple[str, str], here: Here) -> None:
    good, bad = specs
    accepted = here("spec", "check", good)
    assert accepted.code == 0
    assert "accepted: Adding gives the sum" in accepted.out
    refused = here("spec", "check", bad)
    assert refused.code == 2
    assert "refused: Make it better" in refused.out
    found = json.loads(here("spec", "check", bad, "--json").out)
    assert found["accepted"] is False
    assert found["flaws"]


def test_a_run_that_cannot_begin_says_why_and_starts_nothing(
    mill: Mill, here: Here, specs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = specs
    outside = here("run", good, "--model", "openai:m")
    assert outside.code == 1
    assert "hint: nightmill init" in outside.err
    monkeypatch.chdir(whole.repository(mill.folder / "repo"))
    refused = here("run", bad, "--model", "openai:m")
    assert refused.code == 2
    assert "Refused: Make it better" in refused.err
    nameless = here("run", good)
    assert nameless.code == 1
    assert "no model" in nameless.err
    assert "anthropic:" in nameless.err.partition("hint: ")[2]
    monkeypatch.delenv("OPENAI_API_KEY")
    keyless = here("run", good, "--model", "openai:m")
    assert keyless.code == 1
    assert "OPENAI_API_KEY" in keyless.err
    assert json.loads(here("runs", "--json").out) == []
    assert not (mill.home / "worker.log").exists()


@pytest.fixture
def told(mill: Mill) -> Mill:
    """A home with two runs in it, told by hand."""
    with mill.door() as door:
        for number in (1, 2):
            title = f"Title {number} \x1b[2J\nforged: \u202eline"
            queued = e.RunQueued(run=f"rab{number}", kind="spec", title=title, project="p", spec="s", model="m:n")
            door.runs.create(queued, assignment="a")
        door.ledger.append([e.RunStarted(run="rab1", worker="w"), e.RunStopped(run="rab1", why="limit", reason="dear")])
    return mill


def test_runs_are_listed_shown_and_told(told: Mill, here: Here) -> None:
    rows = json.loads(here("runs", "--json").out)
    assert [row["id"] for row in rows] == ["rab2", "rab1"]
    assert [row["state"] for row in rows] == ["queued", "stopped"]
    lines = here("runs").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["rab2", "rab1"]
    assert json.loads(here("show", "rab1", "--json").out)["why"] == "limit"
    shown = here("show", "rab1").out
    assert "dear" in shown.lower()
    assert shown.splitlines()[0].endswith("Title 1 \\x1b[2J forged: \\u202eline")
    log = here("log", "rab1", "--follow")
    assert log.code == 0
    assert [line.split("  ", 1)[1][0] for line in log.out.splitlines()] == ["○", "●", "■"]
    for text in (log.out, shown, *lines):
        assert "\x1b" not in text
        assert "\u202e" not in text
    plain = [json.loads(line) for line in here("log", "rab1", "--json").out.splitlines()]
    assert [each["name"] for each in plain] == ["run_queued", "run_started", "run_stopped"]


def test_each_command_stands_once_in_the_help_and_whole(here: Here) -> None:
    said = here("--help").out
    names = [name for name in reference.commands() if name.count(" ") == 1]

    assert sorted(name.removeprefix("nightmill ") for name in names) == sorted(chain(*helped.PARTS.values()))
    assert "..." not in said.replace("[ARGS]...", "")
    assert "..." not in here("pr", "--help").out.replace("[ARGS]...", "")
    assert here("pr", "merge", "-h").out.startswith("Usage: nightmill pr merge [OPTIONS] N\n")


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ("run", "missing argument 'spec'", "nightmill run -h"),
        ("runn", "no such command 'runn'. Did you mean 'run', 'runs'?", "nightmill -h"),
        ("pr merge x", "invalid value for 'N'", "nightmill pr merge -h"),
        ("show a b", "got unexpected extra argument(s) (b)", "nightmill show -h"),
    ],
)
def test_a_line_that_cannot_be_read_is_an_error_with_its_hint(here: Here, words: str, error: str, hint: str) -> None:
    done = here(*words.split())

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {error}")
    assert done.err.endswith(f"\nhint: {hint}\n")


def test_a_shell_completes_ids_of_runs(told: Mill, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(line: str) -> str:
        monkeypatch.setenv("_NIGHTMILL_COMPLETE", "complete_zsh")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        done = here()
        return done.out + done.err

    assert '"rab1":"Title 1' in completed("nightmill show rab")
    assert "rab2" not in completed("nightmill show rab1")
    assert "\u202e" not in completed("nightmill log ra")
    (told.home / "nightmill.db").write_bytes(b"no database")
    assert "rab" not in completed("nightmill show rab")
    assert "error" not in completed("nightmill show rab")


def test_a_spec_is_shown_with_what_its_tasks_cost(mill: Mill, here: Here) -> None:
    with mill.door() as door:
        for run, parent in (("rab1", ""), ("rab1-1", "rab1"), ("rab1-2", "rab1")):
            kind = "task" if parent else "spec"
            queued = e.RunQueued(run=run, kind=kind, title="Tax", project="p", spec="s", model="m:n", parent=parent)
            door.runs.create(queued, assignment="a")
        turns = [sample(e.TurnFinished, run=run, cost=0.25) for run in ("rab1", "rab1-1", "rab1-2")]
        door.ledger.append(turns)
        *_, said = here("show", "rab1").out.splitlines()
        assert " ".join(said.split()) == "with its tasks: 3 turns · 3.06 k tokens · $0.750"
        door.ledger.append([sample(e.TurnFinished, run="rab1-2", turn=3, cost=None)])

    assert here("show", "rab1").out.splitlines()[-1].endswith("· $0.750 and more")
    assert "with its tasks" not in here("show", "rab1-1").out


def test_an_end_at_a_question_is_no_fault(mill: Mill) -> None:
    ours, theirs = os.openpty()
    words = [*mill.command(), "secret", "set", "SHOP_TOKEN"]
    with subprocess.Popen(
        words, env=mill.variables(), stdin=theirs, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as asking:
        assert asking.stderr
        asked = asking.stderr.read(len("SHOP_TOKEN: "))
        os.write(ours, b"\x04")
        said = asking.communicate(timeout=whole.PATIENCE)[1]
    os.close(ours)
    os.close(theirs)

    assert (asked, asking.returncode, said.splitlines()[-1]) == ("SHOP_TOKEN: ", 130, "Aborted.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_output_that_does_not_fit_is_one_error(mill: Mill) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*mill.command(), "settings"],
            env=mill.variables(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("setting\tvalue\twhat it is\nerror: No space left on device\nhint: ")
    assert done.stderr.count("\n") == 3


def test_a_spec_whose_tasks_have_no_known_price_says_so(mill: Mill, here: Here) -> None:
    with mill.door() as door:
        for run, parent in (("rab1", ""), ("rab1-1", "rab1")):
            queued = e.RunQueued(run=run, kind="task", title="Tax", project="p", spec="s", model="m:n", parent=parent)
            door.runs.create(queued, assignment="a")
        door.ledger.append([sample(e.TurnFinished, run="rab1", cost=None)])

        door.ledger.append([e.RunStarted(run="rab1", worker="w"), e.PlanMade(run="rab1", tasks=[], source="spec")])

    assert here("show", "rab1").out.endswith("· price unknown\n")
    assert "rab1\tat work · tasks\t" in here("runs").out


def test_a_run_is_found_by_its_beginning_if_that_is_its_own(told: Mill, here: Here) -> None:
    assert "several runs: rab1, rab2" in here("show", "rab").err
    assert json.loads(here("show", "rab2", "--json").out)["id"] == "rab2"
    assert "no run was named" in here("show", "").err


def test_wishes_are_taken_down_and_it_is_said_that_nobody_is_at_work(told: Mill, here: Here) -> None:
    for command, wanted in (("pause", "pause"), ("resume", "run"), ("cancel", "cancel")):
        done = here(command, "rab2")
        assert done.code == 0, done.err
        assert "no worker is alive" in done.err
        assert json.loads(here("show", "rab2", "--json").out)["wanted"] == wanted
    assert "was cancelled" in here("resume", "rab2").err
    ended = here("pause", "rab1")
    assert ended.code == 1
    assert "is stopped" in ended.err


def test_a_page_is_written_whole_or_not_at_all(told: Mill, here: Here) -> None:
    page = told.folder / "page.html"
    assert here("show", "rab1", "--html", str(page)).code == 0
    assert page.read_text().rstrip().endswith("</html>")
    failed = here("show", "rab1", "--html", "/proc/page.html")
    assert failed.code == 1
    assert "cannot be written" in failed.err
    assert sorted(path.name for path in told.folder.iterdir() if path.suffix == ".tmp") == []


def test_a_terminal_that_knows_few_signs_is_no_error(told: Mill) -> None:
    done = told.given(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0").run("log", "rab1")

    assert done.returncode == 0, done.stderr
    assert "\\u25cb" in done.stdout


def test_a_reader_that_stops_early_gets_no_traceback(told: Mill) -> None:
    script = told.folder / "early.sh"
    words = " ".join(told.command())
    script.write_text(f"for i in 1 2 3; do {words} log rab1; done | head -n 1\n")
    done = Mill(folder=told.folder, before=("bash", str(script))).run()

    assert "Traceback" not in done.stderr


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(mill: Mill) -> None:
    name = b"sp\xff\xc3.md"
    (Path(str(mill.folder).encode().decode()) / name.decode("utf-8", "surrogateescape")).write_text(VAGUE)
    done = mill.run("spec", "check", name.decode("utf-8", "surrogateescape"), "--json")

    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert json.loads(done.stdout)["accepted"] is False


def test_a_worker_that_has_nothing_to_do_ends_when_asked(mill: Mill) -> None:
    done = mill.run("worker", "--until-idle", "0")

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
