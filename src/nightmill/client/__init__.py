"""A server, asked from afar. Takes: an address and a token. Gives: what the server says, as values."""

from __future__ import annotations

from nightmill.client.client import Client
from nightmill.client.connection import Connection
from nightmill.client.desk import ServerDesk
from nightmill.client.nouns import Change, Changes, Diff, Entries, Me, Others, Role, Runs, Stand, Tasks

__all__ = [
    "Change",
    "Changes",
    "Client",
    "Connection",
    "Diff",
    "Entries",
    "Me",
    "Others",
    "Role",
    "Runs",
    "ServerDesk",
    "Stand",
    "Tasks",
]
