"""Functions that `python` steps may name: values in, values out, nothing else. What can be code is no agent's work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightmill.blueprint.shapes import FLAG, TEXT, Shape, Signature, closed, listing
from nightmill.blueprint.values import amiss
from nightmill.review import listed

__all__ = ["FUNCTIONS", "SIGNATURES", "Read", "call"]

Record = dict[str, Any]
Read = Callable[[str], bytes]
"""The bytes of a blob, which never change."""


def settle(
    findings: list[Record],
    withdrawn: list[Record],
    answers: list[Record],
    before: Record,
    results: list[Record],
    *,
    read: Read,
) -> dict[str, Any]:
    """What is open and what is settled of what was found, by the ids of findings.

    *findings* are those that stand for whoever found them, *withdrawn* those that they gave up, with `state` and `by`.
    *before* is what this gave the last time, *answers* are to those that were open then, and *results* are those of the
    checks on the tree as it is now. A finding that its finder holds is open. Another is settled if it was
    disputed with a reason, or if the test that it names passes on this tree: the word that it was fixed is nothing.
    What stays open has in `why` what its last answer lacks.
    """
    seen = listed.read(results, read)
    said, gave_up = _by_id(answers), _by_id(withdrawn)
    now, known, over = _by_id(findings), _by_id(before.get("open") or []), _by_id(before.get("settled") or [])
    open_: list[Record] = []
    closed: dict[str, Record] = {}
    for name, finding in {**over, **known, **now}.items():
        test = str(finding.get("test") or "")
        amiss = seen.amiss(test) if test else "it names no test"
        answer = said.get(name, {}) if name in known else {}
        if name in now:
            why = _lacking(answer, amiss) if name in known else ""
            open_.append({**_plain(finding), **({"why": why} if why else {})})
        elif name in over and finding.get("state") == "disputed":
            closed[name] = finding
        elif name not in over and (reason := _disputed(answer, gave_up.get(name, {}))):
            closed[name] = {**_plain(finding), "state": "disputed", "by": reason}
        elif amiss:
            open_.append({**_plain(finding), "why": f"nothing shows that it is mended: {amiss}"})
        else:
            closed[name] = {**_plain(finding), "state": "fixed", "by": test}
    return {"open": open_, "settled": list(closed.values())}


def objections(verdicts: list[Record], *, read: Read) -> dict[str, Any]:
    """What those have against the change who do not agree, each as a finding, by their *verdicts* on it.

    A no that names nothing that blocks is one, too: what its role said against the change stands in it.
    """
    del read  # all functions are called with it
    found: list[Record] = []
    for each in verdicts:
        if each.get("approved"):
            continue
        role = str(each.get("role"))
        no = {"id": f"{role[:16]}-no", "title": f"The {role} does not agree", "detail": _words(each, "case_against")}
        found += [_placed(finding) for finding in each.get("blocking") or [no]]
    return {"open": found}


def _placed(finding: Record) -> Record:
    """*finding* of a review, with its place in its words."""
    place = ":".join(str(finding[name]) for name in ("path", "line") if finding.get(name))
    plain = {key: value for key, value in finding.items() if key not in {"path", "line"}}
    return {**plain, "detail": f"{place}: {_words(finding, 'detail')}"} if place else plain


def _lacking(answer: Record, amiss: str) -> str:
    """Why *answer* does not settle a finding that is held up against it."""
    if answer.get("state") == "disputed":
        return "the dispute is not accepted" if _words(answer, "reason") else "it was disputed without a reason"
    if answer.get("state") != "fixed":
        return "it was not answered"
    return f"it was said to be fixed: {amiss}" if amiss else "its test passes, and it is held up all the same"


def _disputed(answer: Record, gave_up: Record) -> str:
    """The reason for which a finding was disputed, "" if it was not, or for none."""
    said = _words(answer, "reason") if answer.get("state") == "disputed" else ""
    accepted = _words(gave_up, "by") if gave_up.get("state") == "disputed" else ""
    return accepted or said


def _words(record: Record, name: str) -> str:
    return str(record.get(name) or "").strip()


def _plain(finding: Record) -> Record:
    """*finding* as it was found."""
    return {key: value for key, value in finding.items() if key not in {"why", "state", "by"}}


def _by_id(records: list[Record]) -> dict[str, Record]:
    return {str(each.get("id")): each for each in records}


def _told(*needed: str, **more: Shape) -> Shape:
    """Something that a role says about a finding, by its id; it may say more."""
    return {"type": "object", "properties": {"id": TEXT, **more}, "required": ["id", *needed]}


FUNCTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "findings.settle": settle,
    "findings.objections": objections,
}
SIGNATURES: Mapping[str, Signature] = {
    "findings.settle": Signature(
        inputs={
            "findings": listing(_told(title=TEXT, test=TEXT)),
            "withdrawn": listing(_told(state=TEXT, by=TEXT)),
            "answers": listing(_told(state=TEXT, reason=TEXT)),
            "before": {
                "type": "object",
                "properties": {"open": listing(_told()), "settled": listing(_told("state"))},
            },
            "results": listing({"type": "object", "properties": {"passed": FLAG, "tests": TEXT}}),
        },
        needs=("findings", "results"),
        gives={
            **closed(open=listing(_told(why=TEXT)), settled=listing(_told("state", "by", by=TEXT, state=TEXT))),
            "required": ["open", "settled"],
        },
    ),
    "findings.objections": Signature(
        inputs={
            "verdicts": listing(
                {
                    "type": "object",
                    "properties": {"role": TEXT, "approved": FLAG, "case_against": TEXT, "blocking": listing(_told())},
                    "required": ["role", "approved"],
                }
            )
        },
        needs=("verdicts",),
        gives={**closed(open=listing(_told(title=TEXT))), "required": ["open"]},
    ),
}
"""What each takes, by the names of its parameters, and what it gives: looked at when a blueprint is loaded, and when it runs."""


def call(name: str, values: Mapping[str, Any], *, read: Read) -> dict[str, Any]:
    """What the function *name* gives for *values*; an absent one is empty.

    Raises:
        LookupError: If there is no such function.
        ValueError: If a value is not what it takes, or what it gives is not what it says.
    """
    function, signature = FUNCTIONS[name], SIGNATURES[name]
    empty: dict[str, Any] = {key: {} if shape["type"] == "object" else [] for key, shape in signature.inputs.items()}
    given = {key: nothing if values.get(key) is None else values[key] for key, nothing in empty.items()}
    for key, shape in signature.inputs.items():
        if why := amiss(given[key], shape):
            raise ValueError(f"the input {key!r} is not what it takes: {why}")
    found = function(**given, read=read)
    if why := amiss(found, signature.gives):
        raise ValueError(f"what it gave is not what it says that it gives: {why}")
    return found
