from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from nightmill.errors import EngineError
from nightmill.store import Blobs


def test_a_body_comes_back_by_its_hash(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)

    digest = blobs.put(b"\0\xff body")

    assert digest == hashlib.sha256(b"\0\xff body").hexdigest() == blobs.put(b"\0\xff body")
    assert blobs.get(digest) == b"\0\xff body"
    assert blobs.has(digest)
    assert not blobs.has("0" * 64)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        f"{digest[:2]}/{digest[2:]}"
    ]


@pytest.mark.parametrize("damage", [b"", b"bodX", b"body and more"])
def test_a_damaged_blob_is_noticed_and_mended_by_the_next_put(tmp_path: Path, damage: bytes) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"body")
    (tmp_path / digest[:2] / digest[2:]).write_bytes(damage)

    with pytest.raises(EngineError, match="damaged"):
        blobs.get(digest)

    blobs.put(b"body")
    assert blobs.get(digest) == b"body"


def test_a_missing_blob_and_a_name_that_leads_elsewhere_are_errors(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    (tmp_path / "secret").write_text("canary")

    with pytest.raises(EngineError, match="missing"):
        blobs.get("0" * 64)
    for name in ("../secret", "", "0" * 62 + "/.", "ab/../../secret"):
        with pytest.raises(EngineError, match="not the name of a blob"):
            blobs.get(name)


def test_many_threads_that_put_one_body_leave_one_whole_file(tmp_path: Path) -> None:
    blobs, body = Blobs(tmp_path), os.urandom(1 << 20)
    threads = [threading.Thread(target=blobs.put, args=(body,)) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert blobs.get(hashlib.sha256(body).hexdigest()) == body
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file is in the way")

    with pytest.raises(EngineError, match="cannot be written"):
        Blobs(tmp_path / "blobs").put(b"body")
