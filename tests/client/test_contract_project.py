"""Each method of the clients of a project, and of what all share, asks for what the contract has, and reads no more than it promises."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from nightmill.blueprint.seen import Piece, Seen
from nightmill.client import project
from nightmill.client.house import HouseClient, Page
from nightmill.client.intake import IntakeClient
from nightmill.client.project import ProjectClient
from nightmill.crew import Crew
from nightmill.crew import Role as Member
from nightmill.desk.budget import Asks, Budget, Spent
from nightmill.desk.own import Explained, Process, Remembered, Team
from nightmill.desk.wish import Clause, Near, Proposal, Reply
from nightmill.kept import Entry, Run
from nightmill.policy import Policy, Record
from nightmill.policy.nouns import Bounds, Rule, Rung
from nightmill.store.notes import Note
from nightmill.store.seal import Seal
from tests.client.test_contract import CALLS as FIRST
from tests.client.test_contract import contract, names

__all__ = ["contract"]

POLICY: list[tuple[str, Any]] = [("Policy", Policy), ("Rule", Rule), ("Rung", Rung), ("Bounds", Bounds)]

CALLS: dict[str, tuple[str, str, set[str], list[tuple[str, Any]]]] = {
    "team": ("get", "crew", set(), [("Team", Team), ("Crew", Crew), ("Role", Member), ("Record", Record)]),
    "remembered": ("get", "crew/{role}/memory", set(), [("Remembered", Remembered)]),
    "forget": ("post", "crew/{role}/forget", {"number", "note"}, [("Remembered", Remembered)]),
    "policy": ("get", "policy", set(), [("PolicyOut", {"policy"}), *POLICY]),
    "notes": ("get", "notes", {"cursor", "limit"}, [("Notes", project.Notes), ("NoteOut", Note)]),
    "forget_notes": ("post", "notes/forget", {"ids", "all"}, [("Forgotten", {"notes"})]),
    "listed": ("get", "blueprints", set(), [("Blueprints", {"blueprints"}), ("Process", Process)]),
    "whole": ("get", "blueprints/{name}", set(), [("BlueprintOut", {"process", "text"}), ("Process", Process)]),
    "approved": ("get", "blueprints/{name}/approved", set(), [("ApprovedOut", {"text", "version", "by"})]),
    "approve": ("post", "blueprints/{name}/approve", {"closure"}, [("Process", Process)]),
    "revoke": ("post", "blueprints/{name}/revoke", {"digest"}, [("Revoked", {"versions"})]),
    "explained": (
        "post",
        "blueprints/{name}/explain",
        {"spec"},
        [("Explained", Explained), ("Seen", Seen), ("Piece", Piece)],
    ),
}
"""The route of each method below a project's, what is asked of it, and its schemas with what they are read into."""

READS = {"explained"}
"""Posts that change nothing."""

SHARED: dict[str, tuple[str, str, set[str], list[tuple[str, Any]]]] = {
    "budget": ("get", "/budget", set(), [("Budget", Budget), ("Spent", Spent), ("Asks", Asks)]),
    "raise_budget": ("post", "/budget/raise", {"dollars"}, []),
    "entries": ("get", "/ledger", {"after", "run", "name", "every"}, [("EntryOut", Entry)]),
    "search": (
        "get",
        "/ledger/search",
        {"word", "who", "name", "run", "since", "until", "before", "limit"},
        [("FoundOut", Entry), ("Findings", Page)],
    ),
    "seal": ("post", "/ledger/seal", set(), [("Seal", Seal)]),
}
"""The same of what all projects share."""

OTHERS = {
    ("get", "/health"): "of what watches processes",
    ("post", "/projects/{project}/heard"): "of forges",
    ("get", "/projects/{project}/heard"): "`heard` has all",
    ("get", "/projects/{project}/secrets"): "`secrets`, of a project",
    ("put", "/projects/{project}/secrets/{name}"): "`keep_secret`, of a project",
    ("delete", "/projects/{project}/secrets/{name}"): "`remove_secret`, of a project",
    ("post", "/ledger/verify"): "who takes the ledger along believes no server",
}
"""Routes that are no method's own, and whose they are."""


def test_every_method_has_its_route_here() -> None:
    methods = {name for name, _ in inspect.getmembers(ProjectClient, inspect.isfunction) if not name.startswith("_")}

    assert methods == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_method_asks_for_what_there_is_and_reads_what_is_promised(contract: Any, name: str) -> None:
    verb, path, asked, read = CALLS[name]
    route = contract["paths"][f"/api/v1/projects/{{project}}/{path}"][verb]
    schemas = contract["components"]["schemas"]
    there = {each["name"].casefold() for each in route.get("parameters", [])}
    if verb == "post":
        assert ("idempotency-key" in there) is (name not in READS)
        there |= set(
            schemas[route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]][
                "properties"
            ]
        )

    assert asked <= there
    for schema, kind in read:
        assert names(kind) <= set(schemas[schema]["properties"]), schema
    answer = route["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert answer == read[0][0]


def test_what_is_listed_here_is_what_the_client_sends() -> None:
    """The words in its source, so that neither list can be forgotten."""
    for name, (verb, path, asked, _) in CALLS.items():
        text = inspect.getsource(getattr(ProjectClient, name))
        words = ", ".join(part[1:-1] if part.startswith("{") else f'"{part}"' for part in path.split("/"))
        sent = re.search(rf"_{verb}\(\s*{re.escape(words)}", text)
        assert sent, (name, words)
        assert all(f"{each}=" in text for each in asked), name


@pytest.mark.parametrize("name", SHARED)
def test_what_all_projects_share_is_asked_for_and_read_as_is_promised(contract: Any, name: str) -> None:
    verb, path, asked, read = SHARED[name]
    route = contract["paths"][f"/api/v1{path}"][verb]
    schemas = contract["components"]["schemas"]
    there = {each["name"].casefold() for each in route.get("parameters", [])}
    there |= set(schemas["Raise"]["properties"]) if name == "raise_budget" else set()
    text = inspect.getsource(getattr(HouseClient, name))

    assert asked <= there
    assert ("idempotency-key" in there) is (name == "raise_budget"), "a seal changes nothing"
    assert f'{{API}}{path}"' in text
    assert all(f'"{each}"' in text for each in asked)
    for schema, kind in read:
        assert names(kind) <= set(schemas[schema]["properties"]), schema


def test_every_method_of_what_all_share_has_its_route_here() -> None:
    methods = {name for name, _ in inspect.getmembers(HouseClient, inspect.isfunction) if not name.startswith("_")}

    assert methods == {*SHARED, "verify"}, "to verify is to take along"


@pytest.mark.parametrize(
    ("name", "path", "body", "read"),
    [
        ("ask", "ask", "WishIn", [("Reply", Reply), ("Proposal", Proposal), ("Near", Near), ("Clause", Clause)]),
        ("start", "errands", "ErrandIn", [("RunOut", Run)]),
    ],
)
def test_an_ask_is_sent_and_read_as_is_promised(
    contract: Any, name: str, path: str, body: str, read: list[tuple[str, Any]]
) -> None:
    route = contract["paths"][f"/api/v1/projects/{{project}}/{path}"]["post"]
    schemas = contract["components"]["schemas"]
    text = inspect.getsource(getattr(IntakeClient, name))

    assert set(re.findall(r'"(\w+)":', text)) == set(schemas[body]["properties"])
    assert "Idempotency-Key" in {each["name"] for each in route["parameters"]}
    assert f"{{self.place}}/{path}" in text
    for schema, kind in read:
        assert names(kind) <= set(schemas[schema]["properties"]), schema


def test_every_route_has_its_method_or_a_reason(contract: Any) -> None:
    routes = {(verb, path.removeprefix("/api/v1")) for path, there in contract["paths"].items() for verb in there}
    ours = {each[:2] for each in FIRST.values()} | {each[:2] for each in SHARED.values()}
    ours |= {(verb, f"/projects/{{project}}/{path}") for verb, path, *_ in CALLS.values()}
    ours |= {("post", f"/projects/{{project}}/{path}") for path in ("ask", "errands")}

    assert routes - ours == set(OTHERS)
