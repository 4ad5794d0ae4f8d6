"""The tables of webhooks: who is told, how the last letters went, and what was given up."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Integer, String, Table, Text
from sqlalchemy import false as sa_false

from nightmill.store.metadata import big, metadata

__all__ = ["delivery", "hook", "letter"]

hook = Table(  # who elsewhere is told of what, and up to where in the ledger they were
    "hook",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),  # JSON: names; [] all
    Column("project", String(80), nullable=False),  # "": every one
    Column("added", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("seq", big, nullable=False),  # everything up to here is done
    Column("tries", Integer, nullable=False),  # of the next, that failed
    Column("reason", Text, nullable=False),  # the last of them
    Column("due", Float, nullable=False),
    Column("lost", Integer, nullable=False),  # given up in a row
    Column("holder", String(40), nullable=False),  # the process that delivers, and until when no other may
    Column("until", Float, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=sa_false()),
)

delivery = Table(  # the last letters to a hook, and how each went
    "delivery",
    metadata,
    Column("hook", String(20), primary_key=True),
    Column("number", big, primary_key=True),  # counts them
    Column("seq", big, nullable=False),  # 0: it was tried out
    Column("event", String(80), nullable=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status", Integer, nullable=False),  # of the answer; 0: there was none
    Column("reason", Text, nullable=False),  # "": it arrived
)

letter = Table(  # entries that were given up for a hook
    "letter",
    metadata,
    Column("hook", String(20), primary_key=True),
    Column("seq", big, primary_key=True),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("again", Boolean, nullable=False),  # to be sent once more
)
