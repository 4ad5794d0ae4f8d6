"""Each method of the client asks for what the contract has, and reads nothing that the contract does not promise."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from nightmill.access import Grant, Token, Who
from nightmill.client import Change, Changes, Client, Entries, Me, Role, Runs, Stand, Tasks
from nightmill.desk.nouns import (
    Comparison,
    Ended,
    Part,
    Planned,
    Remainder,
    Side,
    Standing,
    Thing,
    Tie,
    Turn,
    Use,
)
from nightmill.desk.offered import Given, Moment
from nightmill.desk.offered import Held as Offered
from nightmill.desk.office import Added, Ear, Held
from nightmill.desk.requested import Portion, Requested, Sent
from nightmill.kept import (
    Draft,
    Entry,
    Filed,
    Finding,
    Judged,
    Kept,
    Piece,
    Question,
    Remediation,
    Run,
    Settled,
    Started,
)
from nightmill.kept import Part as Begun
from nightmill.told import Dead, Delivery, Hook
from tests.server.conftest import door_of, served

PULL = "/projects/{project}/changes/{number}"
SECRETS: list[tuple[str, Any]] = [("Secrets", {"secrets"}), ("SecretOut", Held), ("UseOut", Use)]
STAND: list[tuple[str, Any]] = [("StandOut", Stand), ("ChangeOut", Change)]

CALLS: dict[str, tuple[str, str, set[str], list[tuple[str, Any]]]] = {
    "me": ("get", "/me", set(), [("Me", Me), ("GrantOut", Role)]),
    "runs": ("get", "/runs", {"project", "parent", "cursor", "limit"}, [("Runs", Runs), ("RunOut", Run)]),
    "run": ("get", "/runs/{run}", set(), [("RunOut", Run)]),
    "events": ("get", "/runs/{run}/events", {"after", "limit"}, [("Entries", Entries), ("EntryOut", Entry)]),
    "waiting": ("get", "/waiting", set(), [("ThingOut", Thing)]),
    "questions": ("get", "/runs/{run}/questions", set(), [("QuestionOut", Question)]),
    "turn": ("get", "/runs/{run}/turn", {"role", "number"}, [("PartOut", Part)]),
    "requested": (
        "get",
        "/runs/{run}/requests",
        set(),
        [("RequestsOut", {"requests"}), ("Requested", Requested), ("Portion", Portion)],
    ),
    "request": ("get", "/runs/{run}/request", {"number", "role"}, [("Sent", Sent), ("Requested", Requested)]),
    "diff": ("get", "/runs/{run}/diff", set(), [("DiffOut", {"diff"})]),
    "attend": ("post", "/runs/{run}/attend", {"terminal", "seconds"}, [("Others", {"people"})]),
    "pause": ("post", "/runs/{run}/pause", set(), [("RunOut", Run)]),
    "resume": ("post", "/runs/{run}/resume", set(), [("RunOut", Run)]),
    "cancel": ("post", "/runs/{run}/cancel", set(), [("RunOut", Run)]),
    "say": ("post", "/runs/{run}/say", {"text"}, [("RunOut", Run)]),
    "rewind": (
        "post",
        "/runs/{run}/rewind",
        {"turn", "role", "instruction", "files", "results", "answers"},
        [("RunOut", Run)],
    ),
    "compare": (
        "get",
        "/runs/{run}/compare/{other}",
        set(),
        [("Comparison", Comparison), ("Side", Side), ("Turn", Turn)],
    ),
    "start": ("post", "/projects/{project}/runs", {"spec", "model", "blueprint", "base"}, [("RunOut", Run)]),
    "moment": (
        "get",
        "/runs/{run}/moment",
        {"turn", "role", "path"},
        [("Moment", Moment), ("Given", Given), ("Held", Offered)],
    ),
    "plan": (
        "get",
        "/runs/{run}/plan",
        set(),
        [("Standing", Standing), ("Planned", Planned), ("Tie", Tie)],
    ),
    "tasks": ("get", "/tasks", {"project", "every", "cursor", "limit"}, [("Tasks", Tasks), ("Filed", Filed)]),
    "task": (
        "get",
        "/tasks/{task}",
        set(),
        [
            *[("Remainder", Remainder), ("Filed", Filed), ("Remediation", Remediation), ("Part", Begun)],
            *[("Finding", Finding), ("Settled", Settled), ("Judged", Judged)],
        ],
    ),
    "take_up": ("post", "/tasks/{task}/start", {"model", "blueprint"}, [("TakenUp", Started), ("RunOut", Run)]),
    "drop": ("post", "/tasks/{task}/drop", {"because"}, [("Filed", Filed)]),
    "changes": (
        "get",
        "/changes",
        {"project", "state", "cursor", "limit"},
        [("Changes", Changes), ("ChangeOut", Change)],
    ),
    "change": ("get", PULL, set(), STAND),
    "change_diff": ("get", f"{PULL}/diff", set(), [("ChangeDiff", {"diff"})]),
    "approve_change": ("post", f"{PULL}/approve", {"tree", "because"}, STAND),
    "merge_change": ("post", f"{PULL}/merge", {"tree"}, STAND),
    "send_back": ("post", f"{PULL}/back", {"because"}, STAND),
    "approve": ("post", "/runs/{run}/approve", {"because", "question", "tree"}, [("Decided", Ended)]),
    "refuse": ("post", "/runs/{run}/refuse", {"because", "question", "tree"}, [("Decided", Ended)]),
    "answer": ("post", "/runs/{run}/answer", {"text", "question"}, [("Decided", Ended)]),
    "people": ("get", "/people", set(), [("Persons", {"people"}), ("PersonOut", Who), ("GrantOut", Grant)]),
    "invite": ("post", "/people", {"address", "grants"}, [("Invited", {"link"})]),
    "grant": ("put", "/people/{address}/grants", {"project", "roles"}, [("PersonOut", Who), ("GrantOut", Grant)]),
    "shut_out": ("delete", "/people/{address}", set(), []),
    "tokens": ("get", "/tokens", set(), [("Tokens", {"tokens"}), ("TokenOut", Token)]),
    "make_token": ("post", "/tokens", {"address", "name", "scopes", "days"}, [("Made", {"token", "expires", "short"})]),
    "revoke_token": ("delete", "/tokens/{name}", {"of"}, []),
    "secrets": ("get", "/secrets", set(), SECRETS),
    "keep_secret": ("put", "/secrets/{name}", {"value"}, []),
    "remove_secret": ("delete", "/secrets/{name}", set(), []),
    "hooks": ("get", "/hooks", set(), [("HooksOut", {"hooks"}), ("HookOut", Hook)]),
    "add_hook": ("post", "/hooks", {"url", "events", "project"}, [("HookMade", Added), ("HookOut", Hook)]),
    "remove_hook": ("delete", "/hooks/{hook}", set(), []),
    "pause_hook": ("post", "/hooks/{hook}/pause", set(), []),
    "resume_hook": ("post", "/hooks/{hook}/resume", set(), []),
    "rotate_hook": ("put", "/hooks/{hook}/secret", {"at_once"}, [("Secret", {"secret"})]),
    "try_hook": ("post", "/hooks/{hook}/test", set(), []),
    "deliveries": (
        "get",
        "/hooks/{hook}/deliveries",
        set(),
        [("Deliveries", {"deliveries"}), ("DeliveryOut", Delivery)],
    ),
    "dead": ("get", "/hooks/dead", {"hook"}, [("Deads", {"dead"}), ("DeadOut", Dead)]),
    "resend": ("post", "/hooks/{hook}/dead", {"seq"}, [("Count", {"count"})]),
    "heard": ("get", "/heard", set(), [("Listening", {"heard"}), ("Listened", Kept)]),
    "hear": ("put", "/projects/{project}/heard", set(), [("EarMade", Ear)]),
    "deafen": ("delete", "/projects/{project}/heard", set(), []),
    "bind": ("put", "/projects/{project}/logins/{login}", {"address"}, []),
    "stream": (
        "get",
        "/events",
        {"run", "last-event-id", "drafts"},
        [("EntryOut", Entry), ("DraftOut", Draft), ("PieceOut", Piece)],
    ),
}
"""The route of each method, what is asked of it, and its schemas with what they are read into, or which of their fields are read."""

OURS = {Run: {"assignment", "wishes", "words"}, Question: {"seconds", "body"}, Held: {"kept"}, Use: {"secret"}}
"""What the store has and a server does not tell: it is left empty, or made of what it tells beside."""


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a server says that it offers."""
    with served(door_of(tmp_path_factory.mktemp("contract"))) as house, house.nobody() as client:
        return client.get("/api/openapi.json").json()


def names(kind: Any) -> set[str]:
    """The fields that are read into *kind*, or those that are named one by one."""
    if isinstance(kind, set):
        return kind
    found = {each.name for each in fields(kind)} if is_dataclass(kind) else set(kind._fields)
    return found - OURS.get(kind, set())


def test_every_method_has_its_route_here() -> None:
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}

    assert methods == set(CALLS)


def test_it_is_a_document_of_openapi_3_1_as_others_read_it(contract: Any) -> None:
    assert contract["openapi"].startswith("3.1.")
    assert [str(each) for each in OpenAPIV31SpecValidator(contract).iter_errors()] == []


@pytest.mark.parametrize("name", CALLS)
def test_a_method_asks_for_what_there_is_and_reads_what_is_promised(contract: Any, name: str) -> None:
    verb, path, asked, read = CALLS[name]
    route = contract["paths"][f"/api/v1{path}"][verb]
    schemas = contract["components"]["schemas"]
    there = {each["name"].casefold() for each in route.get("parameters", [])}
    if verb != "get":
        assert ("idempotency-key" in there) is (name != "attend"), "to look on is said again and again"
        body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        there |= set(schemas[body["$ref"].rpartition("/")[2]]["properties"]) if body else set()

    assert asked <= there
    for schema, kind in read:
        assert names(kind) <= set(schemas[schema]["properties"]), schema
    if name != "stream":
        (answer,) = [each for status, each in route["responses"].items() if status.startswith("2")]
        said = (
            answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        )
        assert said in {schema for schema, _ in read} | {"Things", "Questions", "TurnOut"} if read else not said


def test_what_is_listed_here_is_what_the_client_sends() -> None:
    """The words in its source, so that neither list can be forgotten."""
    for name, (verb, path, asked, _) in CALLS.items():
        text = inspect.getsource(getattr(Client, name))
        tail = re.sub(r"^/(runs/\{run\}|tasks/\{task\}|projects/\{project\}(/changes/\{number\})?)", "", path)
        steps = [each for each in tail.split("/") if each and "{" not in each]
        assert all(each in text for each in steps), (name, steps)
        assert all(each in text or each == "last-event-id" for each in asked), name
        assert f"connection.{verb}" in text or "_decide" in text or "connection.lines" in text, name
