"""A model is shown a mark for each secret, and edits files with marks as exactly as without."""

from __future__ import annotations

import random
from dataclasses import replace
from string import ascii_letters, digits

import pytest

from nightmill.sandbox import Outcome, Workspace
from nightmill.store.redaction import Redaction
from nightmill.tool.base import Kept
from nightmill.tool.veil import SOUGHT
from tests.tool.conftest import Bench, Tell

KNOWN = "correct-horse-battery"
LOOKS = "ghp_" + "a1B2c3D4e5" * 4
OTHER = "ghp_" + "z9Y8x7W6v5" * 4
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *["Ab3/" * 16] * 3, "-----END PRIVATE KEY-----"])
FILE = f'KNOWN = "{KNOWN}"\nTOKENS = ["{LOOKS}", "{OTHER}", "{LOOKS}"]\nKEY = """\n{KEY}\n"""\nLAST = 9\n'


def veiled(bench: Bench) -> tuple[Bench, dict[str, str]]:
    """*bench* behind a veil that knows a secret; and the marks of what is hidden, by what it is."""
    veil = Redaction(lambda: [KNOWN])
    return replace(bench, veil=veil), {secret: mark for mark, secret in veil.behind(FILE).items()}


def test_what_a_file_holds_is_shown_with_a_mark_for_each_secret_and_its_lines_are_numbered_as_they_are(
    tell: Tell,
) -> None:
    async def story(open_bench: Bench) -> None:
        bench, mark = veiled(open_bench)
        await bench.put("settings.py", FILE.encode())

        shown = [
            await bench.text("read_file", path="settings.py"),
            await bench.text("search", pattern="ghp|KNOWN", path="settings.py"),
            await bench.text("run_command", command="cat settings.py"),
        ]

        for text in shown:
            assert not [secret for secret in (KNOWN, LOOKS, OTHER) if secret in text]
            assert f'["{mark[LOOKS]}", "{mark[OTHER]}", "{mark[LOOKS]}"]' in text
            assert mark[KNOWN] in text
        assert "Ab3/" not in shown[0] + shown[2]
        assert shown[0].endswith("\n10\tLAST = 9")
        assert mark[LOOKS] != mark[OTHER]

    tell(story)


class Remembered:
    """Knows how each command ended."""

    async def find(self, command: str, workspace: Workspace) -> Kept:
        del command, workspace
        return Kept(exit=0, output=f"it is {LOOKS}\n", seconds=1.0, whence="run r1")

    async def keep(self, command: str, outcome: Outcome, workspace: Workspace) -> None:
        raise AssertionError((command, outcome, workspace))


def test_what_is_known_of_a_command_and_what_happened_beside_it_is_shown_without_secrets(tell: Tell) -> None:
    async def story(open_bench: Bench) -> None:
        bench, mark = veiled(open_bench)
        bench = replace(bench, news=lambda: f"the service ended and said {OTHER}")

        ran = await bench.call("run_command", command="echo it")
        known = await replace(bench, results=Remembered()).call("run_command", command="echo it")

        assert f"said {mark[OTHER]}" in ran.text
        assert f"it is {mark[LOOKS]}" in known.text
        assert f"said {mark[OTHER]}" in known.text
        assert LOOKS not in repr(known)

    tell(story)


def test_what_is_written_with_a_mark_holds_what_stood_there_and_nothing_else_changes(tell: Tell) -> None:
    async def story(open_bench: Bench) -> None:
        bench, mark = veiled(open_bench)
        await bench.put("settings.py", FILE.encode())
        await bench.text("read_file", path="settings.py")

        old, new = f'TOKENS = ["{mark[LOOKS]}", ', f'NAMES = ["{mark[OTHER]}", "{mark[KNOWN]}", '
        edited = await bench.text("edit_file", path="settings.py", edits=[{"old": old, "new": new}])
        wanted = FILE.replace(f'TOKENS = ["{LOOKS}", ', f'NAMES = ["{OTHER}", "{KNOWN}", ')
        assert (await bench.get("settings.py")).decode() == wanted
        assert not [secret for secret in (KNOWN, LOOKS, OTHER) if secret in edited]

        patch = f"*** Update File: settings.py\n@@\n-KNOWN = \"{mark[KNOWN]}\"\n+KNOWN = '{mark[KNOWN]}'\n"
        await bench.text("apply_patch", patch=f"*** Begin Patch\n{patch}*** End Patch")
        wanted = wanted.replace(f'KNOWN = "{KNOWN}"', f"KNOWN = '{KNOWN}'")
        assert (await bench.get("settings.py")).decode() == wanted

        whole = bench.veil.marked(wanted)
        assert LOOKS not in whole
        await bench.text("write_file", path="settings.py", content=whole + "MORE = 1\n")
        assert (await bench.get("settings.py")).decode() == wanted + "MORE = 1\n"

    tell(story)


def test_what_a_mark_stands_for_moves_to_another_file_out_of_one_that_was_read_or_out_of_what_was_given(
    tell: Tell,
) -> None:
    async def story(open_bench: Bench) -> None:
        bench, mark = veiled(open_bench)
        await bench.put("settings.py", FILE.encode())
        assert "stands for a secret" in await bench.refused("write_file", path="new.py", content=f"{mark[LOOKS]}\n")
        assert "No such file" in await bench.refused("read_file", path="new.py")

        await bench.text("read_file", path="settings.py", limit=1)
        await bench.text("write_file", path="new.py", content=f"{mark[LOOKS]}\n")
        assert await bench.get("new.py") == f"{LOOKS}\n".encode()

        told = replace(bench, known={}, given=(f"The token is {OTHER}.",))
        await told.text("write_file", path="told.py", content=f"{mark[OTHER]}\n")
        assert await told.get("told.py") == f"{OTHER}\n".encode()

    tell(story)


def test_a_mark_that_stands_for_two_secrets_of_a_file_is_written_for_neither(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(open_bench: Bench) -> None:
        bench, _ = veiled(open_bench)
        monkeypatch.setattr(Redaction, "_mark", lambda _self, _secret: "********00000000")
        await bench.put("settings.py", FILE.encode())
        await bench.text("read_file", path="settings.py")

        edit = {"old": "LAST = 9", "new": "LAST = '********00000000'"}
        assert "stands for a secret" in await bench.refused("edit_file", path="settings.py", edits=[edit])
        assert (await bench.get("settings.py")).decode() == FILE

    tell(story)


class Counting(Redaction):
    """Counts what it searches for what marks stand for."""

    sought = 0

    def behind(self, text: str) -> dict[str, str]:
        self.sought += len(text)
        return super().behind(text)


def test_a_repository_full_of_look_alikes_does_not_make_one_call_search_for_long(tell: Tell) -> None:
    async def story(open_bench: Bench) -> None:
        veil, mark = Counting(), ""
        bench = replace(open_bench, veil=veil)
        chance = random.Random(1)
        for number in range(8):
            lines = ["ghp_" + "".join(chance.choices(ascii_letters + digits, k=36)) for _ in range(25_000)]
            await bench.put(f"f{number}.txt", "\n".join(lines).encode())
            await bench.text("read_file", path=f"f{number}.txt", limit=1)
            mark = mark or veil.marked(lines[7])
        size = len("\n".join(lines))

        said = await bench.refused("write_file", path="new.py", content="********00000000\n")
        hunks = "".join(f"@@\n-{line}\n+{mark}\n" for line in map(veil.marked, lines[:50]))
        patch = f"*** Begin Patch\n*** Update File: f7.txt\n{hunks}*** End Patch\n"
        searched, veil.sought = veil.sought, 0
        refused = await bench.refused("apply_patch", patch=patch)
        again, veil.sought = veil.sought, 0
        await bench.text("read_file", path="f0.txt", limit=1)
        await bench.text("apply_patch", patch=patch)

        assert "no file that you have read lately" in said
        assert "no file that you have read lately" in refused
        assert max(searched, again, veil.sought) <= SOUGHT + size
        assert veil.sought <= 2 * size, "once for all of a file's hunks"
        assert (await bench.get("f7.txt")).count((await bench.get("f0.txt")).split(b"\n")[7]) == 50

    tell(story)


def test_no_command_takes_a_mark_for_what_it_stands_for(tell: Tell) -> None:
    async def story(open_bench: Bench) -> None:
        bench, mark = veiled(open_bench)
        await bench.put("settings.py", FILE.encode())

        said = await bench.refused("run_command", command=f"echo '{mark[LOOKS]}' > settings.py")
        assert "edit_file and write_file do. Nothing was run." in said
        assert "Nothing was run." in await bench.refused("search", pattern=mark[LOOKS])
        assert (await bench.get("settings.py")).decode() == FILE

    tell(story)


def test_what_looks_like_a_mark_and_stands_in_the_file_is_itself(tell: Tell) -> None:
    async def story(open_bench: Bench) -> None:
        bench, _ = veiled(open_bench)
        await bench.put("stars.txt", b"a ********0123abcd b\n")

        edit = {"old": "a ********0123abcd", "new": "c ********0123abcd"}
        await bench.text("edit_file", path="stars.txt", edits=[edit])

        assert await bench.get("stars.txt") == b"c ********0123abcd b\n"

    tell(story)


def test_what_a_tool_refuses_with_shows_no_secret_either(tell: Tell) -> None:
    async def story(open_bench: Bench) -> None:
        bench, mark = veiled(open_bench)
        await bench.put("settings.py", FILE.encode())

        edit = {"old": "LAST = 10", "new": "LAST = 11"}
        said = [
            await bench.refused("edit_file", path="settings.py", edits=[edit]),
            await bench.refused("read_file", path=f"no/{LOOKS}"),
        ]

        assert not [secret for secret in (KNOWN, LOOKS, OTHER) if secret in "".join(said)]
        assert mark[LOOKS] in said[1]

    tell(story)
