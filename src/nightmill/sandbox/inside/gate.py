"""Into the control groups that the host has made: it passes descriptors of them, through which only oneself can be moved."""

from __future__ import annotations

import _socket
import errno
import posix as os  # what os itself would add is slow to import, and never used here
import struct

__all__ = ["admitted", "enter", "received"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import List, Tuple


def admitted(gate: int, number: int) -> List[int]:
    """Descriptors through which *number* goes into its control groups, from the host. OSError: it must not begin."""
    while True:
        told, given = received(gate, 16)
        if int(told or b"-1") == number:
            break
        for fd in given:
            os.close(fd)
        if not told:
            break
    if not given:
        raise OSError(errno.ECANCELED, "it has no control group")
    return given


def received(line: int, most: int) -> Tuple[bytes, List[int]]:
    """The next message of the socket *line*, of at most *most* bytes, and the descriptors with it, which no program inherits."""
    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, line)
    try:
        told, parts, _, _ = door.recvmsg(most, _socket.CMSG_SPACE(32), getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
    finally:
        door.detach()
    return told, [fd for _, _, body in parts for fd in struct.unpack("%di" % (len(body) // 4), body)]


def enter(groups: List[int]) -> None:
    """Go into *groups*. A process that moves itself waits for nobody; one that is moved waits for the whole machine."""
    for fd in groups:
        os.write(fd, b"0")
        os.close(fd)
