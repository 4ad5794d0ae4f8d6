"""What people decide about a pull request: yes to it, its merge, or that it goes back with a reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from nightmill.desk.door import Door
from nightmill.errors import NightmillError, RepoError, SettingsError
from nightmill.event import PullRequestMerged
from nightmill.forge import PullRequest
from nightmill.kept import must_be_allowed
from nightmill.line.merging import Merging, ground
from nightmill.store import Question, projects

__all__ = ["Stand", "approve", "gate", "merge", "send_back", "stand", "was_merged", "went_back"]

MOST_COMMITS = 1_000
"""Of one pull request whose authors are looked at."""

Answer = Literal["merged", "closed", "stuck", "unproven", "asks", "denied", "free"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What stands between a pull request and its merge, as one person would merge it now.

    Attributes:
        answer: That it is merged, closed, cannot be merged ("stuck"), would give a tree that nothing proves, or that
            policy asks for more, denies it, or lets this person merge it.
        tree: What merging gives, "" where it cannot be merged.
        reasons: Why not, a sentence each.
        hint: What to do about that.
        barred: Why this person may say neither yes nor no, "" if they may.
        said: What people said of exactly that tree, and with what reason it went back.
        mine: Whether this person's yes is among them.
    """

    request: PullRequest
    answer: Answer
    tree: str = ""
    reasons: tuple[str, ...] = ()
    hint: str = ""
    barred: str = ""
    said: tuple[Question, ...] = ()
    mine: bool = False


def gate(door: Door, request: PullRequest) -> Merging:
    """What a merge of *request* is judged by now: its target and the operator say so, not the checkout.

    Raises:
        RepoError: If the target is gone.
        SettingsError: If what it says, or the operator, cannot be used.
    """
    own, root = door.hub(request.project), projects.get(door.database, request.project).root
    return Merging(
        hub=own,
        forge=door.forge,
        ledger=door.ledger,
        blobs=door.blobs,
        questions=door.questions,
        agents=door.settings.identity_domain,
        ground=ground(own, request.target, root=root, home=door.settings.home),
    )


def stand(door: Door, request: PullRequest, *, by: str, may: bool) -> Stand:
    """How *request* stands for *by*; *may*: whether their role lets them say yes, which counts with the merge."""
    said = tuple(each for each in door.questions.of(request.run) if each.kind == "approve" and each.state != "open")
    if request.state != "open":
        return Stand(request=request, answer=request.state, said=said)
    barred = _barred(_back(door, request), by)
    try:
        judge = gate(door, request)
        tree = door.forge.merged_tree(project=request.project, number=request.number)
        barred = barred or _barred(judge.asked(request, tree), by)
        proof = judge.proof(request, tree)
        decision = judge.decide(request, tree, now=time.time(), by=by if may and not barred else "")
    except NightmillError as error:
        return Stand(
            request=request, answer="stuck", reasons=(error.message,), hint=error.hint, barred=barred, said=said
        )
    proven = proof is not None and proof.passed
    answers: dict[str, Answer] = {"allow": "free", "ask": "asks", "deny": "denied"}
    return Stand(
        request=request,
        answer=answers[decision.outcome] if proven else "unproven",
        tree=tree,
        reasons=(*(each.sentence for each in decision.reasons), *decision.void),
        hint="" if proven else f"nightmill pr merge {request.number} runs its checks on that tree, and merges it",
        barred=barred,
        said=said,
        mine=any(each.by == by and each.state == "granted" and each.tree == tree for each in said),
    )


def approve(door: Door, request: PullRequest, *, tree: str, by: str, because: str) -> Question:
    """Note the yes of *by* to *request*, as merging it gives *tree*, which they looked at.

    Raises:
        SettingsError: If *by* is an author or an agent, or said so before.
        RepoError: If merging it gives another tree by now, or it cannot be merged.
    """
    judge = gate(door, request)
    _must_give(door, request, tree)
    return judge.approve(request, tree, by=by, because=because)


def merge(door: Door, request: PullRequest, *, tree: str, by: str) -> PullRequest:
    """Merge *request* in the name of *by* if it gives *tree*, which they looked at, and that is proven and allowed.

    Raises:
        RepoError: If not.
        SettingsError: If what it is judged by cannot be used.
    """
    judge = gate(door, request)
    _must_give(door, request, tree)
    proof = judge.proof(request, tree)
    if proof is None or not proof.passed:
        raise RepoError(
            f"nothing proves the tree {tree[:12]} that merging pull request {request.number} gives",
            hint=f"nightmill pr merge {request.number} runs the checks on it first",
        )
    _must_let(judge, request, by=by)
    merged = door.forge.merge(project=request.project, number=request.number, by=by, onto=judge.ground.tip)
    _tell_merged(door, merged)
    return merged


def _tell_merged(door: Door, merged: PullRequest) -> None:
    told = PullRequestMerged(run=merged.run, number=merged.number, commit=merged.merge_commit, by=merged.merged_by)
    door.ledger.append([told])


def send_back(door: Door, request: PullRequest, *, by: str, because: str) -> PullRequest:
    """Close *request* with the no of *by* and its reason, which the ledger keeps; its branch stays.

    Raises:
        SettingsError: If *by* has a part in it, or gives no reason.
        RepoError: If it was merged.
    """
    if not because.strip():
        raise SettingsError("what goes back goes back with a reason", hint="say what a person would see that is wrong")
    if request.state != "open":
        raise RepoError(f"pull request {request.number} is {request.state}", hint="there is nothing to send back")
    door.questions.volunteer(_back(door, request), by=by, because=because.strip(), state="refused")
    return door.forge.close(project=request.project, number=request.number)


def was_merged(door: Door, request: PullRequest, *, by: str) -> bool:
    """Whether *by* merged *request*. Who did and was cut off before the ledger was told of it has that done now."""
    if request.state != "merged" or request.merged_by != by:
        return False
    names = (PullRequestMerged.name,)
    if not any(each.event().number == request.number for each in door.ledger.read(run=request.run, names=names)):  # type: ignore[attr-defined]  # it is of that name
        _tell_merged(door, request)
    return True


def went_back(door: Door, request: PullRequest, *, by: str) -> bool:
    """Whether *by* sent *request* back. Who said no and was cut off before it was closed has that done now."""
    no = _back(door, request).id
    said = any(each.id.startswith(no) and each.by == by for each in door.questions.of(request.run))
    if said and request.state == "open":
        door.forge.close(project=request.project, number=request.number)
    return said


def _must_let(judge: Merging, request: PullRequest, *, by: str) -> None:
    """Ask the policy whether *by* may merge *request* as it is now.

    Raises:
        RepoError: If not; the message has a line for each reason.
    """
    tree = judge.forge.merged_tree(project=request.project, number=request.number)
    decision = judge.decide(request, tree, now=time.time(), by=by)
    if decision.outcome != "allow":
        lines = [f"  {'✗' if each.outcome == 'deny' else '·'} {each.sentence}" for each in decision.reasons]
        lines += [f"  · {each}" for each in decision.void]
        message = "\n".join((f"policy does not let {by} merge pull request {request.number}:", *lines))
        raise RepoError(message, hint=f"nightmill pr approve {request.number} is for whoever else has to approve")


def _must_give(door: Door, request: PullRequest, tree: str) -> None:
    now = door.forge.merged_tree(project=request.project, number=request.number)
    if now != tree:
        raise RepoError(
            f"merging pull request {request.number} gives the tree {now[:12]} by now, not the one that was looked at",
            hint="look at it again",
        )


def _back(door: Door, request: PullRequest) -> Question:
    """What a no to *request* is a no to: asked of nobody who made it, whatever policy says."""
    commits = door.hub(request.project).log(request.head, limit=MOST_COMMITS, without=request.base)
    authors = sorted({each.email for each in commits})
    return Question(
        id=f"{request.run}/back/{request.head[:16]}/",
        run=request.run,
        step="merge",
        kind="approve",
        title=f"Merge pull request {request.number}: {request.title}",
        tree=request.tree,
        barred=(*authors, f"@{door.settings.identity_domain}"),
    )


def _barred(question: Question, by: str) -> str:
    try:
        must_be_allowed(question, by)
    except SettingsError as error:
        return error.message
    return ""
