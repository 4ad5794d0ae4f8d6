"""The keys of nightmill.yaml, once: the reader, the writer, the JSON schema and the reference all follow this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from nightmill.policy import KINDS, TAKEABLE, WORDS
from nightmill.review.bend import RULES as BENDS
from nightmill.review.formats import Name
from nightmill.sandbox import GUARANTEES

__all__ = ["FILE", "POLICY", "Key", "schema"]

Kind = Literal["text", "texts", "map", "number", "money", "count", "size", "record", "records", "counts", "lists"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: what it may hold and what it is for."""

    name: str
    kind: Kind
    doc: str
    choices: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    required: bool = False


CHECK = (
    Key(name="name", kind="text", doc="Short name, shown in reasons and evidence.", required=True),
    Key(name="run", kind="text", doc="Shell text, run at the root of the checkout.", required=True),
    Key(
        name="format",
        kind="text",
        choices=get_args(Name),
        doc=(
            "How the result is read: pytest and ruff (a report is added), junit and coverage (the file `report`), mypy, eslint,"
            " sarif, go and cargo (`report`, or what is printed, in the tool's JSON), exit (only the status)."
        ),
    ),
    Key(
        name="report", kind="text", doc="The file with the report that the command writes, relative to the repository."
    ),
    Key(
        name="least",
        kind="number",
        doc="Of coverage: percent that has to be covered; never less than before the change.",
    ),
    Key(name="seconds", kind="number", doc="How long it may take."),
    Key(name="memory", kind="size", doc="Memory that it may use; 4 GB if nothing is said."),
)

SERVICE = (
    Key(name="name", kind="text", doc="Name of the service; that of the preset, if none is given."),
    Key(
        name="use",
        kind="text",
        choices=("postgres", "redis"),
        doc="A preset, run with this machine's programs. Other keys replace what it says; `setup` and `seed` add to it.",
    ),
    Key(name="port", kind="count", doc="Port of a preset on 127.0.0.1; the usual one, if none is given."),
    Key(name="run", kind="text", doc="Shell text that runs it in the foreground; end it with `exec PROGRAM …`."),
    Key(name="setup", kind="texts", doc="Shell lines, run once when the environment is built, before it is started."),
    Key(name="seed", kind="texts", doc="Shell lines, run once when the environment is built, while it runs."),
    Key(name="ready", kind="text", doc="Shell text that succeeds once it answers."),
    Key(name="seconds", kind="number", doc="How long it may take until it answers; 60 if nothing is said."),
    Key(name="after", kind="texts", doc="Names of services that have to be ready before it is started."),
    Key(
        name="stop",
        kind="text",
        choices=("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"),
        doc="Signal that asks it to end; TERM if nothing is said.",
    ),
    Key(name="grace", kind="number", doc="Seconds after that until it is killed; 10 if nothing is said."),
    Key(name="env", kind="map", doc="Environment of its own, on top of the project's. Never a secret."),
    Key(name="cwd", kind="text", doc="Folder that it runs in, relative to the repository."),
    Key(name="memory", kind="size", doc="Memory of all its processes together; 2 GB if nothing is said."),
)

LIMITS = (
    Key(name="seconds", kind="number", doc="Seconds that one command may take; 30 if nothing is said."),
    Key(
        name="memory",
        kind="size",
        doc="Memory that all processes of one command may use together; 256 MB if nothing is said.",
    ),
    Key(name="processes", kind="count", doc="Processes of one command at once; 512 if nothing is said."),
    Key(name="file_size", kind="size", doc="Size of the largest file."),
    Key(name="output", kind="size", doc="Output that is kept; the middle of a longer one is dropped."),
    Key(name="disk", kind="size", doc="Disk that all that a run writes may take; 10 GB if nothing is said."),
)

NETWORK = (
    Key(name="hosts", kind="texts", doc="pypi, npm, crates, go, debian, or hosts that the operator allows."),
    Key(name="inspect", kind="texts", doc="Those of them whose TLS is opened, to record each request."),
)

RULE = (
    Key(name="about", kind="text", doc="What the paths are, in a word or two, for reasons."),
    Key(name="paths", kind="texts", doc="Paths or globs; the rule is about every change without them."),
    Key(
        name="change",
        kind="text",
        choices=("ask", "deny"),
        doc="What it means that such a path is changed: a person is asked, or no agent ever may.",
    ),
    Key(name="checks", kind="texts", doc="Checks that must have passed on the tree."),
    Key(name="reviews", kind="counts", doc="Roles, and how many reviews of each must approve of the tree."),
    Key(name="approvals", kind="count", doc="How many people must approve of the tree."),
    Key(name="approvers", kind="texts", doc="Who may: addresses, or `@group`; anybody but its authors without it."),
    Key(name="files", kind="count", doc="Files that may change before a person is asked."),
    Key(name="lines", kind="count", doc="Lines, added and removed, that may change before a person is asked."),
)

RUNG = (
    Key(name="mistake", kind="text", choices=tuple(WORDS), doc="Kind of mistake; every one without it."),
    Key(name="note", kind="count", doc="From how many times on a note is written to the role's memory."),
    Key(name="instruction", kind="count", doc="From how many times on an instruction is changed."),
    Key(name="permission", kind="count", doc="From how many times on a permission is taken away."),
    Key(
        name="takes",
        kind="texts",
        choices=TAKEABLE,
        doc="Of `permission`: what is taken away, tools or the network; network and explore if nothing is said.",
    ),
    Key(name="approval", kind="count", doc="From how many times on a person has to approve."),
)

BOUNDS = (
    Key(name="task", kind="money", doc="US dollars that one run may cost."),
    Key(name="day", kind="money", doc="US dollars that all runs together may cost on one UTC day."),
    Key(name="project", kind="money", doc="US dollars that the runs of a project may cost on one UTC day."),
)

BEND = tuple(
    Key(name=kind, kind="text", choices=("block", "ask", "show"), doc=f"{rule.capitalize()} if nothing is said.")
    for kind, rule in BENDS.items()
)

POLICY = (
    Key(
        name="unsupervised",
        kind="text",
        choices=("never", "reviewed", "proven"),
        doc="Code of agents that may be merged without a person: none, what other roles approve of too, what is proven.",
    ),
    Key(
        name="blueprints",
        kind="text",
        choices=("approved", "any"),
        doc="Processes that may run without being asked about.",
    ),
    Key(name="approval_hours", kind="number", doc="Hours for which a person's yes counts; 168 if nothing is said."),
    Key(
        name="moved",
        kind="text",
        choices=("ask", "keep"),
        doc="What approvals and reviews count after the target moved: nothing, or as before where no file of the change did.",
    ),
    Key(
        name="protect",
        kind="texts",
        choices=tuple(KINDS),
        doc="Kinds of paths about whose change a person is asked; all of them if nothing is said.",
    ),
    Key(
        name="bends",
        kind="record",
        keys=BEND,
        doc="What of that which bends a change's checks stands in its way, is asked about, or only told; a project may only want more.",
    ),
    Key(name="budgets", kind="record", keys=BOUNDS, doc="What may be spent, within the settings."),
    Key(name="groups", kind="lists", doc="People by group: name, then addresses."),
    Key(name="rules", kind="records", keys=RULE, doc="What changes need; every rule that fits has to be met."),
    Key(name="ladder", kind="records", keys=RUNG, doc="What follows when a mistake is made again and again."),
)
"""The keys of `policy` here, and of policy.yaml in the operator's home."""

FILE = (
    Key(
        name="language",
        kind="text",
        choices=("python", "javascript", "go", "rust", "other"),
        doc="What the project is written in.",
    ),
    Key(name="install", kind="texts", doc="Shell lines that install what the project and its tests need, in order."),
    Key(
        name="hosts", kind="texts", doc="What the install lines may reach: presets, or hosts that the operator allows."
    ),
    Key(name="network", kind="record", keys=NETWORK, doc="What agents' commands may reach; nothing without it."),
    Key(name="env", kind="map", doc="Environment of every command. Never a secret: agents read it."),
    Key(name="locks", kind="texts", doc="Files that decide what the install lines give; a change builds anew."),
    Key(name="checks", kind="records", keys=CHECK, doc="What proves a change. All have to pass."),
    Key(name="services", kind="records", keys=SERVICE, doc="Programs that run beside the tests, in the same sandbox."),
    Key(name="instructions", kind="texts", doc="Files whose text agents are given."),
    Key(name="limits", kind="record", keys=LIMITS, doc="Bounds on each command of an agent."),
    Key(
        name="requires",
        kind="texts",
        choices=tuple(GUARANTEES),
        doc="Guarantees of the sandbox without which nothing of this project starts.",
    ),
    Key(name="budget", kind="money", doc="US dollars that its runs together may cost on one UTC day; any without it."),
    Key(name="protected", kind="texts", doc="Paths or globs that no change of an agent may touch."),
    Key(
        name="policy",
        kind="record",
        keys=POLICY,
        doc="Who has to look at changes; it can only ask for more than the operator does.",
    ),
    Key(name="co_author", kind="text", doc="Name <address> for the Co-authored-by line of commits."),
)


def schema() -> dict[str, Any]:
    """The JSON schema of nightmill.yaml, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nightmill.yaml", **_object(FILE)}


def _object(keys: tuple[Key, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in keys},
    }
    required = [key.name for key in keys if key.required]
    return {**found, "required": required} if required else found


def _property(key: Key) -> dict[str, Any]:
    shapes: dict[Kind, dict[str, Any]] = {
        "text": {"type": "string"},
        "texts": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "number": {"type": "number", "exclusiveMinimum": 0},
        "money": {"type": "number", "exclusiveMinimum": 0},
        "count": {"type": "integer", "minimum": 1},
        "size": {"type": ["integer", "string"], "pattern": "^[0-9]+ ?([KkMmGg][Bb])?$"},
        "record": _object(key.keys),
        "records": {"type": "array", "items": _object(key.keys)},
        "counts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
        "lists": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    }
    found = {**shapes[key.kind], "description": key.doc}
    if key.choices and key.kind == "texts":
        return {**found, "items": {"type": "string", "enum": list(key.choices)}}
    return {**found, "enum": list(key.choices)} if key.choices else found
