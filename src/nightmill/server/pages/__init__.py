"""Pages for people, made here and read without a script; small modules of our own make them live."""

from __future__ import annotations

from starlette.routing import BaseRoute

from nightmill.server.pages import (
    blueprints,
    budget,
    change,
    compare,
    crew,
    door,
    identity,
    ledger,
    moment,
    night,
    people,
    plan,
    projects,
    run,
    runs,
    secrets,
    settings,
    steer,
    task,
    webhooks,
)

__all__ = ["routes"]


def routes() -> list[BaseRoute]:
    """All pages."""
    return [
        route
        for module in (
            door,
            identity,
            night,
            run,
            runs,
            steer,
            moment,
            task,
            compare,
            change,
            plan,
            crew,
            blueprints,
            projects,
            ledger,
            settings,
            budget,
            people,
            webhooks,
            secrets,
        )
        for route in module.router.routes
    ]
