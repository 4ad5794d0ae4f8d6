"""Who may do what at each route: a route without a rule cannot be made, and its rule is asked before anything of it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar, cast

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nightmill.access import Act, Person
from nightmill.errors import SettingsError
from nightmill.kept import Filed
from nightmill.server.problem import Refused
from nightmill.server.rates import Rate
from nightmill.server.site import Site, site_of
from nightmill.store import Run

__all__ = ["Guarded", "Need", "TheProject", "TheRun", "TheTask", "Who", "must", "needs", "of_api", "of_pages", "who_is"]

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

PASSED_ON = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""What proxies say of whom they speak for, who is not the user of this machine."""

REQUESTS = Rate(burst=600, seconds=0.05)
"""Of one person: twenty in a second, on and on."""

VALUES = 10_000
"""Values in the JSON of a request: each that does not fit costs as much as a whole request that does."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

Of = Literal["run", "task", "project", "some", "every", "own", "nothing", "signed"]


@dataclass(frozen=True, slots=True)
class Need:
    """What a person needs for a route: *act*, and *of* what.

    In the project of its "run" or "task", in its "project", in "some" project (its lists show only those), in "every" one. Of
    one's "own" things: to be somebody. Of "nothing": with an act, only to be somebody; without one, not even that. "signed":
    no person, and no browser that one could be made to send something with: the route judges what it is sent.
    """

    act: Act | None
    of: Of


def needs(act: Act | None, of: Of) -> Callable[[Endpoint], Endpoint]:
    """Give an endpoint its rule."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.need = Need(act, of)  # type: ignore[attr-defined]
        return endpoint

    return mark


class Guarded(APIRoute):
    """A route that asks its rule first."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **named: Any) -> None:
        """As FastAPI makes it.

        Raises:
            TypeError: If *endpoint* has no rule, or one that its path cannot answer.
        """
        need = getattr(endpoint, "need", None)
        if not isinstance(need, Need):
            raise TypeError(f"the route {path} has no rule: give its endpoint one with `needs`")
        if need.of in {"run", "task", "project"} and f"{{{need.of}}}" not in path:
            raise TypeError(f"the route {path} has a rule about a {need.of} that it does not name")
        self.need = need
        super().__init__(path, endpoint, **named)

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The handler, behind the rule."""
        inner = super().get_route_handler()

        async def handle(plain: Request) -> Response:
            site, request = site_of(plain), _Bounded(plain.scope, plain.receive)
            if self.need.act is not None:
                await run_in_threadpool(self.admit, site, request)
                if request.method not in SAFE:
                    await _whole(request)
                    # Whoever sends it slowly may have lost the right in the meantime.
                    await run_in_threadpool(_let_in, site, request, self.need)
            elif request.method not in SAFE and self.need.of != "signed":
                _same_origin(site, request)
            response: Response = await inner(request)
            return response

        return handle

    def admit(self, site: Site, request: Request) -> None:
        """Let *request* in, if not too many come from its sender. Raises as `_let_in`."""
        _admit(site, request, self.need)


class _Page(Guarded):
    """A route to a page, which hears of what is told from before anything on it is read: nothing falls between the two."""

    def admit(self, site: Site, request: Request) -> None:
        """Let *request* in."""
        request.state.after = site.door.ledger.last()
        super().admit(site, request)


class _Bounded(Request):
    """A request whose JSON holds no more than anybody has to say."""

    async def json(self) -> Any:
        """What it holds."""
        found = await super().json()
        left, todo = VALUES, [found]
        while todo:
            each = todo.pop()
            if isinstance(each, (dict, list)):
                left -= len(each)
                todo += () if left < 0 else each.values() if isinstance(each, dict) else each
            if left < 0:
                raise HTTPException(413, f"a request holds {VALUES:,} values at most")
        return found


async def _whole(request: Request) -> None:
    """Take in its body, which it keeps."""
    try:
        await request.body()
    except ClientDisconnect as error:
        raise HTTPException(400, "the request was cut off") from error


def of_api(tag: str) -> APIRouter:
    """The routes of one module of the API."""
    return APIRouter(prefix="/api/v1", route_class=Guarded, tags=[tag], generate_unique_id_function=_operation)


def of_pages() -> APIRouter:
    """The routes of one module of pages."""
    return APIRouter(route_class=_Page, include_in_schema=False)


def _operation(route: APIRoute) -> str:
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def who_is(site: Site, request: Request) -> Person | None:
    """Who sends *request*, None if nobody says so. Blocks.

    Raises:
        Refused: If it shows something that is not good (any more).
    """
    if site.local is not None:
        if PASSED_ON.intersection(request.headers):
            raise Refused(403, "without sign-in nobody comes by a proxy", hint="start the server without --no-sign-in")
        return site.local
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.casefold() == "bearer" and secret:
        if (found := site.keys.shows(secret.strip(), "token")) is None:
            raise Refused(401, "this token is not good", hint="it may have ended or been revoked: make a new one")
        if not _spoken_for(site, found):
            raise Refused(
                401,
                f"the identity provider has not spoken for {found.address} for long, so this token is not good",
                hint="sign in with a browser: it is good again then",
            )
        return found
    if kind:
        raise Refused(401, f"{kind[:20]!r} is no way to sign in here", hint="send `Authorization: Bearer TOKEN`")
    cookie = request.cookies.get(site.cookie, "")
    found = site.keys.shows(cookie, "session") if cookie else None
    return found if found is not None and _spoken_for(site, found) else None


def _spoken_for(site: Site, who: Person) -> bool:
    """Whether the identity provider spoke for *who* not too long ago; whom it does not speak for, comes by a password.

    It tells nobody whom it would let in no more: so everybody goes there again after a while.
    """
    if site.provider is None:
        return True
    config = site.provider.config
    good = config.tokens if who.way == "token" else config.sessions
    return site.people.spoken_for(who.address, config.issuer) > site.clock() - good


def _admit(site: Site, request: Request, need: Need) -> None:
    who = _let_in(site, request, need)
    if wait := site.rates.take("requests", who.address, REQUESTS):
        raise Refused(429, "too many requests", hint="ask less often", headers={"Retry-After": str(round(wait + 1))})


def _let_in(site: Site, request: Request, need: Need) -> Person:
    """Put who sends *request*, and the run it is about, where the endpoint finds them.

    Raises:
        Refused: If they may not. Of what somebody may not see it is not said that it is there.
    """
    who = who_is(site, request)
    if who is None:
        raise Refused(
            401, "nobody is signed in", hint="sign in, or send a token", headers={"WWW-Authenticate": "Bearer"}
        )
    if who.way != "token" and request.method not in SAFE:
        _same_origin(site, request)
    request.state.who = who
    _allow(site, request, need, who)
    return who


def _allow(site: Site, request: Request, need: Need, who: Person) -> None:
    if need.of == "run":
        request.state.run = run = _run(site, request.path_params["run"], who)
        must(who, need.act, run.project)
    elif need.of == "task":
        request.state.task = task = _task(site, request.path_params["task"], who)
        must(who, need.act, task.project)
    elif need.of == "project":
        project = request.path_params["project"]
        if not who.may("view", project):
            raise Refused(404, f"there is no project {project[:80]!r} that you may see")
        must(who, need.act, project)
    elif need.of == "every":
        must(who, need.act, "")
    elif need.of == "some" and need.act and not who.somewhere(need.act):
        raise Refused(403, f"nobody has given you the right to {need.act} in any project", hint="ask an admin")


def _run(site: Site, name: str, who: Person) -> Run:
    try:
        found = site.door.runs.get(name)
    except SettingsError:
        found = None
    if found is None or not who.may("view", found.project):
        raise Refused(404, f"there is no run {name[:40]!r} that you may see", hint="the list of runs has the ids")
    return found


def _task(site: Site, name: str, who: Person) -> Filed:
    try:
        found = site.door.tasks.get(name)
    except SettingsError:
        found = None
    if found is None or not who.may("view", found.project):
        raise Refused(404, f"there is no task {name[:80]!r} that you may see", hint="the list of tasks has the ids")
    return found


def must(who: Person, act: Act | None, project: str) -> None:
    """Let *who* do *act* in *project*, "": in all of them.

    Raises:
        Refused: If they may not, or their token may not.
    """
    if act is None or who.may(act, project):
        return
    where = f"in {project}" if project else "in all projects"
    if replace(who, scopes=None).may(act, project):
        raise Refused(
            403, f"{who.address} may {act} {where}, and this token may not", hint=f"use one made with --scope {act}"
        )
    raise Refused(403, f"{who.address} may not {act} {where}", hint="ask an admin for the role")


def _same_origin(site: Site, request: Request) -> None:
    """Refuse what a page of somebody else's made a browser send.

    Browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`; a program that sends neither
    has no cookie that it could be made to send, and comes with a token.
    """
    said, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    same = origin in site.origins
    if said in {"same-origin", "none"} and (origin is None or same):
        return
    if said is None and same:
        return
    raise Refused(403, "this request comes from another site", hint="programs send `Authorization: Bearer TOKEN`")


def _who(request: Request) -> Person:
    return cast("Person", request.state.who)


def _the_run(request: Request, run: Annotated[str, Path(description="Id of a run.", max_length=40)]) -> Run:
    assert run  # noqa: S101 - the rule has found it by now
    return cast("Run", request.state.run)


def _the_task(request: Request, task: Annotated[str, Path(description="Id of a task.", max_length=120)]) -> Filed:
    assert task  # noqa: S101 - the rule has found it by now
    return cast("Filed", request.state.task)


def _the_project(project: Annotated[str, Path(description="Id of a project.", max_length=80)]) -> str:
    return project


Who = Annotated[Person, Depends(_who)]
TheRun = Annotated[Run, Depends(_the_run)]
TheTask = Annotated[Filed, Depends(_the_task)]
TheProject = Annotated[str, Depends(_the_project)]
