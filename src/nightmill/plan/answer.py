"""The architect's answer: its form, and how its text becomes a plan or a message that says what is wrong with it."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nightmill.errors import ToolError
from nightmill.plan.given import MOST_TASKS
from nightmill.plan.nouns import Footprint, Plan, Task
from nightmill.plan.ordering import order
from nightmill.spec import Spec

__all__ = ["from_plain", "read", "schema", "to_plain"]

LONGEST = 400_000
"""Characters of an answer that are looked at."""
MOST_STARTS = 50
"""Places at which a JSON object may begin among prose."""
MOST_PROBLEMS = 12
HINT = "answer with the whole corrected JSON object and nothing else"
FENCE = re.compile(r"^[ \t]*```[a-zA-Z]*[ \t]*$", re.MULTILINE)
DRIVE = re.compile(r"[A-Za-z]:")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
Path = Annotated[str, Field(min_length=1, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)


class _Footprint(_Strict):
    paths: list[Path] = Field(
        default=[], max_length=200, description="Repository paths or globs that are likely to change, as a/b.py"
    )
    symbols: list[Path] = Field(default=[], max_length=200, description="Symbols, as package.module:name")


class _Task(_Strict):
    id: Name = Field(description="Short and unique: T1, T2…")
    title: str = Field(min_length=3, max_length=120, description="What the pull request does, in one line")
    instruction: str = Field(min_length=10, max_length=20_000, description="What to build and what to leave alone")
    criteria: list[str] = Field(
        min_length=1, max_length=200, description="Ids of the criteria that this task must show"
    )
    depends: list[Name] = Field(default=[], max_length=MOST_TASKS, description="Ids of tasks that must be done before")
    footprint: _Footprint = Field(default=_Footprint(), description="A forecast of what will be touched")


class _Answer(_Strict):
    tasks: list[_Task] = Field(min_length=1, max_length=MOST_TASKS)


def schema() -> dict[str, Any]:
    """The JSON Schema of the answer that `read` takes."""
    return _Answer.model_json_schema()


def read(text: str, spec: Spec, *, source: str) -> Plan:
    """The plan in *text*, made by the role *source*: a JSON object, also in a fenced block or among prose.

    Raises:
        ToolError: If there is none, or it does not hold together: ids that are not unique, criteria that are
            unknown or left out, dependencies that are unknown or circular, paths outside the repository.
            The message lists all that was found, for the model to mend.
    """
    found = _object(text[:LONGEST])
    try:
        answer = _Answer.model_validate(found)
    except ValidationError as error:
        raise _refused([_problem(each) for each in error.errors(include_url=False)]) from error
    if problems := list(_problems(answer, spec)):
        raise _refused(problems)
    try:
        return Plan(tasks=order([_task(each) for each in answer.tasks]), source=source)
    except ToolError as error:
        raise _refused([f"{error.message}; {error.hint}"]) from error


def to_plain(plan: Plan) -> dict[str, Any]:
    """*plan* as plain JSON data; `from_plain` reads it back."""
    plain: dict[str, Any] = _adapter().dump_python(plan, mode="json")
    return plain


def from_plain(plain: dict[str, Any]) -> Plan:
    """Rebuild the plan that `to_plain` wrote."""
    return _adapter().validate_python(plain)


@functools.cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


# From text to an object


def _object(text: str) -> dict[str, Any]:
    """The first JSON object in *text* that holds tasks; blocks in fences are tried before prose."""
    whole = _decoded(text)
    if isinstance(whole, dict):
        return whole
    if isinstance(whole, list):
        return {"tasks": whole}
    for part in (*FENCE.split(text)[1::2], text):
        for found in _objects(part):
            if "tasks" in found:
                return found
    raise ToolError("the answer holds no JSON object with \u201ctasks\u201d", hint=HINT)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    at = 0
    for _ in range(MOST_STARTS):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(found, dict):
            yield found


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# From an object to a plan


def _problems(answer: _Answer, spec: Spec) -> Iterator[str]:
    known = [criterion.id for criterion in spec.criteria]
    ids: set[str] = set()
    for task in answer.tasks:
        if task.id.lower() in ids:
            yield f"the id {task.id!r} is there twice"
        ids.add(task.id.lower())
    named = {task.id for task in answer.tasks}
    for task in answer.tasks:
        unknown = [each for each in task.criteria if each not in known]
        if unknown:
            yield f"task {task.id}: unknown criteria {_few(unknown)}; the spec has {_few(known)}"
        if strange := [each for each in task.depends if each not in named]:
            yield f"task {task.id}: depends on {_few(strange)}, which is no task of this plan"
        yield from (f"task {task.id}: {each}" for path in task.footprint.paths if (each := _outside(path)))
    covered = {each for task in answer.tasks for each in task.criteria}
    if missing := [each for each in known if each not in covered]:
        yield f"no task shows the criteria {_few(missing)}; each criterion needs a task"


def _outside(path: str) -> str:
    """Why *path* is no path inside the repository, "" if it is one."""
    parts = PurePosixPath(path).parts
    if path.startswith(("/", "~")) or DRIVE.match(path) or "\\" in path:
        return f"the path {path!r} is not relative to the repository"
    if ".." in parts:
        return f"the path {path!r} leads out of the repository"
    if ".git" in (part.lower() for part in parts):
        return f"the path {path!r} is git's own"
    if any(unicodedata.category(each)[0] == "C" for each in path):
        return f"the path {path!r} holds characters that cannot be shown"
    return ""


def _task(task: _Task) -> Task:
    return Task(
        id=task.id,
        title=_one_line(task.title),
        instruction=_utf8(task.instruction),
        criteria=tuple(dict.fromkeys(task.criteria)),
        depends=tuple(dict.fromkeys(task.depends)),
        footprint=Footprint(
            paths=tuple(dict.fromkeys(str(PurePosixPath(path)) for path in task.footprint.paths)),
            symbols=tuple(dict.fromkeys(_one_line(each) for each in task.footprint.symbols)),
        ),
    )


def _one_line(text: str) -> str:
    """*text* in one line, without what a terminal would obey."""
    return " ".join("".join(" " if unicodedata.category(each)[0] == "C" else each for each in text).split())


def _utf8(text: str) -> str:
    """*text* without lone surrogates, which JSON can spell and no file can hold."""
    return text.encode("utf-8", "replace").decode()


# What is said of it


def _problem(error: Any) -> str:
    place = ".".join(str(each) for each in error["loc"])
    return f"{place or 'the answer'}: {error['msg']}"


def _refused(problems: list[str]) -> ToolError:
    shown = problems[:MOST_PROBLEMS]
    if more := len(problems) - len(shown):
        shown.append(f"and {more} more")
    lines = "\n".join(f"- {_utf8(each)[:400]}" for each in shown)
    return ToolError(f"the plan cannot be used:\n{lines}", hint=HINT)


def _few(names: list[str]) -> str:
    shown = ", ".join(repr(each)[:60] for each in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
