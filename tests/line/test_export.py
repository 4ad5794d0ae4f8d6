"""What leaves a sandbox is a bundle that the host checks; nothing that an agent left in .git acts on the host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nightmill.errors import RepoError
from nightmill.line.prove import export
from nightmill.repo import Hub
from nightmill.sandbox import Command, Place, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner
from tests import whole

REF = "refs/nightmill/incoming/r1"


class Stand:
    """A checkout in a sandbox, and the hub that it came from."""

    def __init__(self, workspace: Workspace, hub: Hub, base: str, folder: Path) -> None:
        self.workspace, self.hub, self.base, self.folder = workspace, hub, base, folder

    async def sh(self, text: str) -> str:
        outcome = await self.workspace.run(Command(argv=("bash", "-c", text)))
        assert outcome.exit == 0, outcome.text
        return outcome.text

    async def out(self) -> dict[str, bytes]:
        """What comes out, by path."""
        commit = await export(self.workspace, hub=self.hub, folder=self.folder, base=self.base, ref=REF)
        assert self.hub.resolve(REF) == commit
        return {file.path: self.hub.show(commit, file.path) for file in self.hub.files(commit)}

    async def refused(self) -> str:
        with pytest.raises(RepoError) as caught:
            await export(self.workspace, hub=self.hub, folder=self.folder, base=self.base, ref=REF)
        assert self.hub.resolve(REF) is None
        return caught.value.message


Tell = Callable[[Callable[[Stand], Awaitable[None]]], None]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    layer, directory, folder = tmp_path / "layer", tmp_path / "run", tmp_path / "out"
    (layer / "repo").parent.mkdir()
    whole.repository(layer / "repo", {"a.txt": "one\n", "b.txt": "b\n"})
    base = whole.git(layer / "repo", "rev-parse", "HEAD")
    hub = Hub(tmp_path / "hub.git")
    hub.create()
    hub.take(layer / "repo", "main")
    for each in (directory, folder):
        each.mkdir()

    def go(story: Callable[[Stand], Awaitable[None]]) -> None:
        async def told() -> None:
            give(layer, owner())
            workspace = await BubblewrapSandboxes().open(Place(directory=directory, layers=(layer,)))
            try:
                await story(Stand(workspace, hub, base, folder))
            finally:
                await workspace.close()

        asyncio.run(told())
        assert not list(folder.iterdir()), "nothing of a bundle stays"
        assert hub.must("fsck", "--strict").exit == 0

    return go


def test_the_work_comes_out_as_it_is_in_the_checkout(tell: Tell) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh(
            "echo two > a.txt; rm b.txt; mkdir d; echo c > d/$'odd\\nname'; printf '*.log\\n' > .gitignore; echo x > x.log"
        )
        assert await stand.out() == {"a.txt": b"two\n", "d/odd\nname": b"c\n", ".gitignore": b"*.log\n"}
        await stand.sh("echo three > a.txt; touch .git/index.lock")
        assert (await stand.out())["a.txt"] == b"three\n"

    tell(story)


def test_what_an_agent_committed_or_stashed_changes_nothing(tell: Tell) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh(
            "git config user.email a@b; git config user.name a; echo two > a.txt; git commit -qam mine;"
            "git checkout -q --orphan other; echo three > a.txt"
        )
        assert (await stand.out())["a.txt"] == b"three\n"
        assert stand.hub.log(REF)[0].parents == (stand.base,)
        await stand.sh("git checkout -q -f main; git tag v1; git branch more; git gc -q")
        assert (await stand.out())["a.txt"] == b"two\n"

    tell(story)


def test_nothing_that_an_agent_configures_runs_outside(tell: Tell, tmp_path: Path) -> None:
    """Each of these leaves a mark where it runs; inside it may, outside there must be none."""
    mark = tmp_path / "marked"

    async def story(stand: Stand) -> None:
        plant = f"touch {mark} /work/inside"
        hooks = "pre-commit post-index-change reference-transaction pre-auto-gc post-rewrite update pre-receive"
        await stand.sh(
            f"mkdir -p .git/hooks {tmp_path}; printf '#!/bin/sh\\n{plant}\\n' > /work/run; chmod +x /work/run;"
            f"for hook in {hooks}; do cp /work/run .git/hooks/$hook; done;"
            "git config core.fsmonitor /work/run; git config core.hooksPath /work/repo/.git/hooks;"
            "git config filter.f.clean 'sh /work/run; cat'; git config filter.f.required true;"
            "git config core.pager /work/run; git config core.sshCommand /work/run; git config gpg.program /work/run;"
            "git config commit.gpgSign true; git config uploadpack.packObjectsHook /work/run;"
            "echo '*.txt filter=f diff=f merge=f' > .git/info/attributes; echo two > a.txt"
        )
        assert (await stand.out())["a.txt"] == b"two\n"
        assert "inside" in await stand.sh("ls /work"), "the trap was armed"

    tell(story)
    assert not mark.exists()


@pytest.mark.parametrize(
    "damage",
    [
        "rm -rf .git",
        "rm -rf .git; echo 'gitdir: /nowhere' > .git",
        "rm -rf .git/objects",
        "echo garbage > .git/index",
        "git config core.bare true",
        "echo '[broken' >> .git/config",
        "rm -rf /work/repo",
        "find .git/objects -type f | xargs chmod u+w; find .git/objects -type f | while read f; do echo x > $f; done",
        "git init -q /work/other; rm -rf .git; mv /work/other/.git .",
    ],
)
def test_a_damaged_repository_is_told_to_the_agent(tell: Tell, damage: str) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh(f"{{ {damage}; }} >/dev/null 2>&1; true")
        assert "git" in await stand.refused()

    tell(story)


@pytest.mark.parametrize(
    "trap",
    [
        "ln -s /etc/passwd /tmp/out.bundle",
        "ln -s /work/repo/a.txt /tmp/out.bundle",
        "mkdir -p /tmp/out.bundle/full",
        "mkfifo /tmp/out.bundle",
        "echo old > /tmp/out.bundle; chmod 000 /tmp/out.bundle",
    ],
)
def test_what_lies_where_the_bundle_goes_is_in_nobodys_way(tell: Tell, trap: str) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh(f"echo two > a.txt; {trap}")
        assert await stand.out() == {"a.txt": b"two\n", "b.txt": b"b\n"}
        assert await stand.sh("cat a.txt") == "two\n"

    tell(story)


@pytest.mark.parametrize("entry", ["100644 .GIT", "120000 .gitmodules", "100644 ../x"])
def test_an_unsound_tree_does_not_come_in(tell: Tell, entry: str) -> None:
    """A git of the agent's own, first in the path, gives what it likes."""
    program = f"import sys; sys.stdout.buffer.write(b'{entry}\\0' + bytes.fromhex(sys.argv[1]))"

    async def story(stand: Stand) -> None:
        await stand.sh(
            "mkdir -p /work/env/bin; blob=$(git hash-object -w a.txt);"
            f'tree=$(python3 -c "{program}" $blob | git hash-object -w -t tree --literally --stdin);'
            'printf \'#!/bin/sh\\nif [ "$1" = write-tree ]; then echo %s; else exec /usr/bin/git "$@"; fi\\n\' $tree'
            " > /work/env/bin/git; chmod +x /work/env/bin/git"
        )
        assert "git refuses the work" in await stand.refused()

    tell(story)


def test_a_bundle_of_something_else_does_not_come_in(tell: Tell) -> None:
    async def story(stand: Stand) -> None:
        fake = "printf '#!/bin/sh\\n%s\\n' \"$1\" > /work/env/bin/git; chmod +x /work/env/bin/git"
        await stand.sh("mkdir -p /work/env/bin")
        for script in (
            "echo not a bundle > /tmp/out.bundle",
            "rm -rf /tmp/out.bundle; mkfifo /tmp/out.bundle",
            "ln -sf /etc/passwd /tmp/out.bundle",
            "true",
            "/usr/bin/git bundle create --quiet /tmp/out.bundle --all",
            "exit 1",
        ):
            await stand.workspace.run(Command(argv=("bash", "-c", fake, "fake", script)))
            assert await stand.refused()

    tell(story)


def test_work_that_is_too_large_says_so(tell: Tell) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh("head -c 70000000 /dev/urandom > big")
        assert "larger than 64 MiB" in await stand.refused()

    tell(story)
