"""No space on the disk, and a home that cannot be written: said at once, waited for, and made good."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ScriptedFactory
from tests.whole import (
    EDIT,
    FINISH,
    LOOK,
    MODELS,
    SPEC,
    TRY,
    Mill,
    fingerprint,
    right_tree,
    script,
    wait_for,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk"),
]

MEGABYTE = 1 << 20
SPARE = 16


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    """A mill whose home is a disk of its own, of 64 MB."""
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""), encoding="utf-8")
    mill = Mill(folder=tmp_path).given(NIGHTMILL_SPARE_MEGABYTES=str(SPARE))
    mill.home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(mill.home)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield mill
    finally:
        subprocess.run(["umount", "--lazy", str(mill.home)], check=True)


def fill(mill: Mill, *, leave: int = 0) -> Path:
    """Fill the disk, less *leave* bytes; whoever deletes the file makes space again."""
    ballast = mill.home / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
        file.truncate(file.tell() - leave)
    return ballast


def test_a_full_disk_is_said_by_every_command_and_leaves_nothing(mill: Mill, checkout: Path) -> None:
    ballast = fill(mill)
    before = fingerprint(checkout)
    asked = ("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", "http://127.0.0.1:9", "--json")

    for command in (("init", "--json"), asked, ("runs", "--json"), ("prs", "--all", "--json")):
        done = mill.run(*command, at=checkout)
        assert (done.returncode, done.stdout) == (1, ""), command
        assert "Traceback" not in done.stderr
        assert "full" in done.stderr or "No space left" in done.stderr or "disk I/O error" in done.stderr
        assert "hint: " in done.stderr
    doctor = mill.run("doctor", at=checkout)
    assert doctor.returncode == 1
    assert "✗ disk space: 0.0 GiB free" in doctor.stdout

    ballast.unlink()

    assert fingerprint(checkout) == before
    assert mill.json("runs", at=checkout) == []
    assert mill.run("init", "--json", at=checkout).returncode == 0


def test_a_run_parks_before_the_disk_is_full_and_goes_on_when_there_is_space(
    mill: Mill, checkout: Path, scripted: ScriptedFactory
) -> None:
    model = scripted(script(LOOK, {**EDIT, "latency_s": 1}, TRY, FINISH))
    asked = ("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", model.url)
    with mill.worker(), mill.door() as door:
        ballast = fill(mill, leave=SPARE * MEGABYTE // 2)
        done = mill.run(*asked, at=checkout)
        assert done.returncode == 3, "parked for a person"
        assert f"MB left, and a step wants {SPARE}" in done.stdout
        run = mill.json("runs", at=checkout)[0]["id"]

        ballast.unlink()
        assert mill.run("resume", run, at=checkout).returncode == 0
        wait_for("the first turn", lambda: [each for each in door.runs.list(parent=run) if each.turns])
        ballast = fill(mill, leave=SPARE * MEGABYTE // 2)
        parked = wait_for("parking", lambda: door.runs.list(parent=run, states=("parked",)))
        assert "make space there, then `nightmill resume`" in parked[0].reason

        ballast.unlink()
        assert mill.run("resume", run, at=checkout).returncode == 0
        wait_for("the end", lambda: door.runs.get(run).over)
        assert door.runs.get(run).state == "done"
    requests = mill.json("prs", at=checkout)
    assert [request["tree"] for request in requests] == [right_tree(mill.folder / "right")]


def test_a_run_survives_a_disk_without_a_byte_and_goes_on_by_itself(
    mill: Mill, checkout: Path, scripted: ScriptedFactory
) -> None:
    model = scripted(script(LOOK, {**EDIT, "latency_s": 1}, TRY, FINISH))
    asked = ("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", model.url, "--detach")
    given = mill.given(NIGHTMILL_SPARE_MEGABYTES="0")
    with given.worker(), given.door() as door:
        run = given.run(*asked, at=checkout).stdout.strip()
        wait_for("the first turn", lambda: [each for each in door.runs.list(parent=run) if each.turns])
        ballast = fill(mill)
        wait_for("the interruption", lambda: "is interrupted" in given.log.read_text())

        ballast.unlink()

        wait_for("the end", lambda: door.runs.get(run).over)
        assert door.runs.get(run).state == "done", given.log.read_text()
    requests = mill.json("prs", at=checkout)
    assert [request["tree"] for request in requests] == [right_tree(mill.folder / "right")]
    assert len(model.log()) <= 1 + 4 + 1, "no turn was paid twice but the one whose reply could not be kept"


def test_a_home_that_cannot_be_written_is_said(mill: Mill, checkout: Path) -> None:
    assert mill.run("init", "--json", at=checkout).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(mill.home)], check=True)
    asked = ("run", mill.folder / "SPEC.md", "--model", MODELS["openai"], "--base-url", "http://127.0.0.1:9", "--json")

    before = fingerprint(mill.home), fingerprint(checkout)

    for command in (("init", "--json"), asked, ("runs", "--json"), ("worker",)):
        done = mill.run(*command, at=checkout)
        assert (done.returncode, done.stdout) == (1, ""), (command, done.stderr)
        assert any(line.startswith("error: ") for line in done.stderr.splitlines())
        assert "\nhint: " in done.stderr
        assert "Traceback" not in done.stderr
        assert str(mill.home) in done.stderr
    assert (fingerprint(mill.home), fingerprint(checkout)) == before


def test_a_home_that_is_no_folder_is_said(tmp_path: Path, checkout: Path) -> None:
    mill = Mill(folder=tmp_path)
    mill.home.write_text("a file")

    for command in (("init", "--json"), ("runs", "--json"), ("worker",), ("doctor",)):
        done = mill.run(*command, at=checkout)
        assert (done.returncode, done.stdout) == (1, ""), command
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert str(mill.home) in done.stderr
