"""What is left of an ask that no approved blueprint does: a file with which somebody can make one."""

from __future__ import annotations

import json
import re

from nightmill.intake.nouns import Answer

__all__ = ["draft", "name_of"]

MOST_WORDS = 4


def name_of(answer: Answer) -> str:
    """A name for a blueprint that would do it, from the words of the ask."""
    words = re.findall(r"[a-z][a-z0-9]*", answer.title.casefold())[:MOST_WORDS]
    return "-".join(words)[:40].strip("-") or "unnamed"


def draft(answer: Answer, *, by: str) -> str:
    """A blueprint that can be read and only stops, with what is known of it and what its author has to decide."""
    near = [
        f"#   {each.name}: heard {', '.join(each.words) or 'nothing'}; it is asked for by {json.dumps(each.cue, ensure_ascii=False)}"
        for each in answer.near
    ] or ["#   none"]
    return "\n".join(
        [
            "# A request for a blueprint: nobody has decided yet how this is done, who may, and what shows that it is right.",
            f"# Asked for by {json.dumps(by, ensure_ascii=False)}.",
            f"# Why no approved one does it: {json.dumps(answer.reason, ensure_ascii=False)}",
            "# The nearest, what they had in common with the ask, and how they are asked for:",
            *near,
            "#",
            "# To complete: 1. what has to be known first goes to `inputs`; 2. what a script can do is a `run` step, what has to",
            "# be judged an `agent` or `review` step; 3. what must hold at the end a `check`; 4. what a person has to allow an",
            "# `approve` step before it. Then: nightmill blueprint check FILE; have it approved: nightmill blueprint approve NAME.",
            f"name: {name_of(answer)}",
            "version: 1",
            f"title: {json.dumps(answer.title, ensure_ascii=False)}",
            "description: Nobody has written yet what it gives and what it changes.",
            f"cues: [{json.dumps(answer.title, ensure_ascii=False)}]",
            "inputs: {}",
            "steps:",
            "  - id: unwritten",
            "    stop: Nobody has written how this is done.",
            "outputs: {}",
            "",
        ]
    )
