"""An event as one line of text, the same in `run`, `log` and `show`; every line reads without colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nightmill import event as e
from nightmill.report.words import duration, moment, money, share, tokens

__all__ = ["Line", "line"]


class Line(NamedTuple):
    """*mark* is one character, *style* a Rich style, *fold* says that a live view may drop the line later."""

    mark: str
    text: str
    style: str = ""
    fold: bool = False


def line(told: e.Event) -> Line | None:
    """How *told* reads; None: nothing to say in one line."""
    made = LINES.get(type(told))
    if made is None:
        return None
    found = made(told)
    return found and found._replace(text=" ".join(found.text.split()))  # one line, whatever a title or a reason holds


def _tool(told: e.ToolFinished) -> Line:
    return Line(
        "·" if told.ok else "✗",
        f"{told.tool} {told.label} ({duration(told.seconds)})",
        "" if told.ok else "yellow",
        fold=True,
    )


def _turn(told: e.TurnFinished) -> Line:
    used = told.usage
    cached = (
        f", {share(used['cache_read'], used['input'])} cached" if used.get("cache_read") and used.get("input") else ""
    )
    cost = money(told.cost) if told.cost is not None else "price unknown"
    size = f"{tokens(used.get('input', 0))} in{cached}, {tokens(used.get('output', 0))} out"
    figures = f"{size} · {cost} · {duration(told.seconds)}"
    return Line("▪", f"{told.role}, turn {told.turn}: {told.said or '(no words)'} ({figures})", "dim")


def _switched(told: e.ModelSwitched) -> Line:
    why = f" instead of {told.before}: {told.reason}" if told.reason else f" again, no longer {told.before}"
    return Line("⇄", f"{told.model} is asked{why}", "yellow")


def _check(told: e.CheckFinished) -> Line:
    counts = told.result.get("counts") or {}
    tests = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    stopped = told.result.get("stopped")
    detail = f" ({tests})" if tests else f" ({stopped})" if stopped else ""
    return Line(
        "✓" if told.passed else "✗",
        f"check {told.check} on {told.tree[:10]}{detail}",
        "green" if told.passed else "red",
    )


def _verdict(told: e.VerdictGiven) -> Line:
    if told.passed:
        return Line("✓", f"proven: tree {told.tree[:10]}", "green")
    reasons = "; ".join(told.verdict.get("reasons", ())) or "no reason given"
    return Line("✗", f"not proven: {' '.join(reasons.split())[:300]}", "red")


def _stopped(told: e.RunStopped) -> Line:
    kept = f"; the work is on branch {told.branch}" if told.branch else ""
    return Line("■", f"stopped ({told.why}): {told.reason}{kept}", "red")


def _plan(told: e.PlanMade) -> Line:
    titles = "; ".join(f"{task['id']} {task['title']}" for task in told.tasks)
    return Line("◇", f"plan: {len(told.tasks)} {'task' if len(told.tasks) == 1 else 'tasks'}: {titles}")


def _request(told: e.RequestMade) -> Line:
    where = f"{told.method} {told.host}:{told.port}{told.path}" if told.host else told.method
    many = f" ({told.count} times)" if told.count > 1 else ""
    if not told.allowed or told.reason:
        return Line("⊘", f"network: {where}{many}: {told.reason}", "yellow", fold=True)
    added = f", with {told.credential}" if told.credential else ""
    size = f"{told.up:,} bytes out, {told.down:,} in"
    return Line("⇅", f"network: {where}{many} ({told.status or 'no answer'}, {size}{added})", "dim", fold=True)


def _parked(told: e.RunParked) -> Line:
    until = f" at {moment(told.until)}" if told.until else ""
    what = "waits for a person" if told.needs == "person" else f"waits, then tries again{until}"
    return Line("◌", f"parked, {what}: {told.reason}", "yellow")


def _prepared(told: e.WorkspacePrepared) -> Line:
    drift = f"; not as agreed: {'; '.join(told.drift)}" if told.drift else ""
    text = f"workspace at {told.commit[:10]} on environment {told.environment[:12]} ({duration(told.seconds)}){drift}"
    return Line("!" if drift else "·", text, "yellow" if drift else "")


def _service(told: e.ServiceStarted) -> Line:
    if told.ready:
        return Line("·", f"service {told.service} answers ({duration(told.seconds)})", fold=True)
    return Line("✗", f"service {told.service} does not answer: {told.reason}", "yellow")


def _asked(told: e.QuestionAsked) -> Line:
    command = "approve" if told.kind == "approve" else "answer"
    return Line("?", f"asks a person: {told.title} (nightmill {command} {told.run})", "yellow")


def _gate(told: e.GateDecided) -> Line:
    if told.outcome == "allow":
        return Line("✓", f"policy allows tree {told.tree[:10]}", "green")
    why = "; ".join(told.reasons) or "no reason given"
    return Line("?" if told.outcome == "ask" else "✗", f"policy: {told.outcome}: {why[:300]}", "yellow")


def _decided(told: e.QuestionDecided) -> Line:
    words = f": {told.answer}" if told.answer else ""
    good = told.state in {"granted", "answered"}
    return Line("✓" if good else "✗", f"{told.state} by {told.by}{words}", "green" if good else "yellow")


MEASURES = {
    "note": "noted",
    "nudge": "nudged",
    "firmer": "nudged again",
    "fresh": "given a fresh context",
    "model": "given another model",
    "stop": "stopped",
}


def _nudged(told: e.AgentNudged) -> Line:
    what = f"{MEASURES.get(told.measure, told.measure)} ({told.guard.replace('_', ' ')})"
    return Line("!", f"{what}: {told.evidence}" if told.measure != "nudge" and told.evidence else what, "yellow")


def _note(told: e.NoteWritten) -> Line:
    if told.commit:
        return Line("·", f"the {told.role} is to remember it: {told.text.removeprefix('- ')}", "dim", fold=True)
    return Line("!", f"what the {told.role} was to remember is not written: {told.why}", "yellow")


def _taken(told: e.PermissionTaken) -> Line:
    why = f"({told.step}): {told.kind} {told.times} times by {told.model}"
    asked = f"{told.role} is told to do without {', '.join(told.asked)}" if told.asked else ""
    if not told.takes:
        return Line("!", f"{asked} {why}", "yellow")
    return Line(
        "!", f"{told.role} works without {', '.join(told.takes)} {why}{f'; {asked}' if asked else ''}", "yellow"
    )


def _step(told: e.StepFinished) -> Line | None:
    if told.state == "skipped":
        return None
    what = f"step {told.step}{f' ({told.title})' if told.title else ''}"
    if told.state == "failed":
        return Line("✗", f"{what} failed: {' '.join(told.reason.split())[:200]}", "yellow")
    return Line("·", f"{what} {told.state}", "dim", fold=True)


def _review(told: e.ReviewGiven) -> Line:
    found = f"{len(told.findings)} {'finding' if len(told.findings) == 1 else 'findings'}"
    if told.approved:
        return Line("✓", f"{told.role} approves of tree {told.tree[:10]} ({found})", "green")
    worst = "; ".join(str(each.get("title", "")) for each in told.findings[:3]) or told.case_against
    return Line("✗", f"{told.role} does not approve ({found}): {' '.join(worst.split())[:200]}", "yellow")


LINES: dict[type[e.Event], Callable[[Any], Line | None]] = {
    e.RunQueued: lambda told: Line("○", f"queued: {told.title}"),
    e.RunStarted: lambda told: Line("●", "started", "blue"),
    e.RunRecovered: lambda told: Line("↻", f"taken up again by {told.worker}", "yellow"),
    e.RunParked: _parked,
    e.RunPaused: lambda told: Line("◌", f"paused by {told.by}", "yellow"),
    e.RunResumed: lambda told: Line("●", f"goes on ({told.by})", "blue"),
    e.RunDone: lambda told: Line("✓", f"done: pull request {told.change}" if told.change else "done", "green"),
    e.RunStopped: _stopped,
    e.PhaseStarted: lambda told: Line(
        "▶", f"{told.phase}" + (f" (round {told.round + 1})" if told.round else ""), "bold"
    ),
    e.PlanMade: _plan,
    e.TaskFiled: lambda told: Line(
        "?",
        f"leaves the task {told.task} ({told.findings} open): {told.title} (nightmill task start {told.task})",
        "yellow",
    ),
    e.TaskStarted: lambda told: Line("→", f"{told.by} has run {told.child} go on with the task {told.task}"),
    e.TaskDropped: lambda told: Line("✗", f"{told.by} drops the task {told.task}: {told.because}", "yellow"),
    e.TaskQueued: lambda told: Line("○", f"task {told.task} is run {told.child}"),
    e.WorkspacePrepared: _prepared,
    e.WorkspaceRestored: lambda told: Line(
        "↻", f"workspace restored to {told.snapshot[:10]} ({duration(told.seconds)})", fold=True
    ),
    e.ServiceStarted: _service,
    e.ServiceEnded: lambda told: Line("✗", f"service {told.service} ended: {told.reason or told.exit}", "yellow"),
    e.ModelRetried: lambda told: Line("↻", f"{told.reason}; asked again in {duration(told.wait)}", "yellow"),
    e.ModelAwaited: lambda told: Line("◌", told.reason, "yellow", fold=True),
    e.ModelSwitched: _switched,
    e.ToolFinished: _tool,
    e.RequestMade: _request,
    e.TurnFinished: _turn,
    e.NotesRecalled: lambda told: Line("·", f"told what earlier runs noted ({len(told.notes)})", fold=True),
    e.ResultReused: lambda told: Line(
        "·", f"not run again on the same tree: {' '.join(told.command.split())[:160]}", "dim", fold=True
    ),
    e.ExplorerSent: lambda told: Line("→", f"{told.role}: {' '.join(told.question.split())[:200]}", "dim"),
    e.ContextCompacted: lambda told: Line(
        "⇲", f"context cut ({told.layer}): {tokens(told.before)} → {tokens(told.after)} tokens", "dim"
    ),
    e.DriftScored: lambda told: Line("!", f"drifting ({told.score:.2f}): {told.why}", "yellow"),
    e.AgentNudged: _nudged,
    e.AgentStarted: lambda told: Line("→", f"{told.role} begins ({told.step})", "dim"),
    e.StepFinished: _step,
    e.ReviewGiven: _review,
    e.FactEmitted: lambda told: Line("·", f"told: {told.fact} ({told.step})"),
    e.AgentFinished: lambda told: Line("·", f"finished, it says: {' '.join(told.summary.split())[:300]}"),
    e.SentBack: lambda told: Line(
        "↩",
        f"back to {told.role or 'the agent'} ({told.count} of {told.limit}): {' '.join(told.reason.split())[:200]}",
        "yellow",
    ),
    e.CheckFinished: _check,
    e.VerdictGiven: _verdict,
    e.MistakeMade: lambda told: Line("!", f"a mistake of the {told.role} is counted: {told.kind}", "yellow", fold=True),
    e.NoteWritten: _note,
    e.PermissionTaken: _taken,
    e.WorkPreserved: lambda told: Line("·", f"work kept on branch {told.branch}"),
    e.CommitMade: lambda told: Line("·", f"commit {told.commit[:10]} by {told.author} on {told.branch}"),
    e.PullRequestOpened: lambda told: Line("✓", f"pull request {told.number}: {told.branch} → {told.target}", "green"),
    e.GateDecided: _gate,
    e.QuestionAsked: _asked,
    e.RunForked: lambda told: Line(
        "⑂", f"{told.child} goes on from {told.before} at {told.at}, as {told.by} asks", "bold"
    ),
    e.PastEdited: lambda told: Line("✎", f"{told.by} {told.did} the {told.kind} {told.what} at {told.at}", "bold"),
    e.WordSaid: lambda told: Line("»", f"{told.by} says: {' '.join(told.text.split())[:300]}", "bold"),
    e.WordHeard: lambda told: Line("·", f"{told.role} heard word {told.number} (turn {told.turn})", "dim"),
    e.QuestionDecided: _decided,
    e.EnvironmentBuilt: lambda told: Line(
        "·", f"environment {told.environment[:12]} of {told.project} built ahead ({duration(told.seconds)})"
    ),
    e.EnvironmentFailed: lambda told: Line(
        "✗", f"the environment of {told.project} cannot be built: {told.reason}", "red"
    ),
    e.BlueprintApproved: lambda told: Line(
        "✓", f"blueprint {told.blueprint} (version {told.version}) approved for {told.project} by {told.by}", "green"
    ),
    e.PersonInvited: lambda told: Line("·", f"{told.by} invited {told.address}{' again' if told.again else ''}"),
    e.IdentityBound: lambda told: Line("✓", f"{told.address} comes in by {told.issuer}", "green"),
    e.PersonAdded: lambda told: Line("✓", f"{told.person} <{told.address}> is let in, by {told.way}", "green"),
    e.PasswordChanged: lambda told: Line("·", f"{told.address} has another password"),
    e.PersonRemoved: lambda told: Line("✗", f"{told.by} shut {told.address} out", "red"),
    e.GrantChanged: lambda told: Line(
        "·", f"{told.by} made {told.address} {', '.join(told.roles) or 'nobody'} in {told.project or 'every project'}"
    ),
    e.TokenMade: lambda told: Line(
        "·",
        f"{told.by} made the token {told.token}, for {', '.join(told.scopes)}{f', with {told.within}' if told.within else ''}",
    ),
    e.TokenRevoked: lambda told: Line("·", f"{told.by} ended the token {told.token} of {told.owner}"),
    e.DispatcherAsked: lambda told: Line(
        "·",
        f"{told.model} was asked which of {', '.join(told.offered)} an ask is for: {told.chosen or told.why}"
        f" ({money(told.cost) if told.cost is not None else 'price unknown'})",
        "dim",
    ),
    e.BlueprintRevoked: lambda told: Line("✗", f"blueprint {told.blueprint} of {told.project} revoked by {told.by}"),
    e.ForgeHeard: lambda told: Line("·", f"{told.forge}: {told.by} {told.kind} {told.about}", "dim"),
    e.ForgeLinked: lambda told: Line("·", f"{told.forge}: {told.about} is our #{told.change}", "dim"),
    e.CommentHeard: lambda told: Line(
        "»",
        f"{told.by} wrote at {told.forge}{f' on {told.path}:{told.line}' if told.path else ''}: {' '.join(told.text.split())[:300]}",
        "bold",
    ),
    e.CommentPassed: lambda told: Line("·", f"{told.by} passes on what was written at the forge", "dim"),
    e.HookAdded: lambda told: Line("·", f"webhook {told.hook}: {told.by} has {told.host} told of what happens"),
    e.HookChanged: lambda told: Line("·", f"webhook {told.hook} {told.how} by {told.by}"),
    e.HookRemoved: lambda told: Line("·", f"webhook {told.hook} removed by {told.by}"),
    e.SecretKept: lambda told: Line(
        "·", f"{told.by} set the secret {told.called} for {told.project or 'all projects'}"
    ),
    e.SecretRemoved: lambda told: Line(
        "·", f"{told.by} deleted the secret {told.called} of {told.project or 'the operator'}"
    ),
    e.EntriesForgotten: lambda told: Line(
        "·", f"the words of {told.count} entries up to {told.upto} forgotten by {told.by}"
    ),
    e.BudgetRaised: lambda told: Line("·", f"{told.by} added {money(told.dollars)} to what {told.day} may cost"),
    e.NotesForgotten: lambda told: Line("·", f"{told.count} notes of {told.project} deleted by {told.by}"),
    e.Forgotten: lambda told: Line("·", f"forgotten: {told.was.replace('_', ' ')}", "dim", fold=True),
    e.PullRequestMerged: lambda told: Line("✓", f"pull request {told.number} merged by {told.by}", "green"),
}
