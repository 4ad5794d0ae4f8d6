"""Into the control groups that the host has made: it passes descriptors of them, through which only oneself can be moved."""

from __future__ import annotations

import _socket
import errno
import posix as os  # what os itself would add is slow to import, and never used here
import struct

__all__ = ["admitted", "enter"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import List


def admitted(gate: int, number: int) -> List[int]:
    """Descriptors through which *number* goes into its control groups, from the host. OSError: it must not begin."""
    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, gate)
    try:
        while True:
            told, parts, _, _ = door.recvmsg(16, _socket.CMSG_SPACE(16))
            given = [fd for _, _, body in parts for fd in struct.unpack("%di" % (len(body) // 4), body)]
            if int(told or b"-1") == number:
                break
            for fd in given:
                os.close(fd)
            if not told:
                break
    finally:
        door.detach()
    if not given:
        raise OSError(errno.ECANCELED, "it has no control group")
    return given


def enter(groups: List[int]) -> None:
    """Go into *groups*. A process that moves itself waits for nobody; one that is moved waits for the whole machine."""
    for fd in groups:
        os.write(fd, b"0")
        os.close(fd)
