"""Projects whose file is wrong, whose installation fails, whose tests hang or never stop talking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ScriptedFactory
from tests.inputs.refusal import MODEL, refused
from tests.whole import EDIT, FILES, FINISH, MODELS, SPEC, TRY, Mill, fingerprint, repository, script

pytestmark = pytest.mark.slow

FAULTS = {
    "languages: python\n": "nightmill.yaml:1: unknown key 'languages'; did you mean 'language'?",
    "language: cobol\n": "nightmill.yaml:1: language is 'cobol'",
    "language: python\nchecks: 3\n": "nightmill.yaml:2: checks must be a list",
    "checks:\n- {name: tests}\n": "nightmill.yaml:2: checks[0] lacks 'run'",
    "checks:\n- {name: a, run: b, seconds: soon}\n": "nightmill.yaml:2: checks[0].seconds must be a number above 0",
    "- language\n": "nightmill.yaml:1: the file must be a mapping",
    "checks: [\n": "nightmill.yaml:2: not valid YAML",
    "a: &a [x]\nb: *a\n": "nightmill.yaml:1: anchors and aliases are not allowed",
    "\0\0": "nightmill.yaml:1: not valid YAML",
    "# " + "x" * 300_000: "nightmill.yaml is larger than 256 KB",
}

FLOOD = "python3 -c \"print('lots ' * 20000000)\"; python3 -m unittest -q"


@pytest.fixture(scope="module")
def working(scripted_for_all: ScriptedFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mill, str]]:
    """A mill at work, and the address of a model that does the work and then goes on saying that it is done."""
    folder = tmp_path_factory.mktemp("projects")
    (folder / "SPEC.md").write_text(SPEC.format(title=""), encoding="utf-8")
    model = scripted_for_all(script(EDIT, TRY, *[FINISH] * 5))
    mill = Mill(folder=folder)
    with mill.worker():
        yield mill, model.url


def project(folder: Path, *, install: str = "", run: str = "", seconds: float = 60) -> Path:
    """A checkout whose installation or tests are as told."""
    check = {"name": "tests", "run": run or "python3 -m unittest -q", "format": "exit", "seconds": seconds}
    text = {"language": "python", "install": [install] if install else [], "checks": [check]}
    return repository(folder, {**FILES, "nightmill.yaml": json.dumps(text)})


@pytest.mark.parametrize("text", FAULTS, ids=[words[:50] for words in FAULTS.values()])
def test_a_faulty_file_is_refused_with_its_line(mill: Mill, tmp_path: Path, text: str) -> None:
    checkout = repository(tmp_path / "checkout", {**FILES, "nightmill.yaml": text})

    said = refused(mill, "init", "--json", at=checkout)

    assert FAULTS[text] in said
    assert refused(mill, "run", tmp_path / "SPEC.md", "--json", *MODEL, at=checkout) == said
    assert not (mill.home / "projects").exists()


def test_a_project_that_was_not_taken_in_is_refused(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout", {"calc.py": FILES["calc.py"]})

    said = refused(mill, "run", tmp_path / "SPEC.md", "--json", *MODEL, at=checkout)

    assert "there is no nightmill.yaml" in said
    assert "hint: nightmill init" in said


def test_a_project_without_checks_is_refused_before_anything_is_spent(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout", {**FILES, "nightmill.yaml": "language: python\n"})

    said = refused(mill, "run", tmp_path / "SPEC.md", "--json", *MODEL, at=checkout)

    assert "has no checks" in said
    assert "`checks` in nightmill.yaml" in said


def test_an_installation_that_fails_says_its_line_and_its_last_words(working: tuple[Mill, str], tmp_path: Path) -> None:
    mill, url = working
    checkout = project(tmp_path / "install", install="echo trying; exit 3")
    before = fingerprint(checkout)

    done = mill.run("init", "--json", at=checkout)
    ran = mill.run("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", url, at=checkout)

    assert done.returncode == ran.returncode == 1
    assert done.stdout == ""
    assert "install line 1 failed with exit status 3: echo trying; exit 3\ntrying" in done.stderr
    assert "hint: change line 1 of `install` in nightmill.yaml" in done.stderr
    assert "install line 1 failed with exit status 3" in ran.stdout
    assert fingerprint(checkout) == before
    bases = next(mill.home.glob("projects/install-*/bases"))
    assert not [path for path in bases.iterdir() if path.is_dir()], "no half an environment is left"


def test_tests_that_hang_are_stopped_and_the_run_says_so(working: tuple[Mill, str], tmp_path: Path) -> None:
    mill, url = working
    checkout = project(tmp_path / "hang", run="sleep 1000", seconds=1)
    before = fingerprint(checkout)

    done = mill.run("init", at=checkout)
    ran = mill.run("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", url, at=checkout)

    assert done.returncode == 0
    assert "stopped by its limit (timeout)" in done.stderr
    assert "fails already: the check as a whole" in done.stdout
    assert ran.returncode == 1
    assert "is not done after 4 rounds: the work did not pass its checks" in ran.stdout
    assert "timeout" in ran.stdout
    assert "work kept on branch" in ran.stdout
    assert fingerprint(checkout) == before


def test_tests_that_print_100_mb_are_run_and_little_of_it_is_kept(working: tuple[Mill, str], tmp_path: Path) -> None:
    mill, url = working
    checkout = project(tmp_path / "flood", run=FLOOD)
    before = fingerprint(checkout)

    done = mill.run("init", "--json", at=checkout)
    ran = mill.run("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", url, at=checkout)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["checks"]["tests"]["failing"] == []
    assert "bytes of it were left out" in done.stderr
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert max(path.stat().st_size for path in mill.home.rglob("*") if path.is_file()) < 20_000_000
    assert fingerprint(checkout) == before


def test_a_check_that_never_worked_proves_nothing(working: tuple[Mill, str], tmp_path: Path) -> None:
    mill, url = working
    checkout = project(tmp_path / "broken", run="echo no such program; exit 127")

    ran = mill.run("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", url, at=checkout)

    assert ran.returncode == 1
    assert "nothing is proven: every check fails as a whole, before the change and after it" in ran.stdout
    assert mill.json("prs", at=checkout) == []
