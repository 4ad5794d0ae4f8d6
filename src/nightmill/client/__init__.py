"""A server, asked from afar. Takes: an address and a token. Gives: what the server says, as values."""

from __future__ import annotations

from nightmill.client.client import Client
from nightmill.client.connection import Connection
from nightmill.client.desk import ServerDesk
from nightmill.client.nouns import Changes, Entries, Me, Role, Runs, Stand, Tasks
from nightmill.desk.pulls import Change

__all__ = [
    "Change",
    "Changes",
    "Client",
    "Connection",
    "Entries",
    "Me",
    "Role",
    "Runs",
    "ServerDesk",
    "Stand",
    "Tasks",
]
