"""The demo: a real package with a real defect, a spec that describes it, and a pull request at the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.store.runs import Run

__all__ = ["register"]

HERE = Path(__file__).parent
BLUEPRINT = "deliver"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything of the demo is kept.")] = Path(".demo"),
    live: Annotated[bool, typer.Option("--live", help="Ask a real provider instead of the recording.")] = False,
    model: Annotated[str | None, typer.Option(help="With --live: `provider:name`.")] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="With --live: another endpoint.")] = None,
) -> None:
    """Fix a defect of a real package, from spec to pull request, by several roles. Plays a recording, or asks a model with --live."""
    from nightmill.cli.demo import package, playback
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    if not live:
        recording = playback.load()
        with playback.Playback(recording) as server:
            say(
                f"The model's replies are a recording of {recording.model}, made on {recording.date}; all else happens now."
            )
            say(
                "With a key in the environment, `nightmill demo --live --model provider:name` asks a provider instead.\n"
            )
            named = {"model": f"anthropic:{recording.model}", "base_url": server.url}
            door = open_door(home=folder / "home", server="", blueprint=BLUEPRINT, **named)
            raise typer.Exit(_run(door, package.checkout(folder), folder))
    door = open_door(home=folder / "home", server="", blueprint=BLUEPRINT, model=model, base_url=base_url)
    if not door.settings.model:
        raise SettingsError("no model is named", hint="nightmill demo --live --model anthropic:NAME")
    raise typer.Exit(_run(door, package.checkout(folder), folder))


def _run(door: Door, root: Path, folder: Path) -> int:
    """Take the repository in, show a refusal, then run the spec and leave the page."""
    from nightmill.cli import asking, beside, page
    from nightmill.cli.demo import package
    from nightmill.cli.project import initialise, print_baseline
    from nightmill.cli.screen import say
    from nightmill.estate.file import NAME

    print_baseline(initialise(door, root))
    package.commit(root, NAME)
    say(
        "\nFirst a spec that is too vague. It is refused before anything is created or any token spent:\n", style="bold"
    )
    _submit_vague(door, root)
    say("\nNow one that says what a user sees and what must hold:\n", style="bold")
    sys.stdout.write(
        "".join(f"    {line}\n" for line in (HERE / "spec.md").read_text(encoding="utf-8").splitlines()[:14])
    )
    say("    …\n")
    asked = _submit(door, root, HERE / "spec.md")
    beside.ensure(door)
    code = asking.follow(door, asked)
    report = folder / "report.html"
    page.write(door, door.runs.get(asked.id), report)
    say(f"\nThe whole run as one page, for a browser: {report}")
    say("To go on by hand, with its pull request for example, in this shell:\n")
    say(
        f"    export NIGHTMILL_HOME={quote(str(door.settings.home))} PATH={quote(str(Path(sys.executable).parent))}:$PATH"
    )
    say(f"    cd {quote(str(root))}")
    return code


def _submit_vague(door: Door, root: Path) -> None:
    from nightmill.cli.screen import fail, say
    from nightmill.errors import SpecError

    try:
        _submit(door, root, HERE / "vague.md")
    except SpecError as error:
        fail(error)
    else:
        say("the vague spec was accepted, which it should not be")


def _submit(door: Door, root: Path, spec: Path) -> Run:
    from nightmill.cli.door import person
    from nightmill.line import submit

    ask = submit.Ask(spec=spec, root=root, base="", by=person(), home=Path.home(), now=time.time)
    return submit.submit(
        ask,
        settings=door.settings,
        database=door.database,
        blobs=door.blobs,
        runs=door.runs,
        project=door.project(root),
    )
