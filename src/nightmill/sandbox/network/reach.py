"""Which hosts a sandbox may reach: names against a list, addresses against ranges. No connection is made here."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from nightmill.sandbox.network.credential import Credential
from nightmill.sandbox.network.head import Target

__all__ = ["Lookup", "Network", "Request", "addresses", "allowed", "look_up", "reachable", "within"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Name and port → addresses as text; OSError if there are none."""


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks in *text*, separated by white space."""
    return tuple(ipaddress.ip_network(word) for word in text.split())


FORBIDDEN = networks("""
    0.0.0.0/8 169.254.0.0/16 224.0.0.0/4 240.0.0.0/4 ::/128 fe80::/10 fec0::/10 ff00::/8
    168.63.129.16/32 100.100.100.200/32 192.0.0.192/32 fd00:ec2::254/128 fd20:ce::254/128
""")
"""Never reached, whatever is allowed: unspecified, link-local, multicast, reserved; second line: clouds' metadata."""

PRIVATE = networks("""
    10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 198.18.0.0/15 127.0.0.0/8 ::1/128 fc00::/7 64:ff9b:1::/48
""")
"""Reached only through names that the operator calls private. Not `is_private`: that includes ranges in use."""

EMBEDDED = networks("64:ff9b::/96 ::/96 ::ffff:0:0:0/96")
"""IPv6 ranges whose last 32 bits are an IPv4 address: NAT64, the old compatible form, and the translated one."""


async def look_up(host: str, port: int) -> list[str]:
    """Ask the host's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, or *count* of one kind, that a sandbox made.

    Attributes:
        path: Without its query, which may hold anything; "" inside a tunnel.
        status: What was answered; 0: nothing.
        up: Bytes that left the sandbox; *down*: that came in.
        allowed: Whether it went out.
        reason: Why not, or what went wrong.
        credential: Name of the credential that was added.
    """

    host: str
    port: int
    method: str
    path: str = ""
    status: int = 0
    up: int = 0
    down: int = 0
    seconds: float = 0.0
    allowed: bool = False
    reason: str = ""
    credential: str = ""
    count: int = 1


def _ignore(_run: str, _request: Request) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How sandboxes reach the hosts that their place allows.

    Attributes:
        private: Names ("host" or "*.host") that may lead to private and loopback addresses.
        ports: Ports that may be reached; a credential's own port may be, too.
        lookup: How names become addresses.
        on_request: Told of requests: the place's run, and the request; of a flood, sums.
        authorities: File of certificates (PEM) that are trusted besides the system's.
        credentials: What may be added to requests of places that name them.
        upload: Bytes that one sandbox may send, from its start to its end.
        now: Unix seconds, for certificates.
    """

    private: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset({80, 443})
    lookup: Lookup = look_up
    on_request: Callable[[str, Request], None] = _ignore
    authorities: Path | None = None
    credentials: tuple[Credential, ...] = ()
    upload: int = 256 << 20
    now: Callable[[], float] = time.time


def allowed(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether *host* is one of *hosts*; "*.host" means names below it, not itself."""
    names = [each.lower().rstrip(".") for each in hosts]
    return any(
        host == each or (each.startswith("*.") and host.endswith(each[1:]) and host != each[1:]) for each in names
    )


def within(name: str, hosts: tuple[str, ...]) -> bool:
    """Whether all that *name* ("host" or "*.host") allows is allowed by *hosts*."""
    name = name.lower().rstrip(".")
    inside = f"x.{name[2:]}" if name.startswith("*.") else name
    wide = tuple(each for each in hosts if each.startswith("*."))
    return allowed(inside, wide) or name in {each.lower().rstrip(".") for each in hosts}


async def addresses(target: Target, network: Network) -> list[str]:
    """The addresses of *target*. One among them that may not be reached forbids the name."""
    try:
        found = await network.lookup(target.host, target.port)
    except (OSError, UnicodeError):
        return []
    private = allowed(target.host, tuple(network.private))
    return found if all(reachable(text, private=private) for text in found) else []


def reachable(text: str, *, private: bool) -> bool:
    """Whether an address may be connected to; an IPv4 address inside an IPv6 one counts as what it means."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    barred = FORBIDDEN if private else FORBIDDEN + PRIVATE
    return not any(
        each in network for each in _meanings(address) for network in barred if each.version == network.version
    )


def _meanings(address: Address) -> list[Address]:
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        inner = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        found += [each for each in inner if each is not None]
        if int(address) > 1 and any(address in network for network in EMBEDDED):
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found
