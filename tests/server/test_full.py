"""The disk of the store fills up under a server: it says so, loses nothing that it answered, and goes on when there is room."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from nightmill.store.database import why_away
from tests.server.test_serve import AT, outside

SMALL = 'mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@"'
"""In a mount namespace of its own, in which an ordinary user may mount."""


@dataclass
class Small:
    """A server whose store is on a small disk, which `fill` leads to."""

    client: httpx2.Client
    fill: Path
    said: Path

    def invite(self, name: str) -> httpx2.Response:
        """Write something, the same however often."""
        body = {"address": f"{name}@example.org"}
        return self.client.post("/api/v1/people", json=body, headers={"Idempotency-Key": name})


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    home, said = tmp_path / "home", tmp_path / "said.txt"
    home.mkdir()
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    serve = [sys.executable, "-m", "nightmill.cli", "serve", "--port", "0", "--workers", "0", "--no-sign-in"]
    command = [*unshare, "sh", "-c", SMALL, "sh", str(home), *serve]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=outside(home)) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = AT.search(line)
            assert found, line + process.stderr.read()
            fill = Path(f"/proc/{process.pid}/root{home}/fill")
            with httpx2.Client(base_url=found[1], headers={"Origin": found[1]}, timeout=60) as client:
                yield Small(client, fill, said)
            process.terminate()
            said.write_text(process.stderr.read())
        finally:
            process.kill()


def test_a_full_disk_is_said_and_nothing_that_was_answered_is_lost(small: Small) -> None:
    assert small.invite("before").status_code == 201
    assert small.client.get("/api/v1/health").json() == {"status": "ok"}
    with small.fill.open("wb", buffering=0) as file:
        for piece in (1 << 16, 1 << 9):
            with suppress(OSError):
                while file.write(b"x" * piece):
                    pass
    full = [small.invite(f"full{number}") for number in range(9)]
    sick = small.client.get("/api/v1/health")
    read = small.client.get("/api/v1/ledger")

    assert {each.status_code for each in full[1:]} == {503}, "the first may have found room in pages that were there"
    assert {each.json()["detail"] for each in full[1:]} == {"the disk of the store is full"}
    assert "make room" in full[-1].json()["hint"]
    assert (sick.status_code, sick.json()["detail"]) == (503, "the disk of the store is full")
    assert "before@example.org" in read.text, "what there is can be read"
    small.fill.unlink()

    assert [small.invite(f"full{number}").status_code for number in range(9)] == [201] * 9, "with the same keys"
    assert small.client.get("/api/v1/health").status_code == 200
    assert small.client.post("/api/v1/ledger/verify").json()["holds"]
    told = small.client.get("/api/v1/ledger").text
    every = ["before", *(f"full{number}" for number in range(9))]
    assert [told.count(f"{name}@example.org") for name in every] == [1] * 10, "each was done once"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("database or disk is full", "the disk of the store is full"),
        ('could not extend file "base/1": No space left on device', "the disk of the store is full"),
        ("database is locked", "another process holds the store for long"),
        ("attempt to write a readonly database", "the store cannot be written"),
        ("connection failed: FATAL: sorry, too many clients already", "the store takes no more connections"),
        ("server closed the connection unexpectedly", "the store is away"),
    ],
)
def test_why_a_store_cannot_be_used_is_told_in_words(said: str, reason: str) -> None:
    error: Any = sa.exc.OperationalError("INSERT", {}, Exception(said))

    assert why_away(error).reason == reason
    assert why_away(error).hint


def test_doctor_says_how_many_files_may_be_open_and_how_to_have_more(tmp_path: Path) -> None:
    words = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", sys.executable, "-m", "nightmill.cli", "doctor"]
    done = subprocess.run(words, env=outside(tmp_path), capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1
    assert "✗ open files: 200 at once, 512 needed (`workers` is 20)\n    fix: `ulimit -n 512`" in done.stdout, (
        done.stdout
    )
