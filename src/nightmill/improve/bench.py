"""Where acts are done again: forks of one sandbox, each from the moment before the agent began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightmill.errors import SandboxError, SettingsError, ToolError
from nightmill.sandbox import Command, Limits
from nightmill.tool.base import ToolContext

if TYPE_CHECKING:
    from nightmill.improve.acts import Act
    from nightmill.sandbox import Outcome, Workspace
    from nightmill.tool import Toolset

__all__ = ["Bench", "difference", "tree_of"]

GIT = "export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\nrm -f .git/index.lock\n"
TREE = f"{GIT}git -c core.fsmonitor=false -c core.hooksPath=/dev/null add --all && git write-tree"
PATCH = f'{GIT}git diff --binary --full-index --no-color --no-ext-diff --no-textconv --no-renames "$1" "$2"'
DIFFERENCE = f"""{GIT}set -e
git -c core.fsmonitor=false -c core.hooksPath=/dev/null add --all
now=$(git write-tree)
export GIT_INDEX_FILE=/tmp/nightmill.index
git read-tree "$1"
if [ -s "$2" ]; then git apply --cached --whitespace=nowarn "$2"; fi
git diff --binary --full-index --no-color --no-ext-diff --no-textconv --no-renames "$(git write-tree)" "$now" > "$3"
"""
BEFORE, AFTER = "/tmp/nightmill.before", "/tmp/nightmill.patch"  # noqa: S108 - paths inside the sandbox
LARGEST = 32 << 20
"""Bytes of what one agent changed."""
OURS = Limits(seconds=300.0, memory=4 << 30, output=8 << 20)


@dataclass(slots=True, kw_only=True)
class Bench:
    """A sandbox that goes back to *start* before each try. What it says of trees is a guess: inside, anybody may lie."""

    workspace: Workspace
    start: str
    limits: Limits
    tools: Toolset
    tries: int = 0

    async def tree(self, acts: Sequence[Act]) -> str:
        """The tree that *acts* make."""
        await self.back()
        for act in acts:
            await self.again(act)
        return await self.now()

    async def back(self) -> None:
        """Stand at the start."""
        self.tries += 1
        await self.workspace.roll_back(self.start)

    async def again(self, act: Act) -> None:
        """Do *act* once more; whether it ends well shows in the tree."""
        if act.command:
            await self.workspace.run(Command(argv=("bash", "-c", act.command), limits=self.limits))
            return
        context = ToolContext(workspace=self.workspace, limits=self.limits)
        try:
            await self.tools.call(self.tools.prepare(act.call), context)
        except ToolError:
            return

    async def script(self, text: str, env: Mapping[str, str], *, seconds: float) -> tuple[Outcome, str]:
        """How the script *text* ends from the start, and the tree that it makes."""
        await self.back()
        limits = Limits(seconds=seconds, memory=max(self.limits.memory, 2 << 30))
        outcome = await self.workspace.run(Command(argv=("bash", "-c", text), env=env, limits=limits))
        return outcome, await self.now()

    async def now(self) -> str:
        """The tree of the checkout as it is.

        Raises:
            SandboxError: If git cannot say it.
        """
        return await tree_of(self.workspace)

    async def patch(self, before: str, after: str) -> str:
        """What leads from the tree *before* to the tree *after*, as `git apply` takes it; renames are told as two files.

        Raises:
            SettingsError: If it is no text, or holds what a blueprint cannot.
        """
        text = await _git(self.workspace, PATCH, before, after)
        if "\0" in text or "\ufffd" in text or "\r" in text:
            raise SettingsError("an edit of the agent is no plain text", hint="such a file is better made by a command")
        # An empty line of context may do without its space, at which an editor would take offence.
        return text.replace("\n \n", "\n\n").replace("\n \n", "\n\n")


async def tree_of(workspace: Workspace) -> str:
    """The tree of the checkout as it is.

    Raises:
        SandboxError: If git cannot say it.
    """
    return (await _git(workspace, TREE)).strip()


async def difference(workspace: Workspace, *, base: str, before: bytes) -> bytes:
    """What leads to the tree of the checkout from that which the patch *before* makes of the commit *base*.

    Raises:
        SettingsError: If it is too large to be kept.
        SandboxError: If git cannot say it.
    """
    await workspace.write(BEFORE, before)
    await _git(workspace, DIFFERENCE, base, BEFORE, AFTER)
    patch = await workspace.read(AFTER, limit=LARGEST + 1)
    if len(patch) > LARGEST:
        raise SettingsError(
            f"what another agent of the run changed is larger than {LARGEST >> 20} MiB",
            hint="it cannot be put in where the script is tried: this step stays an agent's",
        )
    return patch


async def _git(workspace: Workspace, text: str, *words: str) -> str:
    outcome = await workspace.run(Command(argv=("bash", "-c", text, "git", *words), limits=OURS))
    if outcome.exit or outcome.stopped or outcome.dropped:
        raise SandboxError(f"git fails where the agent worked: {outcome.text.strip()[-400:] or outcome.stopped}")
    return outcome.output.decode("utf-8", "replace")
