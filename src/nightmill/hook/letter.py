"""One entry of the ledger as it goes to a webhook."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nightmill import __version__
from nightmill.hook.sign import signature
from nightmill.store import Entry

__all__ = ["Letter", "letter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A request that is to be made: *id* is the same however often it is."""

    url: str
    id: str
    body: bytes

    def headers(self, secrets: Sequence[str], *, at: int) -> dict[str, str]:
        """What goes with it when it is sent *at* (Unix seconds): signed with each of *secrets*, of which a receiver knows one."""
        signed = [signature(each, id=self.id, at=at, body=self.body) for each in secrets]
        return {
            "content-type": "application/json",
            "user-agent": f"nightmill/{__version__}",
            "webhook-id": self.id,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(signed),
        }


def letter(url: str, hook: str, entry: Entry, *, project: str) -> Letter:
    """*entry*, of a run of *project*, for the webhook *hook* at *url*."""
    plain = {
        "type": entry.name,
        "seq": entry.seq,
        "at": entry.at,
        "run": entry.run,
        "project": project,
        "body": json.loads(entry.body),
    }
    return Letter(url=url, id=f"{hook}.{entry.seq}", body=json.dumps(plain, separators=(",", ":")).encode())
