"""The tasks that a spec gives itself: check boxes of spec-kit, OpenSpec, Kiro or plain Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nightmill.spec import words
from nightmill.spec.nouns import SpecTask
from nightmill.spec.outline import LABEL_LEVEL, Block, Outline

__all__ = ["read_tasks"]

NUMBER = re.compile(
    r"[*_]{0,2}(?:(T\d{1,5}|\d{1,3}(?:\.\d{1,3}){1,3})(?:[.:)]|[*_]{1,2}:?)?|(\d{1,3})[.:)][*_]{0,2})[ \t]+"
)
LABEL = re.compile(r"\[([A-Za-z0-9 _-]{1,20})\][ \t]*")
DEPENDS = re.compile(
    r"(?<![A-Za-z])depend(?:s|ing)?(?: on)?:?[ \t]*([^()\n.;]{1,200}(?:\.\d[^()\n.;]{0,80}){0,20})", re.IGNORECASE
)
REQUIREMENTS = re.compile(r"(?<![A-Za-z])requirements?:[ \t]*([^\n_]{1,300})", re.IGNORECASE)
TASK_ID = re.compile(r"(?<![\w.])(?:T\d{1,5}|\d{1,3}(?:\.\d{1,3}){0,3})(?![A-Za-z0-9])")
PATH = re.compile(
    r"(?<![\w./~:@-])(?:\./)?(?:[\w.@-]{1,80}/){1,20}[\w.@*-]{0,80}|(?<![\w./~:@-])[\w-]{1,80}\.[a-z]{1,5}(?![\w.])"
)
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")
CODE = re.compile(r"`([^`\n]{1,200})`")


@dataclass(slots=True)
class _Task:
    """A task that still takes in the lines below it."""

    block: Block
    group: str
    details: list[str] = field(default_factory=list)
    parent: bool = False


def read_tasks(outline: Outline, kinds: list[str], *, name: str, whole: bool) -> list[SpecTask]:
    """The tasks in *outline*; of a file that holds more than tasks (not *whole*), only in its task sections.

    Tasks that the author marks as optional ("- [ ]*") are left out, and so are those that only group others.
    """
    drafts: list[_Task] = []
    for index, section in enumerate(outline.sections):
        if whole or kinds[index] == "tasks":
            inner = section.level == LABEL_LEVEL and section.above
            heading = outline.sections[section.above[-1]].title if inner else section.title
            drafts.extend(_of_section(section.blocks, heading if whole else ""))
    chosen = [task for task in drafts if not task.parent and not task.block.optional]
    return [_finish(task, number, name) for number, task in enumerate(chosen, start=1)]


def _of_section(blocks: tuple[Block, ...], heading: str) -> list[_Task]:
    found: list[_Task] = []
    above: list[_Task] = []
    for block in blocks:
        if block.kind != "item":
            continue
        while above and above[-1].block.depth >= block.depth:
            above.pop()
        if block.checked is None:
            if above:
                above[-1].details.append(block.text)
            continue
        if above:
            above[-1].parent = True
        task = _Task(block=block, group=above[0].block.text if above else heading)
        found.append(task)
        above.append(task)
    return found


def _finish(task: _Task, number: int, name: str) -> SpecTask:
    lines = words.unwrapped(task.block.text)
    found = NUMBER.match(lines)
    at = found.end() if found else 0
    labels: list[str] = []
    while label := LABEL.match(lines, at):
        labels.append(label[1])
        at = label.end()
    rest = lines[at:]
    whole = "\n".join([rest, *(f"- {words.unwrapped(each)}" for each in task.details)])
    parallel = "P" in labels or rest.startswith("(P)")
    return SpecTask(
        id=(found[1] or found[2]) if found else f"T{number}",
        text=words.plain(whole.removeprefix("(P)").strip()),
        line=task.block.line,
        done=bool(task.block.checked),
        parallel=parallel,
        requirements=_named(whole, labels),
        depends=_depends(whole),
        paths=_paths(whole),
        group=words.plain(" ".join(task.group.split())),
        file=name,
    )


def _named(text: str, labels: list[str]) -> tuple[str, ...]:
    """Ids of requirements, stories and criteria that the task names."""
    listed = REQUIREMENTS.search(text)
    numbers = TASK_ID.findall(listed[1]) if listed else []
    stories = [label for label in labels if re.fullmatch(r"US\d{1,3}", label)]
    return tuple(dict.fromkeys([*stories, *words.ids(text), *numbers]))


def _depends(text: str) -> tuple[str, ...] | None:
    found = DEPENDS.search(text)
    if not found:
        return None
    named = tuple(dict.fromkeys(TASK_ID.findall(found[1])))
    return named if named or re.search(r"\b(?:nothing|none)\b", found[1], re.IGNORECASE) else None


def _paths(text: str) -> tuple[str, ...]:
    """Repository paths that *text* names: in code, or with a suffix, so that "read/write" is none."""
    coded = {path for span in CODE.findall(text) for path in PATH.findall(span)}
    found = (path for path in PATH.findall(text) if path in coded or SUFFIX.search(path) or path.count("/") > 1)
    clean = (path.removeprefix("./").rstrip(".") for path in found)
    return tuple(dict.fromkeys(path for path in clean if path and ".." not in path.split("/")))
