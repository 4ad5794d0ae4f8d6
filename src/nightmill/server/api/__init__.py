"""The API, version 1: JSON for programs, under /api/v1."""

from __future__ import annotations

from starlette.routing import BaseRoute

from nightmill.server.api import (
    account,
    blueprints,
    budget,
    changes,
    crew,
    events,
    heard,
    hooks,
    intake,
    ledger,
    live,
    mcp,
    people,
    questions,
    runs,
    secrets,
    start,
    tasks,
)

__all__ = ["routes"]


def routes() -> list[BaseRoute]:
    """All routes of the API."""
    modules = (
        *(account, runs, questions, live, start, tasks, changes, events, people, hooks, heard, secrets, mcp),
        *(crew, blueprints, budget, ledger, intake),
    )
    return [route for module in modules for route in module.router.routes]
