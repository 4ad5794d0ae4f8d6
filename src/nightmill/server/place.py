"""Where a request comes from, to count how often somebody tries; no right hangs on it.

What a proxy says of whom it speaks for is believed only behind one, and only its own word, the last. One that says nothing passes on
what anybody says: so who connects is counted, too.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from fastapi import Request

__all__ = ["Place", "neighbours", "place"]

HOUSE = 64
"""Bits of an IPv6 address that a provider gives to one house: who is in it has all the addresses with them."""


class Place(NamedTuple):
    """Who connects, and where it comes from on the *whole*: from there, or from who is behind it."""

    peer: str
    whole: str


def place(request: Request, *, proxied: bool) -> Place:
    """The place of *request*; *proxied*: the server is only ever asked by a proxy."""
    peer = neighbours(request.client.host if request.client else "")
    said = request.headers.getlist("x-forwarded-for") if proxied else []
    behind = said[-1].rpartition(",")[2].strip()[:60] if said else ""
    return Place(peer, f"{peer} {neighbours(behind)}" if behind else peer)


def neighbours(address: str) -> str:
    """What all addresses of the network that one person may have at once have in common: theirs, or of IPv6 its house."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), HOUSE), strict=False))
