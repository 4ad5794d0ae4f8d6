"""A blueprint that is written reads as the same one."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from nightmill.blueprint import parse
from nightmill.blueprint.shelves import shipped
from nightmill.blueprint.writing import write

FILES = {name: body for name, body in shipped().files.items() if not name.endswith(".test.yaml")}
OWN = b"""name: own
version: 3
inputs:
  kind: {type: choice, choices: ["yes", "no"], default: "no"}
  many: {type: list, optional: true, doc: "- a: {b}"}
steps:
  - {id: a, run: "echo '\\ttab: #' \\n  \\n# end \\n", env: {A: "inputs.kind ~ ': '"}, seconds: 1.5, keep: false, may_fail: true}
  - {id: b, check: [one, two], when: "steps.a.exit == 0"}
  - {id: c, map: inputs.many, each: one, steps: [{id: d, agent: developer, goal: "{{ one }}\\n\\nx", tools: [run_command],
     budget: {turns: 3, money: 0.5}, output: {type: object, properties: {n: {type: number}}, required: [n]}}], gives: steps.d.output}
  - {id: e, stop: "0123", wait: true, when: "false or steps.a.ok"}
outputs: {o: "steps.c.results"}
"""


def same(value: Any) -> Any:
    """*value* without where it stood."""
    if is_dataclass(value):
        kept = [each.name for each in fields(value) if each.name not in {"line", "source", "digest"}]
        return type(value).__name__, {name: same(getattr(value, name)) for name in kept}
    return [same(each) for each in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize(("name", "body"), [*FILES.items(), ("own.yaml", OWN)], ids=[*FILES, "own"])
def test_a_blueprint_that_is_written_reads_as_the_same_one(name: str, body: bytes) -> None:
    read = parse(body, source=name)

    written = write(read, head="Two lines\nof talk")

    assert written.startswith(b"# Two lines\n# of talk\nname: ")
    assert same(parse(written, source=name)) == same(read)
