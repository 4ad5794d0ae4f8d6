"""How 200 asks fare whose author had seen nothing of nightmill's code, with no model: `python -m bench.asks.blind`.

Each line of blind.tsv is what its author expected and the ask. Expected is a blueprint; several with | between, any of which
is right; one with ? behind it, where something that it needs is not said and a question has to come back; or "refuse".
A fixed hash of the ask says which half it is in: one was looked at afterwards to mend what failed, of the other only the sums.

    python -m bench.asks.blind                 the sums, into bench/blind.json and docs/benchmarks.md
    python -m bench.asks.blind --as first      keep them under that name beside those that are there
    python -m bench.asks.blind --wrong         those of the half that was looked at that go another way
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.asks.__main__ import PATHS, shipped_gateway, wilson
from bench.page import put
from nightmill.intake import Answer, Gateway, Surroundings

HERE = Path(__file__).parent
RESULTS = HERE.parent / "blind.json"
BEGIN, END = "<!-- bench: made by `python -m bench.asks.blind` -->", "<!-- /bench-blind -->"
PACKAGES = """requests django numpy pandas scipy flask fastapi pydantic sqlalchemy alembic celery redis boto3 pytest ruff mypy
black pillow cryptography urllib3 httpx aiohttp jinja2 click typer uvicorn gunicorn psycopg2 psycopg starlette openai attrs
pyyaml certifi setuptools tensorflow torch scikit-learn matplotlib protobuf grpcio lxml werkzeug react react-dom vue angular
svelte next lodash express axios typescript webpack vite eslint prettier jest babel moment @types/node tailwindcss node-fetch
jquery rxjs zod prisma tokio serde clap reqwest hyper anyhow rand regex log openssl rails rack nokogiri puma sidekiq rspec
github.com/spf13/cobra github.com/gin-gonic/gin golang.org/x/crypto log4j spring-boot jackson guava hibernate junit"""
"""What the lock files of the checkout name: what is often used, written down before any of the asks was read."""

AT_ONCE, AMONG, TOO_MUCH = "right blueprint", "left to choose, the right one among them", "right, but asks for more"
QUESTION, OTHER = "right question", "another question"
REFUSAL, NEITHER = "right refusal", "neither refused nor started"
WRONG, LOST, NOT_FOUND = "wrong start", "refused what could be done", "another question back"


class Blind(NamedTuple):
    """An ask and what its author expected."""

    expected: str
    words: str

    @property
    def second(self) -> bool:
        """Whether it is in the half that nobody looked at."""
        return hashlib.sha256(self.words.encode()).digest()[0] % 2 == 1

    @property
    def kind(self) -> str:
        """What ought to come of it: "refuse", "question" or "run"."""
        return "refuse" if self.expected == "refuse" else "question" if self.expected.endswith("?") else "run"


def main() -> None:
    parser = argparse.ArgumentParser(description="Asks whose author had not seen the code.")
    parser.add_argument("--as", dest="name", default="now")
    parser.add_argument("--wrong", action="store_true")
    options = parser.parse_args()
    gateway, asks = checkout(), blind()
    got = [(each, gateway.answer(each.words)) for each in asks]
    if options.wrong:
        looked_at = [each for each in got if not each[0].second]
        print_wrong(looked_at)
        print("\n".join(f"{row:40} {hits} of {of}" for row, (hits, of) in counted(looked_at).items()))
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[options.name] = {
        "all": counted(got),
        "first half": counted([each for each in got if not each[0].second]),
        "second half": counted([each for each in got if each[0].second]),
    }
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    lines = table(kept)
    put(lines, begin=BEGIN, end=END)
    print("\n".join(lines))


def checkout() -> Gateway:
    """The shipped blueprints around a checkout that uses `PACKAGES`."""
    around = Surroundings(paths=frozenset(PATHS), packages={each.casefold(): each for each in PACKAGES.split()})
    return Gateway(shipped_gateway().offers, around)


def blind() -> list[Blind]:
    """The set, in the order of its file."""
    lines = (HERE / "blind.tsv").read_text(encoding="utf-8").splitlines()
    return [Blind(*line.split("\t", 1)) for line in lines if line]


def verdict(ask: Blind, answer: Answer) -> str:
    """What becomes of *ask*, against what was expected."""
    if answer.kind == "run" and (ask.kind != "run" or answer.blueprint not in ask.expected.split("|")):
        return WRONG
    if answer.kind == "refused":
        return REFUSAL if ask.kind == "refuse" else LOST
    if ask.kind == "refuse":
        return NEITHER
    if ask.kind == "question":
        right = answer.kind == "questions" and answer.blueprint == ask.expected.rstrip("?")
        return QUESTION if right else OTHER
    return _of_run(set(ask.expected.split("|")), answer)


def _of_run(names: set[str], answer: Answer) -> str:
    if answer.kind == "which":
        return AMONG if names & {each.name for each in answer.near} else NOT_FOUND
    if answer.blueprint in names:
        return AT_ONCE if answer.kind == "run" else TOO_MUCH
    return NOT_FOUND


def counted(got: Sequence[tuple[Blind, Answer]]) -> dict[str, list[int]]:
    """Counts as [hits, of]."""
    of = Counter(ask.kind for ask, _ in got)
    hits = Counter(verdict(ask, answer) for ask, answer in got)
    started = sum(answer.kind == "run" for _, answer in got)
    return {
        "right blueprint at once": [hits[AT_ONCE], of["run"]],
        "… or among the few that are left": [hits[AT_ONCE] + hits[AMONG], of["run"]],
        "… or right, but asks for more": [hits[AT_ONCE] + hits[AMONG] + hits[TOO_MUCH], of["run"]],
        "right question": [hits[QUESTION], of["question"]],
        "… or another question": [hits[QUESTION] + hits[OTHER], of["question"]],
        "right refusal": [hits[REFUSAL], of["refuse"]],
        "… or at least not started": [hits[REFUSAL] + hits[NEITHER], of["refuse"]],
        "refused what could be done": [hits[LOST], of["run"] + of["question"]],
        "wrong start, of what is started": [hits[WRONG], started],
    }


def table(kept: dict[str, dict[str, dict[str, list[int]]]]) -> list[str]:
    columns = [(name, half) for name, halves in kept.items() for half in halves]
    lines = [
        "| no model | " + " | ".join(f"{name}, {half}" for name, half in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in counted(()):
        cells = [_cell(kept[name][half][row]) for name, half in columns]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def _cell(counts: list[int]) -> str:
    hits, of = counts
    low, high = wilson(hits, of)
    return f"{hits} of {of} ({low:.0%} – {high:.0%})" if of else "none"


def print_wrong(got: Iterable[tuple[Blind, Answer]]) -> None:
    for ask, answer in got:
        said = verdict(ask, answer)
        if said not in {AT_ONCE, QUESTION, REFUSAL}:
            near = ", ".join(f"{each.name} {each.score:.2f} {list(each.words)}" for each in answer.near)
            print(f"{ask.expected:20} {said} · {answer.kind} {answer.blueprint}\n    {ask.words!r}")
            print(f"    {answer.reason}; {near}")


if __name__ == "__main__":
    main()
