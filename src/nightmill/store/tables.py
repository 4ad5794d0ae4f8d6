"""Every table of ours; the engine keeps its own elsewhere.

What is queried has columns, the rest is JSON text or a blob's hash. Times are Unix seconds as floats.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import false as sa_false

from nightmill.store.hook_tables import delivery, hook, letter
from nightmill.store.metadata import big, metadata

__all__ = [
    "account",
    "approval",
    "baseline",
    "delivery",
    "draft",
    "event",
    "gate",
    "grant",
    "hook",
    "identity",
    "key",
    "letter",
    "metadata",
    "note",
    "person",
    "presence",
    "project",
    "proof",
    "pull_request",
    "question",
    "receipt",
    "reservation",
    "result",
    "run",
    "task",
    "watch",
    "worker",
]

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
    Column("project", String(80), nullable=False),
    Column("title", Text, nullable=False),
    Column("assignment", String(64), nullable=False),  # blob: what the worker needs to know, plain JSON
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    # What people want of it, and how often they said so; only doors write these.
    Column("wanted", String(10), nullable=False, default="run"),  # run, pause, cancel
    Column("wanted_by", Text, nullable=False, default=""),
    Column("wishes", Integer, nullable=False, default=0),
    Column("words", Integer, nullable=False, server_default="0"),  # how many people said to it; the ledger has them
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
    Index("run_project_created", "project", "created"),
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

reservation = Table(  # calls that are under way or soon will be, at their worst price
    "reservation",
    metadata,
    Column("id", String(120), primary_key=True),  # run/what nobody else has
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

question = Table(  # what waits for a person, each once, and what they said
    "question",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("run", String(40), nullable=False, index=True),
    Column("step", String(80), nullable=False),
    Column("kind", String(10), nullable=False),  # approve answer
    Column("title", Text, nullable=False),
    Column("body", String(64), nullable=False),  # blob: what the person should see
    Column("tree", String(64), nullable=False),
    Column("policy", String(64), nullable=False),  # version
    Column("change", String(64), nullable=False, server_default=""),  # digest of what the tree changes
    Column("options", Text, nullable=False),  # JSON: the answers to choose from; [] any
    Column("barred", Text, nullable=False),  # JSON: addresses, and "@domain", that may not decide
    Column("approvers", Text, nullable=False),  # JSON: addresses that may; [] anybody else
    Column("created", Float, nullable=False),  # by the database's clock, as all times here
    Column("expires", Float, nullable=False),  # 0: never
    Column("state", String(10), nullable=False, index=True),  # open granted refused answered expired
    Column("answer", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("decided", Float, nullable=False),
    Column("ends", Boolean, nullable=False, server_default=sa_false()),  # whether any answer ends its run
)

task = Table(  # what runs left for somebody to start; projection of the ledger, written with the event that changes it
    "task",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("run", String(40), nullable=False, index=True),
    Column("project", String(80), nullable=False),
    Column("title", Text, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("tree", String(64), nullable=False),
    Column("head", String(64), nullable=False),  # commit with the work so far
    Column("body", String(64), nullable=False),  # blob: all that is known
    Column("filed", Float, nullable=False),
    Column("child", String(40), nullable=False, index=True),  # the run that goes on with it, the newest; "": none yet
    Column("by", Text, nullable=False),  # who started or dropped it last
    Column("because", Text, nullable=False),
    Column("dropped", Float, nullable=False),  # 0: it was not
)

approval = Table(  # a person's yes to a blueprint with all that it calls, for one project
    "approval",
    metadata,
    Column("project", String(80), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("closure", String(64), primary_key=True),  # digest of all of it
    Column("digest", String(64), nullable=False),  # of its own file, and the blob that holds it
    Column("version", Integer, nullable=False),
    Column("parts", Text, nullable=False),  # JSON: the lines that the closure is the digest of
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("revoked_by", Text, nullable=False),
    Column("revoked", Float, nullable=False),  # 0: it stands
)

person = Table(  # who may come in at a door of the network
    "person",
    metadata,
    Column("address", String(254), primary_key=True),  # in lower case
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),  # Argon2id; "": none, they come another way
    Column("way", String(80), nullable=False),  # password, or oidc: an identity provider speaks for them
    Column("added", Float, nullable=False),
    Column("removed", Float, nullable=False),  # 0: they are let in
)

grant = Table(
    "grant",
    metadata,
    Column("address", String(254), primary_key=True),
    Column("project", String(80), primary_key=True),  # "": every one
    Column("role", String(10), primary_key=True),  # viewer operator approver admin
)

identity = Table(  # who an identity provider means; an address may pass to somebody else there, a subject does not
    "identity",
    metadata,
    Column("issuer", String(300), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("address", String(254), nullable=False, index=True),
    Column("at", Float, nullable=False),  # when it last said so: at each sign-in
)

key = Table(  # what somebody can show to be let in; only its digest is kept
    "key",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(10), nullable=False),  # session token invitation attempt
    Column("address", String(254), nullable=False, index=True),
    Column("name", String(80), nullable=False),  # of a token, unique per person among those that live
    Column(
        "scopes", Text, nullable=False
    ),  # JSON: what it may at most do; [] nothing, null: all; of an attempt to sign in, where it leads
    Column("created", Float, nullable=False),
    Column("used", Float, nullable=False),  # the last time, to the minute
    Column("expires", Float, nullable=False),
    Column("maker", String(64), nullable=False, server_default=""),  # digest of the token that it was made with
)

presence = Table(  # who looks on at a run from a terminal, for as long as the terminal says so again and again
    "presence",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("by", String(400), primary_key=True),
    Column("terminal", String(40), primary_key=True),
    Column("until", Float, nullable=False, index=True),
)

watch = Table(  # runs of which somebody wants to see what is being written, for as long as they say so again and again
    "watch",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("until", Float, nullable=False),
)

draft = Table(  # what such a run writes just now: gone when its turn ends, and soon after its worker says no more
    "draft",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("attempt", String(20), nullable=False),
    Column("number", Integer, nullable=False),  # of what was written of that attempt: a later one is another text
    Column("body", Text, nullable=False),  # JSON
    Column("until", Float, nullable=False),
)

receipt = Table(  # writes that were answered, so that one sent again is answered again and not done again
    "receipt",
    metadata,
    Column("address", String(254), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request", String(64), nullable=False),  # digest of method, path and body
    Column("status", Integer, nullable=False),  # 0: under way
    Column("body", Text, nullable=False),
    Column("at", Float, nullable=False, index=True),
)
