"""The bytes of a text file as text, and back: what an edit does not touch is the same bytes afterwards."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from nightmill.errors import ToolError

__all__ = ["Coded", "is_binary"]

MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
MOST_LOOKED_AT = 8192


def is_binary(body: bytes) -> bool:
    """Whether *body* is no text: it has a NUL early on, and does not begin as UTF-16 does."""
    return b"\0" in body[:MOST_LOOKED_AT] and (body[:2] not in MARKS or body[2:4] == b"\0\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A file's text and how it is written: UTF-8 (what is not stays as it is), or UTF-16 with its mark.

    Where the only line ends are carriage returns, *text* has line feeds for them.
    """

    text: str
    encoding: str = "utf-8"
    returns: bool = False

    @classmethod
    def of(cls, body: bytes) -> Coded:
        """Read *body*.

        Raises:
            ToolError: If it begins as UTF-16 and is none.
        """
        encoding = MARKS.get(body[:2], "utf-8") if body[2:4] != b"\0\0" else "utf-8"
        try:
            text = body.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError as error:
            raise ToolError(f"the file begins as {encoding} and is damaged: {error.reason}") from None
        returns = "\r" in text and "\n" not in text
        return cls(text=text.replace("\r", "\n") if returns else text, encoding=encoding, returns=returns)

    def encoded(self, text: str) -> bytes:
        """*text* as this file is written."""
        text = text.replace("\n", "\r") if self.returns else text
        return text.encode(self.encoding, "surrogateescape" if self.encoding == "utf-8" else "replace")

    def asked(self, text: str) -> str:
        """*text*, which a model sent for this file, in the file's own signs.

        A file that is not UTF-8, and has nothing else that is, is taken for Latin-1.

        Raises:
            ToolError: If it has signs that the file cannot have.
        """
        others = {sign for sign in self.text if not sign.isascii()} if not self.text.isascii() else set()
        if not others or text.isascii() or any(not "\udc80" <= sign <= "\udcff" for sign in others):
            return text
        try:
            return text.encode("latin-1").decode("ascii", "surrogateescape")
        except UnicodeEncodeError as error:
            sign = text[error.start]
            raise ToolError(f"the file is Latin-1, which has no {sign!r}: write it in another way.") from None

    def instead(self, content: str) -> bytes:
        """*content*, which takes the place of all of the file: with its mark, and its line ends if it has one kind."""
        lines = self.text.count("\n")
        windows = lines > 0 and self.text.count("\r\n") == lines and "\r" not in content
        content = self.asked(content.replace("\n", "\r\n") if windows else content)
        mark = "\ufeff" if self.text.startswith("\ufeff") and not content.startswith("\ufeff") else ""
        return self.encoded(mark + content)
