"""Taking a repository in, and checking specs: init, spec check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.door import Door
    from nightmill.estate.init import Initialised
    from nightmill.repo import Checkout
    from nightmill.review import Baseline
    from nightmill.spec import Assessment, Spec

__all__ = ["initialise", "print_baseline", "register"]

spec_app = typer.Typer(help="Look at specs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    spec_app.command("check")(spec_check)
    app.add_typer(spec_app, name="spec")


def init(
    project: Annotated[Path, typer.Argument(help="A folder in the repository.")] = Path(),
    again: Annotated[bool, typer.Option("--again", help="Write nightmill.yaml anew, even if there is one.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out how a repository is installed and tested. Builds its environment, and measures its tests once."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say

    door = open_door()
    made = initialise(door, project, again=again)
    if json:
        names = sorted(made.baseline.passing)
        checks = {
            name: {
                "passing": len([test for test in made.baseline.passing[name] if test]),
                "failing": list(made.baseline.failing[name]),
                "flaky": list(made.baseline.flaky[name]),
            }
            for name in names
        }
        print_json({"project": made.project.id, "root": str(made.project.root), "tree": made.tree, "checks": checks})
        return
    print_baseline(made)
    for line in made.detected.advice if made.detected else ():
        say(f"! {line}")
    say("what was found and what was left out: nightmill env explain")
    for line in _next(made):
        say(line)


def _next(made: Initialised) -> list[str]:
    """What is to be done before a run can begin."""
    if not made.project.checks:
        return ["next: write under `checks` in nightmill.yaml how it is tested, then again: nightmill init"]
    commit = "git add nightmill.yaml && git commit -m 'How it is tested'"
    lines = [f"next: read nightmill.yaml, correct it, and commit it: {commit}"] if made.detected else []
    return [*lines, f"{'then' if lines else 'next'}: nightmill spec check SPEC.md, and nightmill run SPEC.md"]


def initialise(door: Door, root: Path, *, again: bool = False) -> Initialised:
    """Take the repository around *root* in, telling the person what is found."""
    import asyncio
    import time

    from nightmill.cli.lasting import lasting, written
    from nightmill.cli.screen import say
    from nightmill.cli.site import make_site
    from nightmill.crew import signers
    from nightmill.errors import RepoError
    from nightmill.estate.file import NAME, identify, load
    from nightmill.estate.init import initialise as take_in
    from nightmill.line.submit import hub_of
    from nightmill.repo import inspect
    from nightmill.store import projects

    checkout = inspect(root.absolute(), home=Path.home())
    if not checkout.branch:
        raise RepoError("the checkout is on no branch (detached head)", hint="switch to a branch first")
    for note in _absent(checkout):
        say(f"note: {note}")
    if not again and (checkout.root / NAME).exists():
        load(checkout.root)  # before anything is made: its faults are the person's to mend
    identity = identify(checkout.root)
    door.make_home()  # by us, or its first folder would make it, open to every user of this machine
    hub = hub_of(door.settings, identity)
    hub.create(branch=checkout.branch, format=checkout.format, signers=signers(door.settings.home))
    with lasting(lambda text: say(f"· {text}")) as step:
        copying = f"copying {checkout.branch} into nightmill's own repository of the project"
        step(copying, so_far=written(hub.path / "objects"))
        commit = hub.advance(checkout.branch, hub.take(checkout.root, checkout.branch))
        site = make_site(door)
        made = asyncio.run(take_in(checkout.root, hub=hub, commit=commit, site=site, progress=step, replace=again))
    projects.keep(door.database, projects.Known(id=identity, root=checkout.root, hub=hub.path, added=time.time()))
    return _with_baseline_kept(door, made)


def _absent(checkout: Checkout) -> Iterator[str]:
    """What the sandbox will not hold of *checkout*."""
    for path in checkout.submodules:
        yield f"the submodule {path!r} stays empty in the sandbox: work does not go into submodules yet"
    attributes = checkout.root / ".gitattributes"
    if attributes.is_file() and "filter=lfs" in attributes.read_text(encoding="utf-8", errors="replace"):
        yield "files that Git LFS keeps are pointers in the sandbox: what they point to is not there yet"


def _with_baseline_kept(door: Door, made: Initialised) -> Initialised:
    import time

    from nightmill.estate import baseline as baselines
    from nightmill.line.prove import baselines_as_json
    from nightmill.review import flake
    from nightmill.store import projects

    def anew(before: str | None) -> str:
        known = baselines_as_json.validate_json(before).flakes if before else {}
        return baselines_as_json.dump_json(flake.learned(made.baseline, known)).decode()

    checks = baselines.definition(made.project.checks, made.base.hash)
    projects.keep_baseline(
        door.database, project=made.project.id, tree=made.tree, checks=checks, change=anew, at=time.time()
    )
    return made


def spec_check(
    spec: Annotated[Path, typer.Argument(help="A spec: a Markdown file, or a spec-kit, OpenSpec or Kiro folder.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a spec and say what is missing or ambiguous. Exit status 0: accepted; 2: refused."""
    from nightmill import spec as specs
    from nightmill.cli.door import settings
    from nightmill.cli.screen import print_json
    from nightmill.line.prove import plain

    found = specs.read(spec)
    assessment = specs.assess(found, threshold=settings().spec_threshold)
    if json:
        print_json({"accepted": assessment.accepted, **plain(assessment), "spec": plain(found) | {"text": None}})
    else:
        _print_assessment(found, assessment)
    raise typer.Exit(0 if assessment.accepted else 2)


def _print_assessment(spec: Spec, assessment: Assessment) -> None:
    from rich.text import Text

    from nightmill.cli.screen import out, safe
    from nightmill.report.words import count

    console = out()
    word, style = ("accepted", "green") if assessment.accepted else ("refused", "red")
    mark = "✓" if assessment.accepted else "✗"
    console.print(
        Text(
            f"{mark} {word}: {safe(spec.title)} ({assessment.score} of 100, accepted from {assessment.threshold})",
            style=style,
        )
    )
    counted = (
        count(len(spec.requirements), "requirement"),
        count(len(spec.criteria), "criterion", "criteria"),
        count(len(spec.guardrails), "guardrail"),
    )
    console.print(Text(f"  {', '.join(counted)} · {spec.format}"))
    width = max(len(name) for name in assessment.parts) if assessment.parts else 0
    for name, (earned, possible) in assessment.parts.items():
        bar = "█" * round(10 * earned / possible) if possible else ""
        console.print(Text(f"  {name:<{width}}  {bar:<10} {earned} of {possible}"))
    for flaw in sorted(assessment.flaws, key=lambda flaw: (not flaw.gate, flaw.line)):
        style = "red" if flaw.gate else "yellow"
        console.print(Text(f"{'✗' if flaw.gate else '·'} {safe(flaw.sentence)}", style=style))


def print_baseline(made: Initialised) -> None:
    """Print how the checks end before any change."""
    from nightmill.cli.screen import safe

    project, baseline = made.project, made.baseline
    lines = [f"{project.id} · {project.language} · environment {made.base.hash[:12]}"]
    for name in sorted(baseline.passing):
        bad, flaky = baseline.failing[name], baseline.flaky[name]
        lines.append(f"{'✓' if not bad else '!'} check {name}: {_ends(baseline, name)}")
        lines += [f"    fails already: {each or 'the check as a whole'}" for each in bad[:10]]
        lines += [f"    flaky: {each or 'the check as a whole'}" for each in flaky[:10]]
    if not baseline.passing and not made.detected:
        lines.append("! no check is defined: without one nothing can be proven. Add one to nightmill.yaml")
    sys.stdout.write("\n".join(safe(line) for line in lines) + "\n")  # names of tests are the repository's


def _ends(baseline: Baseline, name: str) -> str:
    """How the check *name* ends before any change, in words."""
    tests = [test for test in baseline.passing[name] if test]
    bad, flaky = baseline.failing[name], baseline.flaky[name]
    if not tests and not [test for test in (*bad, *flaky) if test]:
        word = "fails already" if bad else "is flaky" if flaky else "passes"
        ends = f"{word} as a whole (it names no tests)"
    else:
        ends = f"{len(tests)} pass, {len(bad)} fail already, {len(flaky)} flaky"
    return ends if tests or not bad else f"{ends}; while nothing passes it proves nothing: mend `install` or `checks`"
