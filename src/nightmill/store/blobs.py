"""Large bodies in files named by the hash of what they hold."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from nightmill.errors import EngineError
from nightmill.store.redaction import Redaction

__all__ = ["Blobs"]


class Blobs:
    """A folder of content-addressed files: `root/ab/cd…`.

    A blob is whole or absent for every reader and after any kill, since it is written beside its place and renamed.
    The bytes are not forced to the disk: after a power loss the newest blobs may be missing or damaged, as the newest
    commits of the store may be. `get` notices, and a put of the same body mends it.
    """

    def __init__(self, root: Path, *, hidden: Redaction | None = None) -> None:
        self.root = root
        self.hidden = hidden or Redaction()

    def put(self, body: bytes) -> str:
        """Keep *body*, with stars for known secrets, and return the SHA-256 of what is kept as hex.

        Raises:
            EngineError: If it cannot be written.
        """
        body = self.hidden.exact(body)
        digest = hashlib.sha256(body).hexdigest()
        path = self._path(digest)
        try:
            # Its name is not proof of what it holds: a power loss may have cut it short.
            if not path.is_file() or path.read_bytes() != body:
                _write(path, body)
        except OSError as error:
            raise EngineError(
                f"blob {digest[:12]} cannot be written: {error}", hint="see `nightmill doctor`"
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """The body whose hash is *digest*.

        Raises:
            EngineError: If it is missing or is not what was put.
        """
        try:
            body = self._path(digest).read_bytes()
        except OSError as error:
            raise EngineError(
                f"blob {digest[:12]!r} is missing: {error}", hint="restore the folder of blobs from a backup"
            ) from error
        if hashlib.sha256(body).hexdigest() != digest:
            raise EngineError(f"blob {digest[:12]!r} is damaged", hint="restore the folder of blobs from a backup")
        return body

    def has(self, digest: str) -> bool:
        """Whether there is a blob of that name; not whether it is whole."""
        return self._path(digest).is_file()

    def _path(self, digest: str) -> Path:
        # A digest may come from a row that somebody edited: it never leads out of the folder.
        if len(digest) != hashlib.sha256().digest_size * 2 or not set(digest) <= set("0123456789abcdef"):
            raise EngineError(f"{digest!r} is not the name of a blob")
        return self.root / digest[:2] / digest[2:]


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    made = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(body)
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
