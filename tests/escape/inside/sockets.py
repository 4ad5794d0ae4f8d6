"""Sockets: families, kinds and protocols, each asked for in a way that would work without the filter."""

# run inside, by the Python that is there, each in a process of its own

import array
import ctypes
import os
import platform
import socket

from wall import attack, call, main, through

X86 = platform.machine() == "x86_64"


def number(x86, arm):
    """A call's number on this machine."""
    return x86 if X86 else arm


def opened(family, kind=socket.SOCK_RAW, protocol=0):
    """Make a socket and close it."""
    socket.socket(family, kind, protocol).close()


@attack("filter")
def no_socket_leads_to_a_machine_below_or_beside():
    return through(
        ("vsock", lambda: opened(40, socket.SOCK_STREAM)),
        ("vsock datagram", lambda: opened(40, socket.SOCK_DGRAM)),
        ("hyper-v", lambda: opened(43, socket.SOCK_STREAM, 1)),
        ("with high bits", lambda: call(number(41, 198), ctypes.c_ulong(40 | 1 << 40), 1, 0)),
        ("pair", lambda: call(number(53, 199), 40, 1, 0, ctypes.create_string_buffer(8))),
        ("device", lambda: os.open("/dev/vsock", os.O_RDWR)),
    )


@attack("filter", without="filter")
def netlink_speaks_of_nothing_but_routes():
    return through(
        *((f"kind {kind}", lambda kind=kind: opened(16, protocol=kind)) for kind in range(1, 23)),
        ("datagram", lambda: opened(16, socket.SOCK_DGRAM, 15)),
    )


@attack("filter", "capabilities")
def packets_cannot_be_sniffed_or_forged():
    return through(
        ("packet", lambda: opened(17)),
        ("packet datagram", lambda: opened(17, socket.SOCK_DGRAM)),
        ("raw", lambda: opened(2, protocol=1)),
        ("raw 6", lambda: opened(10, protocol=58)),
        ("header", lambda: opened(2, protocol=255)),
        ("express", lambda: opened(44)),
    )


@attack("filter")
def sockets_of_rare_families_do_not_exist():
    families = [each for each in range(3, 46) if each not in (10, 16)]
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
    return through(
        *(
            (f"{family} {kind}", lambda family=family, kind=kind: opened(family, kind))
            for family in families
            for kind in kinds
        )
    )


@attack("filter")
def protocols_that_nobody_needs_are_not_loaded():
    """A socket of one has the kernel load its module, for anybody: SCTP, DCCP, L2TP, UDP-Lite, SMC and MPTCP had holes."""
    protocols = {
        "sctp": 132,
        "dccp": 33,
        "l2tp": 115,
        "udplite": 136,
        "mptcp": 262,
        "smc": 256,
        "icmp": 1,
        "icmp6": 58,
        "gre": 47,
    }
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, 6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    return through(
        *(
            (f"{name} {family} {kind}", lambda number=number, family=family, kind=kind: opened(family, kind, number))
            for name, number in protocols.items()
            for family in (2, 10)
            for kind in kinds
        ),
        ("with high bits", lambda: call(number(41, 198), 2, 1, ctypes.c_ulong(262 | 1 << 40))),
        ("a packet", lambda: opened(2, 10)),
    )


@attack("filter")
def no_protocol_of_the_kernels_own_is_put_on_a_connection():
    """TLS in the kernel, for anybody who has a connection to himself, had holes year after year."""
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    far = listener.accept()[0]
    return through(
        *((name, lambda name=name: near.setsockopt(6, 31, name)) for name in (b"tls", b"smc", b"espintcp", b"mptcp")),
        ("from the other end", lambda: far.setsockopt(6, 31, b"tls")),
        ("with high bits", lambda: call(number(54, 208), near.fileno(), 6, ctypes.c_ulong(31 | 1 << 40), b"tls", 3)),
    )


@attack("processes", "empty")
def a_descriptor_sent_to_everyone_reaches_only_this_sandbox():
    """Signals, pid files and SCM credentials name processes of this sandbox, never of the host."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    claims = [(1 << 20, os.getuid(), os.getgid()), (os.getpid(), 0 if os.getuid() else 1, os.getgid())]

    def claim(words):
        near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, array.array("i", words))])

    return through(*((repr(words), lambda words=words: claim(words)) for words in claims))


if __name__ == "__main__":
    main()
