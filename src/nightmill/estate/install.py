"""What happens inside a sandbox to make a checkout usable: check out, install, settle; and move to another commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from nightmill.errors import SandboxError, SettingsError
from nightmill.estate.nouns import Service
from nightmill.sandbox import Command, Limits, Outcome, Workspace

__all__ = ["SETTINGS", "check_out", "install", "prepare", "settle"]

LIMITS = Limits(seconds=900.0, memory=4 << 30, processes=2048, file_size=4 << 30)
GIT_LIMITS = Limits(seconds=600.0, memory=4 << 30, file_size=8 << 30, output=8 << 20)
TAIL = 3_000

SETTINGS = {
    "UV_PYTHON_PREFERENCE": "only-system",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_LINK_MODE": "copy",
    "UV_NO_PROGRESS": "1",
    "UV_COMPILE_BYTECODE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "SOURCE_DATE_EPOCH": "315619200",
    "PYTHONHASHSEED": "0",
    "PYC_INVALIDATION_MODE": "CHECKED_HASH",
    "ZERO_AR_DATE": "1",
    "npm_config_logs_max": "0",
    "npm_config_update_notifier": "false",
}
"""Of the install lines only: the host's own Python, and nothing downloaded but packages.

One date, the second day that a ZIP archive can hold (the first is not yet there in the west), makes what is built twice
the same. Compiled files name their source by its hash: by its time, every build would differ, and a restored snapshot
could make a stale one look fresh.
"""

INIT = """
set -e
mkdir -p /work/repo /work/home
cd /work/repo
git init -q --template= --initial-branch=nightmill --object-format="$1"
git config user.name nightmill
git config user.email nightmill@nightmill.invalid
git config gc.auto 0
git config maintenance.auto false
git config core.hooksPath /dev/null
git config commit.gpgSign false
mkdir -p .git/info
"""

MOVE = """
set -e
if [ -n "$1" ]; then git bundle unbundle "$1" >/dev/null; fi
git checkout -q -f -B nightmill "$2"
git clean -fdq
test "$(git rev-parse HEAD)" = "$2"
if [ -n "$3" ] && [ "$3" != "$2" ]; then git reset -q "$3"; fi
"""

magic = re.compile(rb"([\\*?\[\]!# ])")


async def check_out(workspace: Workspace, *, bundle: str, commit: str) -> None:
    """Make /work/repo a repository of its own, with the history that *bundle* holds, at *commit*.

    It has no remote, no hook and no configuration but ours.

    Raises:
        SandboxError: If git fails.
    """
    format_ = "sha256" if len(commit) == 64 else "sha1"  # hex digits of SHA-256
    await _git(workspace, INIT, format_, cwd="/work")
    await _git(workspace, MOVE, bundle, commit, "")


async def prepare(
    workspace: Workspace, *, bundle: str, commit: str, onto: str = "", services: tuple[Service, ...] = ()
) -> None:
    """Move the checkout to *commit*, with *bundle* (a path inside, "" for none) as what it lacks; then start *services*.

    What is tracked becomes exactly the commit's tree and what is untracked goes, but for what the installation left
    (it is in `.git/info/exclude`) and what the tree ignores. With *onto*, a commit before it, git takes what differs from
    that for work that is in no commit yet.

    Raises:
        SandboxError: If git fails.
    """
    await _git(workspace, MOVE, bundle, commit, onto)
    await workspace.services.start(*(each.program for each in services))  # not before: they may run what is checked out


async def install(
    workspace: Workspace,
    lines: tuple[str, ...],
    *,
    env: Mapping[str, str],
    progress: Callable[[str], None],
    where: str = "`install`",
    before: tuple[str, ...] = (),
) -> None:
    """Run the shell *lines* that stand under *where* in nightmill.yaml, in order, each after the words *before*.

    Raises:
        SettingsError: If one fails: its number, the end of its output and what to change.
    """
    for number, line in enumerate(lines, start=1):
        progress(f"{where.replace('`', '')}: {line}")
        outcome = await workspace.run(Command(argv=(*before, "bash", "-c", line), env=env, limits=LIMITS))
        if outcome.exit or outcome.stopped:
            raise _failed(number, line, outcome, where=where)


async def settle(workspace: Workspace) -> None:
    """Undo what the installation changed in tracked files, and let git overlook what it added beside them.

    An editable installation leaves folders in the checkout: without this they would be part of every change.
    """
    await _git(workspace, "git reset -q --hard HEAD")
    listing = await _git(workspace, "git ls-files --others --exclude-standard --directory -z")
    left = [name for name in listing.output.split(b"\0") if name and b"\n" not in name]
    if left and not listing.dropped:
        lines = [b"/" + magic.sub(rb"\\\1", name) for name in left]
        await workspace.write("/work/repo/.git/info/exclude", b"\n".join([*lines, b""]))


def _failed(number: int, line: str, outcome: Outcome, *, where: str) -> SettingsError:
    endings = {
        "timeout": f"did not end within {LIMITS.seconds / 60:.0f} minutes",
        "memory": f"needs more than {LIMITS.memory >> 30} GB of memory",
    }
    ending = endings.get(outcome.stopped, outcome.stopped or f"failed with exit status {outcome.exit}")
    said = outcome.text.strip()[-TAIL:]
    hint = f"change line {number} of {where} in nightmill.yaml"
    if re.search(r"allowlist|403|tunnel|[Cc]ould not resolve|Failed to fetch|proxy", said):
        hint += "; if it needs another host, add it under `hosts`"
    return SettingsError(f"{where.replace('`', '')} line {number} {ending}: {line}\n{said}", hint=hint)


async def _git(workspace: Workspace, script: str, *args: str, cwd: str = "/work/repo") -> Outcome:
    outcome = await workspace.run(Command(argv=("bash", "-c", script, "git", *args), cwd=cwd, limits=GIT_LIMITS))
    if outcome.exit or outcome.stopped:
        said = outcome.stopped or outcome.text.strip()[-TAIL:]
        raise SandboxError(f"git failed in the sandbox (exit status {outcome.exit}): {said}")
    return outcome
