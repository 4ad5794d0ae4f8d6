"""What can be set, asked, told or raised is documented, and what is generated is what is committed."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from nightmill import errors, spec
from nightmill.event import EVENTS
from nightmill.settings import Settings
from scripts import attacks, generate, reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", generate.files(), ids=lambda path: path.name)
def test_what_is_generated_is_what_is_committed(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.files()[path], "run `make generate` and commit what it writes"


@pytest.mark.parametrize("name", [each.name for each in fields(Settings)])
def test_a_setting_is_documented(name: str) -> None:
    row = next(line for line in page("settings.md").splitlines() if line.startswith(f"| `{name}` |"))

    assert len(row.split("|")[-2].split()) > 2


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_documented(name: str) -> None:
    kind = EVENTS[name]

    assert f"## `{name}`" in page("events.md")
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "a dataclass without a docstring writes one of its own"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper()])
def test_an_error_is_documented(name: str) -> None:
    assert f"## `{name}`" in page("errors.md")
    assert getattr(errors, name).__doc__
    assert name in (errors.__doc__ or ""), "draw it in the tree"


def test_a_command_and_each_of_its_parameters_says_what_it_does() -> None:
    if not find_spec("nightmill.cli.app"):
        pytest.skip("there is no terminal door yet")
    silent = [
        f"{name} {each.name if each else ''}"
        for name, command in reference.commands().items()
        for each in [None, *command.params]
        if not (each.help if each else command.help)
    ]

    assert not silent
    assert all(f"## `{name}`" in page("cli.md") for name in reference.commands())


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(r"^## Unreleased$", text, re.MULTILINE)


def test_every_room_has_its_page_of_ideas() -> None:
    rooms = {each.parent.name for each in (ROOT / "src/nightmill").glob("*/__init__.py")}
    pages = {each.stem for each in (DOCS / "concepts").glob("*.md")}

    assert rooms <= pages, sorted(rooms - pages)


@pytest.mark.parametrize("path", sorted(DOCS.glob("decisions/0*.md")), ids=lambda path: path.stem)
def test_a_decision_says_context_decision_and_consequences(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert headings == ["Context", "Decision", "Consequences"]


def test_the_numbers_of_decisions_are_used_once() -> None:
    numbers = [each.name[:4] for each in DOCS.glob("decisions/0*.md")]

    assert len(set(numbers)) == len(numbers)


def test_every_attack_says_what_stops_it() -> None:
    """Else it is not in the table."""
    told = {(each.file, each.name) for each in attacks.attacks()}
    about = {
        "test_host.py",
        "test_inside.py",
        "test_containers.py",
    }  # the measure, and who carries out what is in inside/
    silent = [
        f"{path.name}: {name}"
        for path in attacks.SUITE.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if path.name not in about and (path.name, name) not in told
    ]

    assert not silent, 'give the file a `pytestmark = pytest.mark.wall("…")`; scripts/attacks.py has the names'
    assert len(told) >= 80


def test_the_guide_to_specs_shows_one_that_is_accepted(tmp_path: Path) -> None:
    guide = (DOCS / "guides/spec.md").read_text(encoding="utf-8")
    example = re.search(r"```markdown\n(.+?)\n```", guide, re.DOTALL)
    assert example
    (tmp_path / "SPEC.md").write_text(example[1], encoding="utf-8")

    judged = spec.assess(spec.read(tmp_path / "SPEC.md"), threshold=Settings().spec_threshold)

    assert judged.accepted, judged.flaws


def test_the_documentation_builds_without_a_warning_or_a_foreign_script(tmp_path: Path) -> None:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    zensical = Path(sys.executable).parent / "zensical"

    built = subprocess.run([zensical, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert built.returncode == 0, built.stdout + built.stderr
    pages = [each.read_text(encoding="utf-8") for each in (tmp_path / "site").rglob("*.html")]
    assert pages
    assert not [each for page in pages for each in re.findall(r'<(?:script|link|img)[^>]+"https?://[^"]+', page)]
