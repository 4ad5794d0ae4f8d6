"""The application: limits around it, the API and the pages in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from nightmill import __version__
from nightmill.errors import NightmillError
from nightmill.server import api, contract, pages, problem
from nightmill.server.limits import Limits
from nightmill.server.pages.render import ROOMS, refused
from nightmill.server.problem import Refused
from nightmill.server.site import Site
from nightmill.store import AWAY

__all__ = ["make"]

NOTE = 10.0
"""Seconds between two notes of when keys were used."""


def make(site: Site) -> ASGIApp:
    """The whole server of *site* as an ASGI application."""
    app = FastAPI(
        title="nightmill",
        version=__version__,
        summary="A control plane for autonomous coding agents.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_life(site),
        redirect_slashes=False,
    )
    app.state.site = site
    app.router.routes += [*api.routes(), *pages.routes()]
    packages: list[str | tuple[str, str]] = [(f"nightmill.{room}", "static") for room in ROOMS]
    app.mount("/static", StaticFiles(packages=packages), name="static")
    for kind in (NightmillError, Refused):
        app.add_exception_handler(kind, _for(site, problem.of_error))
    for unkept in (UnicodeEncodeError, DataError):
        app.add_exception_handler(unkept, _for(site, problem.of_text))
    for away in AWAY:
        app.add_exception_handler(away, _for(site, problem.of_store))
    app.add_exception_handler(Exception, _for(site, problem.of_fault))
    app.add_exception_handler(HTTPException, _for(site, _of_http))
    app.add_exception_handler(RequestValidationError, _for(site, problem.of_request))
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's own way to change it
    return Limits(app, site=site)


def _life(site: Site) -> Any:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each) for each in _tasks(site)]
        try:
            yield
        finally:
            site.feed.close()
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            with suppress(*AWAY):
                await asyncio.to_thread(site.keys.note)

    return life


def _tasks(site: Site) -> tuple[Coroutine[Any, Any, None], ...]:
    return site.feed.serve(), site.streams.serve(), site.courier.serve(), _noted(site)


async def _noted(site: Site) -> None:
    """Keep when keys were used, beside the requests that they came with."""
    while True:
        await asyncio.sleep(NOTE)
        with suppress(*AWAY):
            await asyncio.to_thread(site.keys.note)


def _for(site: Site, handler: Any) -> Any:
    """*handler* for programs; people get the same as a page, and one who has to sign in is taken there."""

    async def handle(request: Request, error: Exception) -> Response:
        said: Response = handler(request, error)
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return said
        if said.status_code == 401 and request.method == "GET":
            return RedirectResponse(f"/sign-in?{_next(request)}", 303)
        return refused(request, site, said)

    return handle


def _of_http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself; it names the methods of the first route that has a path, and not of all."""
    said = problem.of_http(request, error)
    here = [route for route in contract.guarded(request.app.routes) if route.path_regex.match(request.scope["path"])]
    if said.status_code == 405 and here:
        said.headers["Allow"] = ", ".join(sorted({method for route in here for method in route.methods or ()}))
    return said


def _next(request: Request) -> str:
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return urlencode({"next": where})


def _described(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        app.openapi_schema = contract.whole(schema, app.routes)
    return app.openapi_schema
