"""Which host the first words of TLS name. What is inside a tunnel is secret; its ClientHello is not.

A tunnel to an allowed host at a shared address could ask for any other host that lives there. So the name in the
ClientHello must be the tunnel's own; hellos without a name, with a second one hidden inside (ECH), or cut into pieces
go nowhere.
"""

from __future__ import annotations

import asyncio

__all__ = ["asks_again", "is_gesture", "read_record", "server_name"]

ALERT, HANDSHAKE, CHANGE = 21, 22, 20
"""Kinds of records."""

LONGEST = (1 << 14) + 256
HEADER = 5

AGAIN = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The `random` of a ServerHello that asks for another ClientHello (RFC 8446, 4.1.3)."""

NAME, ECH, ESNI = 0, 0xFE0D, 0xFFCE
"""Kinds of extensions: the name, and the two that hide another name."""


async def read_record(reader: asyncio.StreamReader) -> bytes:
    """One record, header and all.

    Raises:
        ValueError: If it is no record of TLS.
    """
    header = await reader.readexactly(HEADER)
    size = int.from_bytes(header[3:], "big")
    if header[0] not in {ALERT, HANDSHAKE, CHANGE} or header[1] != 3 or not 0 < size <= LONGEST:  # of every TLS
        raise ValueError("this is not the beginning of TLS")
    return header + await reader.readexactly(size)


def server_name(record: bytes) -> str:
    """The one name that the ClientHello in *record* asks for; "" if there is none, or it could mean another.

    Raises:
        ValueError: If it is no whole ClientHello.
    """
    whole = _Bytes(record[HEADER:])
    if record[0] != HANDSHAKE or whole.number(1) != 1:
        raise ValueError("the record holds no ClientHello")
    hello = whole.piece(3)
    whole.end()
    hello.skip(2 + 32)  # version, random
    for width in (1, 2, 1):  # session, ciphers, compressions
        hello.piece(width)
    extensions = hello.piece(2)
    hello.end()
    found: dict[int, _Bytes] = {}
    while extensions.left:
        kind = extensions.number(2)
        if kind in found:
            raise ValueError("an extension is given twice")
        found[kind] = extensions.piece(2)
    if NAME not in found or ECH in found or ESNI in found:
        return ""
    return _name(found[NAME])


def is_gesture(record: bytes) -> bool:
    """Whether *record* says nothing: TLS 1.3 sends such a one to look like TLS 1.2."""
    return record[0] == CHANGE and len(record) == HEADER + 1


def asks_again(record: bytes) -> bool:
    """Whether the server's first *record* asks for a second ClientHello, which then needs a look, too."""
    return record[0] == HANDSHAKE and record[HEADER] == 2 and record[HEADER + 6 : HEADER + 38] == AGAIN


def _name(extension: _Bytes) -> str:
    names = extension.piece(2)
    extension.end()
    kind, name = names.number(1), names.piece(2)
    names.end()
    return bytes(name.body).decode("ascii", "replace").lower() if kind == 0 else ""


class _Bytes:
    """Bytes that are taken from the front; ValueError if there are fewer."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    @property
    def left(self) -> int:
        return len(self.body)

    def skip(self, size: int) -> bytes:
        if size > len(self.body):
            raise ValueError("a message of TLS is cut")
        taken, self.body = self.body[:size], self.body[size:]
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.skip(width), "big")

    def piece(self, width: int) -> _Bytes:
        """What a length of *width* bytes, and then that many bytes, hold."""
        return _Bytes(self.skip(self.number(width)))

    def end(self) -> None:
        if self.body:
            raise ValueError("a message of TLS holds more than it says")
