"""Where a run is, as the lines above the conversation and beside it."""

from __future__ import annotations

from collections.abc import Sequence

from nightmill.cli.attach.scene import Row, Scene, clean, paragraphs
from nightmill.desk.nouns import Part
from nightmill.errors import SettingsError
from nightmill.kept import Run
from nightmill.report.words import count, duration, money, share, tokens

__all__ = ["THEN", "beside", "changed", "head", "heard", "opened", "window"]

GAUGE = 10
MARKS = {"done": ("✓", "green"), "doing": ("▸", "bold")}
DIFF = {"+": "green", "-": "red", "@": "cyan"}
THEN = {"pause": "pauses after the turn it is in", "run": "goes on", "cancel": "stops"}
MOST_DIFF = 5_000
"""Lines of a diff that are shown."""


def head(scene: Scene, *, title: str, size: int, others: Sequence[str], away: str, now: float) -> list[Row]:
    """Its lines: what the run is, where it is, how full the context is and who else looks on.

    *size* is how many tokens the context holds, 0 if nobody has said; *away* says what is wrong with the way to the store.
    """
    sight = scene.sight
    cost = money(sight.cost) if sight.priced else "price unknown"
    where = [sight.state, scene.step or sight.phase, scene.role, scene.model or sight.model]
    spent = [count(scene.turns, "turn"), f"{tokens(sight.tokens)} tokens", cost]
    spent += [duration(now - sight.started)] if sight.started and not scene.over else []
    rows = [
        Row(f"{scene.run}  {clean(title)}", style="bold", most=2),
        Row(clean(" · ".join(filter(None, where))), "■" if scene.over else "●", _tone(scene), most=2),
        Row(" · ".join([*spent, _context(scene, size)]), most=2),
    ]
    if sight.doing and not scene.over:
        rows.append(Row(clean(sight.doing), "…", "dim"))
    rows.append(Row(f"with {clean(', '.join(others))}" if others else "nobody else is here", "◦", "dim", most=2))
    return [*rows, Row(clean(away), "!", "bold red", most=2)] if away else rows


def beside(scene: Scene) -> list[Row]:
    """What is to be done, what was checked, what runs beside."""
    rows = [Row("What is to be done", style="bold")]
    rows += [
        Row(clean(each.get("text", "")), *MARKS.get(each.get("state", ""), ("○", "")), most=3)
        for each in scene.todo[:60]
    ]
    rows += [] if scene.todo else [Row("The agent has written no list.", style="dim", most=3)]
    if scene.tasks:
        rows += [Row(""), Row("Tasks", style="bold")]
        rows += [_task(scene, task, title) for task, title in list(scene.tasks.items())[:100]]
    rows += [Row(""), Row("Checks", style="bold")]
    checks = [*scene.checks.values(), *([scene.verdict] if scene.verdict else [])]
    rows += [Row(clean(each.text), each.mark, each.style, most=3) for each in checks]
    rows += [] if checks else [Row("None has run yet.", style="dim")]
    if scene.services:
        rows += [Row(""), Row("Services", style="bold")]
        rows += [Row(f"{clean(name)}: {clean(state)}", "·", most=3) for name, state in scene.services.items()]
    if scene.compactions:
        rows += [
            Row(""),
            Row(
                f"Older parts of the conversation were left out {count(scene.compactions, 'time')}.",
                style="dim",
                most=3,
            ),
        ]
    return rows


def changed(diff: str | None) -> list[Row]:
    """A diff, line by line; None: it is not known yet."""
    if not diff:
        return [Row("Nothing has changed so far." if diff == "" else "…", style="dim", most=3)]
    lines = paragraphs(diff)
    rows = [Row(each, style=_diff(each), most=4) for each in lines[:MOST_DIFF]]
    return [*rows, *([Row(f"… {len(lines) - MOST_DIFF:,} lines more", style="dim")] if len(lines) > MOST_DIFF else [])]


def opened(parts: Sequence[Part], call: str) -> tuple[str, ...]:
    """What is shown of a turn: what it said, or one call of it."""
    lines: list[str] = []
    for part in parts:
        if call and part.call == call:
            lines += [f"{part.kind}:", *paragraphs(part.text)]
        elif not call and not part.call:
            lines += [*(["thinking:"] if part.kind == "thinking" else []), *paragraphs(part.text)]
    return tuple(lines) or ("there is nothing more to it",)


def heard(run: Run) -> str:
    """When what was just said to *run* is heard."""
    if run.state in {"paused", "parked"}:
        return f"{run.id} hears it when it goes on: it is {run.state}"
    return f"{run.id} hears it before its next turn"


def window(model: str) -> int:
    """How many tokens the context of *model* holds, 0 if nobody knows."""
    from nightmill.model import connect

    try:
        return connect.window(model) or 0
    except SettingsError:
        return 0


def _diff(text: str) -> str:
    return "bold" if text.startswith(("diff ", "+++ ", "--- ")) else DIFF.get(text[:1], "")


def _task(scene: Scene, task: str, title: str) -> Row:
    run = scene.started.get(task, "")
    ended = scene.ended.get(run, "")
    mark, style = ("✓", "green") if ended == "done" else ("✗", "red") if ended else ("▸", "bold") if run else ("○", "")
    return Row(clean(f"{task} {title}" + (f" ({run})" if run else "")), mark, style, most=3)


def _tone(scene: Scene) -> str:
    if scene.over:
        return "green" if scene.sight.state == "done" else "red"
    return "yellow" if scene.sight.needs else "blue"


def _context(scene: Scene, size: int) -> str:
    if not scene.request:
        return "context empty"
    if not size:
        return f"context {tokens(scene.request)} tokens"
    full = min(scene.request / size, 1.0)
    bar = "█" * round(full * GAUGE)
    return f"context {bar:░<{GAUGE}} {share(scene.request, size)} of {tokens(size)}"
