"""Specs that are none: each is refused for what it is, before anything is made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inputs.refusal import MODEL, refused
from tests.whole import SPEC, Mill, repository

pytestmark = pytest.mark.slow

TEXT = SPEC.format(title="")


def missing(_path: Path) -> None:
    """Nothing is there."""


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 16)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def blank(path: Path) -> None:
    path.write_text(" \n\t\n\n")


def huge(path: Path) -> None:
    path.write_text(TEXT + "word " * 1_000_000)


def latin(path: Path) -> None:
    path.write_bytes(TEXT.replace("sum", "café").encode("latin-1"))


def utf16(path: Path) -> None:
    path.write_bytes(TEXT.encode("utf-16"))


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.md")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def vague(path: Path) -> None:
    path.write_text("# Make it better\n\nIt should be fast and nice.\n")


BAD: dict[Callable[[Path], None], str] = {
    missing: "does not exist",
    binary: "is binary (NUL at byte 0)",
    empty: "is empty",
    blank: "holds only white space",
    huge: "is larger than 1,048,576 bytes",
    latin: "is not UTF-8",
    utf16: "is UTF-16, not UTF-8",
    folder: "holds no spec.md",
    pipe: "is a named pipe",
    endless: "is a device",
    dangling: "is a link to nothing",
    circle: "is a link that leads back to itself",
    vague: "Refused: Make it better",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_spec_is_refused_for_what_it_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    mill, checkout = Mill(folder=tmp_path), repository(tmp_path / "checkout")
    spec = tmp_path / f"{make.__name__}.md"
    make(spec)

    said = refused(mill, "run", spec, "--json", *MODEL, at=checkout, code=2)

    assert BAD[make] in said
    assert make is vague or repr(str(spec)) in said
    assert not mill.home.exists()
    if make is not vague:  # which is assessed, and its assessment printed
        assert refused(mill, "spec", "check", spec, "--json", at=checkout, code=2) == said
