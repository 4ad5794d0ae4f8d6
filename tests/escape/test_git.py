"""What an agent does to its git, towards the hub: `line.prove.export` takes the work out, the hub looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightmill.errors import NightmillError
from nightmill.line.prove import notes
from nightmill.repo import Hub
from tests.line.test_export import REF, Stand, Tell, tell

__all__ = ["tell"]  # a fixture

pytestmark = pytest.mark.wall("export")


def names(hub: Hub) -> set[str]:
    """Refs of the hub."""
    return set(hub.must("for-each-ref", "--format=%(refname)").out.decode().split())


BEFORE = {"refs/owner/heads/main"}


def test_refs_replacements_grafts_and_alternates_of_an_agent_stay_its_own(tell: Tell, tmp_path: Path) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh(
            "git config user.email a@b; git config user.name a; echo evil > a.txt; git commit -qam evil;"
            "git branch owner; git update-ref refs/heads/main HEAD; git update-ref refs/owner/heads/main HEAD;"
            "git update-ref 'refs/heads/-evil' HEAD; git tag -a -m x v1; git notes add -m note;"
            f"echo {stand.base} > .git/info/grafts; mkdir -p .git/objects/info; echo /work/other > .git/objects/info/alternates;"
            f"echo '[include] path = {tmp_path}/secret' >> .git/config; echo '[core] alternateRefsCommand = touch /x' >> .git/config;"
            f"git replace --force {stand.base} HEAD; echo two > a.txt"
        )
        assert (await stand.out())["a.txt"] == b"two\n"
        assert names(stand.hub) == BEFORE | {REF}
        assert stand.hub.log(REF)[0].parents == (stand.base,)
        assert stand.hub.show(stand.base, "a.txt") == b"one\n"

    tell(story)


def test_links_in_a_checkout_come_out_as_links_and_are_told(tell: Tell, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of the host")

    async def story(stand: Stand) -> None:
        await stand.sh(
            f"ln -s {tmp_path}/secret secret; ln -s ../../../../etc d; rm b.txt; ln -s .git/config b.txt; ln -s d/passwd e"
        )
        found = await stand.out()
        assert found["secret"] == str(tmp_path / "secret").encode()
        assert not [body for body in found.values() if b"of the host" in body]
        told = "\n".join(notes(stand.hub, stand.base, REF))
        assert all(f"`{name}`" in told for name in ("secret", "d", "b.txt"))

    tell(story)


def test_a_submodule_with_a_hostile_address_is_fetched_by_nobody(tell: Tell, tmp_path: Path) -> None:
    text = (
        f'[submodule "x"]\\n\\tpath = x\\n\\turl = ext::touch {tmp_path}/owned\\n\\tupdate = !touch {tmp_path}/owned\\n'
    )

    async def story(stand: Stand) -> None:
        await stand.sh(
            f"printf '{text}' > .gitmodules; git update-index --add --cacheinfo 160000,{stand.base},x; mkdir x"
        )
        try:
            await stand.out()
        except (NightmillError, AssertionError, KeyError):
            return
        told = "\n".join(notes(stand.hub, stand.base, REF))
        assert ".gitmodules" in told

    tell(story)
    assert not (tmp_path / "owned").exists()


def test_filters_that_attributes_name_are_told_and_run_nowhere(tell: Tell) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh("echo '* filter=lfs diff=evil merge=evil -text' > .gitattributes; echo two > a.txt")
        await stand.out()
        assert "a.txt" in stand.hub.diff(stand.base, REF).text
        assert ".gitattributes" in "\n".join(notes(stand.hub, stand.base, REF))

    tell(story)


def test_names_that_some_file_systems_take_for_another_are_told(tell: Tell) -> None:
    async def story(stand: Stand) -> None:
        await stand.sh(
            "mkdir -p .nightmill; echo x > .nightmill/x; echo x > nightmill.yaml; echo x > $'a\\u202etxt.exe'"
        )
        await stand.sh(
            "echo x > $'\\x1b[2J'; mkdir -p .github/workflows; echo x > .github/workflows/ci.yml; echo x > -rf"
        )
        await stand.out()
        told = notes(stand.hub, stand.base, REF)
        assert not {"\x1b", "\u202e"} & set("".join(told))
        assert len(told) >= 4
        assert not [each for each in told if "\n" in each or each.count("`") != 2]

    tell(story)


BOMB = r"""
import subprocess, sys
def tree(entries):
    body = b"".join(b"%s %s\0" % (mode, name) + bytes.fromhex(sha) for mode, name, sha in entries)
    done = subprocess.run(["/usr/bin/git", "hash-object", "-w", "-t", "tree", "--stdin"], input=body, capture_output=True, check=True)
    return done.stdout.decode().strip()
sha, mode = subprocess.check_output(["/usr/bin/git", "hash-object", "-w", "a.txt"]).decode().strip(), b"100644"
for level in range(10):
    sha, mode = tree([(mode, b"%02d" % number, sha) for number in range(10)]), b"40000"
print(sha)
"""


def test_a_tree_that_unfolds_to_billions_of_files_ends_in_a_bounded_error(tell: Tell) -> None:
    """A git of the agent's own gives a tree of eleven objects: listing it must end, and say why."""

    async def story(stand: Stand) -> None:
        await stand.sh(f"mkdir -p /work/env/bin; cat > /tmp/bomb.py <<'END'\n{BOMB}\nEND\n")
        await stand.sh(
            'tree=$(python3 /tmp/bomb.py); printf \'#!/bin/sh\\nif [ "$1" = write-tree ]; then echo %s; '
            'else exec /usr/bin/git "$@"; fi\\n\' $tree > /work/env/bin/git; chmod +x /work/env/bin/git'
        )
        assert "the names of the bundle's files are more than" in await stand.refused()

    tell(story)
