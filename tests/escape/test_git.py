"""What an agent does to its git, towards the hub: `line.prove.export` takes the work out, the hub looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightmill.errors import NightmillError
from nightmill.line.prove import look_twice
from nightmill.repo import Hub, shown
from tests.line.test_export import REF, Stand, Tell, tell

__all__ = ["tell"]  # a fixture

pytestmark = pytest.mark.wall("export")


def notes(hub: Hub, base: str, head: str) -> list[str]:
    """What people are told to look at twice."""
    return [f"`{shown(path)}`: {what}" for path, what in look_twice(hub, base, head, seen=())]


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


UNFOLDING = r"""
import hashlib, struct, sys, zlib

def number(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])

def head(kind, size):
    first, rest = kind << 4 | size & 15, size >> 4
    return bytes([first | 128]) + number(rest) if rest else bytes([first])

def name(kind, body):
    return hashlib.sha1(b"%s %d\0" % (kind, len(body)) + body).digest()

size, times = int(sys.argv[2]), int(sys.argv[3])
again = b"\xf0" + struct.pack("<I", size)[:3]
whole, delta = bytes(size), number(size) + number(size * times) + again * times
large = hashlib.sha1(b"blob %d\0" % (size * times))
for _ in range(times):
    large.update(whole)
tree = b"100644 large\0" + large.digest()
commit = b"tree %s\nparent %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n" % (
    name(b"tree", tree).hex().encode(), sys.argv[1].encode())
pack = b"PACK" + struct.pack(">II", 2, 4)
for kind, body in ((1, commit), (2, tree), (3, whole)):
    pack += head(kind, len(body)) + zlib.compress(body, 9)
pack += head(7, len(delta)) + name(b"blob", whole) + zlib.compress(delta, 9)
bundle = b"# v2 git bundle\n-%s \n%s refs/nightmill/out\n\n" % (sys.argv[1].encode(), name(b"commit", commit).hex().encode())
open("/tmp/evil", "wb").write(bundle + pack + hashlib.sha1(pack).digest())
"""


@pytest.mark.parametrize(("size", "times"), [(0xFFFF, 2), (0xFFFFFF, 40)])
def test_a_few_bytes_that_unfold_to_gigabytes_are_refused_before_they_do(tell: Tell, size: int, times: int) -> None:
    """A delta may say "that again" as often as it likes, and git makes the whole of it in memory."""

    async def story(stand: Stand) -> None:
        await stand.sh(
            f"mkdir -p /work/env/bin; cat > /tmp/unfold.py <<'END'\n{UNFOLDING}\nEND\n"
            f"python3 /tmp/unfold.py {stand.base} {size} {times};"
            'printf \'#!/bin/sh\\nif [ "$1" = bundle ]; then cp /tmp/evil /tmp/out.bundle; '
            'else exec /usr/bin/git "$@"; fi\\n\' > /work/env/bin/git; chmod +x /work/env/bin/git'
        )
        if times == 2:  # what is no attack comes in: the bundle is sound
            assert (await stand.out())["large"] == bytes(2 * size)
        else:
            assert "over limit" in await stand.refused()

    tell(story)


REFS = [
    "refs/heads/main",
    "HEAD",
    "refs/owner/heads/main",
    "--upload-pack=touch",
    "../../config",
    "refs/heads/a..b",
    "a\0b",
]


@pytest.mark.parametrize("name", REFS, ids=repr)
def test_whatever_a_bundle_calls_its_commit_no_other_ref_moves(tell: Tell, name: str) -> None:
    async def story(stand: Stand) -> None:
        rename = f"import sys; b = open('/tmp/out.bundle', 'rb').read(); n = {name.encode()!r}; h, _, p = b.partition(b'PACK')"
        rename += "; open('/tmp/out.bundle', 'wb').write(h.replace(b'refs/nightmill/out', n) + b'PACK' + p)"
        await stand.sh(
            "mkdir -p /work/env/bin; echo two > a.txt;"
            f"cat > /tmp/rename.py <<'END'\n{rename}\nEND\n"
            'printf \'#!/bin/sh\\n/usr/bin/git "$@" || exit 1\\n'
            'if [ "$1" = bundle ]; then python3 /tmp/rename.py; fi\\n\' > /work/env/bin/git; chmod +x /work/env/bin/git'
        )
        assert (await stand.out())["a.txt"] == b"two\n"
        assert names(stand.hub) == BEFORE | {REF}

    tell(story)


def test_work_that_stands_on_another_history_is_shown_against_the_base_and_not_against_its_own(tell: Tell) -> None:
    """A commit whose parent is the agent's would hide what changed: the diff is of trees, whatever the parents say."""

    async def story(stand: Stand) -> None:
        await stand.sh(
            "mkdir -p /work/env/bin; echo evil > a.txt; git add a.txt; evil=$(git commit-tree $(git write-tree) -m forged);"
            'printf \'#!/bin/sh\\ncase "$*" in *commit-tree*) exec /usr/bin/git -c user.name=a -c user.email=a@b '
            'commit-tree "$(/usr/bin/git write-tree)" -p %s -m x;; esac\\n'
            'if [ "$1" = bundle ]; then exec /usr/bin/git bundle create --quiet /tmp/out.bundle refs/nightmill/out; fi\\n'
            'exec /usr/bin/git "$@"\\n\' $evil > /work/env/bin/git; chmod +x /work/env/bin/git'
        )
        try:
            await stand.out()
        except (NightmillError, AssertionError):
            return
        assert "evil" in stand.hub.diff(stand.base, REF).text

    tell(story)
