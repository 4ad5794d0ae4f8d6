"""From a proven tree in the hub to a signed commit, a branch and a pull request; as often as asked, once."""

from __future__ import annotations

from dataclasses import replace

from nightmill.change.compose import body, branch_name, message, subject
from nightmill.change.nouns import Landed, Landing, Made
from nightmill.errors import EngineError
from nightmill.forge import Forge, PullRequest
from nightmill.repo import Author, Hub

__all__ = ["Landed", "Landing", "land"]


def land(landing: Landing, *, hub: Hub, forge: Forge, author: Author) -> Landed:
    """Commit the proven tree, put it on its branch and open its pull request.

    Each step gives the same when it is done again: the commit's id follows from *landing* and the key, the
    branch moves only from nothing, and the forge knows the run. So a worker may die anywhere and start over.

    Raises:
        EngineError: If the verdict did not pass, or is not about the tree that came in.
        RepoError: If the branch is somewhere else.
        SettingsError: If *author* cannot sign.
    """
    tree = _proven(landing, hub)
    commits, parent = [], landing.base
    for made in (*landing.earlier, Made(author=author, tree=tree, summary=landing.summary)):
        words = message(replace(landing, summary=made.summary, run=made.run or landing.run))
        parent = hub.commit(made.tree, parents=[parent], message=words, author=made.author, when=landing.when)
        commits.append({"commit": parent, "tree": made.tree, "author": f"{made.author.name} <{made.author.email}>"})
    commit = parent
    branch = branch_name(landing.task.title, landing.run)
    with hub.locked():
        tip = hub.resolve(f"refs/heads/{branch}")
        if tip is None or not hub.contains(commit=tip, ancestor=commit):
            hub.branch(branch, commit, expected_old="")
    changes = hub.changes(landing.base, commit)
    request = PullRequest(
        key=landing.run,
        project=landing.project,
        title=subject(landing.task.title),
        body=body(landing, changes=changes, branch=branch, hub=hub.path),
        branch=branch,
        target=landing.target,
        head=commit,
        base=landing.base,
        tree=tree,
        verdict=landing.proof,
        author=f"{author.name} <{author.email}>",
        passed=landing.verdict.passed,
        run=landing.run,
    )
    opened = forge.open(request)
    return Landed(
        commit=commit,
        tree=tree,
        branch=branch,
        number=opened.number,
        title=opened.title,
        author=request.author,
        commits=tuple(commits),
    )


def _proven(landing: Landing, hub: Hub) -> str:
    if not landing.verdict.passed:
        raise EngineError(f"the run {landing.run!r} cannot land: its verdict did not pass")
    incoming = hub.resolve(landing.incoming)
    if incoming is not None and hub.tree(incoming) != landing.verdict.tree:
        raise EngineError(f"the run {landing.run!r} cannot land: its verdict is about another tree than came in")
    return hub.tree(landing.verdict.tree)
