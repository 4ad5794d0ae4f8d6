"""Every table of ours; the engine keeps its own elsewhere.

What is queried has columns, the rest is JSON text or a blob's hash. Times are Unix seconds as floats.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "account",
    "baseline",
    "event",
    "gate",
    "metadata",
    "note",
    "project",
    "proof",
    "pull_request",
    "reservation",
    "result",
    "run",
    "worker",
]

metadata = MetaData()

big = BigInteger().with_variant(Integer, "sqlite")

project = Table(
    "project",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("root", Text, nullable=False),
    Column("hub", Text, nullable=False),
    Column("added", Float, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("parent", String(40), nullable=False, default="", index=True),
    Column("project", String(80), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("assignment", String(64), nullable=False),  # blob: what the worker needs to know, plain JSON
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    # What people want of it, and how often they said so; only doors write these three.
    Column("wanted", String(10), nullable=False, default="run"),  # run, pause, cancel
    Column("wanted_by", Text, nullable=False, default=""),
    Column("wishes", Integer, nullable=False, default=0),
    # Projection of the ledger, written with the event that changes it.
    Column("state", String(10), nullable=False, default="queued"),  # queued running parked paused done stopped
    Column("phase", String(20), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column(
        "why", String(20), nullable=False, default=""
    ),  # of a stop: limit failed refused cancelled; of a parked run: time person
    Column("model", Text, nullable=False, default=""),
    Column("turns", Integer, nullable=False, default=0),
    Column("tokens", big, nullable=False, default=0),
    Column("cost", Float, nullable=False, default=0.0),
    Column("priced", Boolean, nullable=False, default=True),
    Column("pull_request", Integer, nullable=False, default=0),
    Column("worker", String(80), nullable=False, default=""),
)

event = Table(
    "event",
    metadata,
    Column("seq", big, primary_key=True),
    Column("at", Float, nullable=False),
    Column("run", String(40), nullable=False),
    Column("name", String(40), nullable=False),
    Column("key", String(200), nullable=True),
    Column("body", Text, nullable=False),  # canonical JSON
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("run", "key"),  # NULL keys never collide
    Index("event_run_seq", "run", "seq"),
)

pull_request = Table(
    "pull_request",
    metadata,
    Column("project", String(80), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", String(80), nullable=False, unique=True),
    Column("run", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("head", String(64), nullable=False),
    Column("base", String(64), nullable=False),
    Column("tree", String(64), nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("author", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("opened", Float, nullable=False),
    Column("merged", Float, nullable=False, default=0.0),
    Column("merged_by", Text, nullable=False, default=""),
    Column("merge_commit", String(64), nullable=False, default=""),
)

proof = Table(  # a tree of a project that the engine proved, and the verdict that says so
    "proof",
    metadata,
    Column("project", String(80), primary_key=True),
    Column("tree", String(64), primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("at", Float, nullable=False),
)

baseline = Table(
    "baseline",
    metadata,
    Column("project", String(80), primary_key=True),
    Column("tree", String(64), primary_key=True),
    Column("checks", String(64), primary_key=True),  # hash of the checks' definition
    Column("body", Text, nullable=False),
    Column("at", Float, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Text, nullable=False),  # the process's start time as the kernel gives it
    Column("version", String(40), nullable=False),
    Column("beat", Float, nullable=False),  # by the database's clock
    Column("ended", Boolean, nullable=False, default=False),
)

gate = Table(  # what all workers know of the rates of one provider's key
    "gate",
    metadata,
    Column("key", String(40), primary_key=True),  # digest of the key and the address
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON; times by the database's clock
)

account = Table(  # what was spent in one scope that runs share; money in millionths of a US dollar
    "account",
    metadata,
    Column("scope", String(10), primary_key=True),  # day project spec
    Column("name", String(120), primary_key=True),  # a UTC day; project/day; run of a spec
    Column("money", big, nullable=False, default=0),
    Column("tokens", big, nullable=False, default=0),
    Column("raised", big, nullable=False, default=0),  # money that a person added to the bound
)

reservation = Table(  # a call that is under way, at its worst price
    "reservation",
    metadata,
    Column("id", String(120), primary_key=True),  # run/fingerprint of the request
    Column("run", String(40), nullable=False, index=True),
    Column("worker", String(80), nullable=False),
    Column("day", String(10), nullable=False),
    Column("project", String(80), nullable=False),
    Column("spec", String(40), nullable=False),
    Column("money", big, nullable=False),
    Column("tokens", big, nullable=False),
)

note = Table(  # what agents noted, for the runs after theirs
    "note",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("key", String(120), primary_key=True),  # once per run: role/turn/number, proof/round, stopped
    Column("project", String(80), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("who", String(80), nullable=False),
    Column("text", Text, nullable=False),
    Column("spec", String(64), nullable=False),  # digest
    Column("tree", String(64), nullable=False),  # that the run started from
    Column("files", Text, nullable=False),  # JSON: path → blob in that tree
    Column("at", Float, nullable=False),
    Index("note_project_at", "project", "at"),
)

result = Table(  # how a declared check ended on a tree, to be shown again, never to prove anything
    "result",
    metadata,
    Column("project", String(80), primary_key=True),
    Column("environment", String(64), primary_key=True),
    Column("tree", String(64), primary_key=True),
    Column("command", String(64), primary_key=True),  # digest of the command
    Column("run", String(40), nullable=False),
    Column("turn", Integer, nullable=False),  # 0: the system's own proof
    Column("exit", Integer, nullable=False),
    Column("output", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
    Index("result_project_at", "project", "at"),
)
