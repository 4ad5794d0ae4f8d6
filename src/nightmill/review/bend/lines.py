"""What lines of JavaScript, Go and Rust say of tests: comments are none, and an assertion counts where it can fail."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from nightmill.code import is_test
from nightmill.review.bend.signs import Kind, Sign

__all__ = ["Block", "about", "bare", "blocks", "look", "lost", "weight"]

JS, GO, RUST = ("js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts"), ("go",), ("rs",)
ANY = (*JS, *GO, *RUST)
LONGEST = 400
"""Characters of a line that are looked at."""
NEAR = 6
"""Lines between what marks a test and its name."""

COMMENT = re.compile(
    r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL
)
STARTS = {
    "js": re.compile(r"(?:^|[^\w.])[xf]?(?:it|test|specify)\b[^'\"`\n]{0,60}?\(\s*(['\"`])(.{1,120}?)\1"),
    "go": re.compile(r"^func\s+(?P<name>(?:Test|Fuzz|Example)\w*)\s*\("),
    "rs": re.compile(r"\bfn\s+(?P<name>\w+)\s*\("),
}
ASSERTS = re.compile(
    r"\bassert\w*!\s*\(|\b(?:assert|require|should)\.\w+\(|\bexpect\w*\(|\bassert\w*\(|\b\w{1,3}\.(?:Error|Fatal|Fail)\w*\(|\bpanic!?\("
)
LITERAL = r"(?:true|false|null|nil|undefined|-?\d[\w.]*|\"[^\"]*\"|'[^']*'|`[^`]*`)"
IDLE = re.compile(
    rf"expect\(\s*{LITERAL}\s*\)\s*\.|\bexpect\(.*\)\.(?:not\.)?to\w+\s*;?$|\bassert\w*!?\(\s*true\b"
    rf"|\b(?:assert|require)\.\w+\(\s*(?:\w{{1,3}}\s*,\s*)?{LITERAL}\s*(?:,\s*{LITERAL}\s*)?\)|\bassert_\w+!\(\s*{LITERAL}\s*,\s*{LITERAL}\s*\)"
    r"|&testing\.T\{|\bnew\(testing\.T\)|\bdebug_assert\w*!|\bcatch_unwind\b"
)
"""An assertion that cannot fail, or of which nobody hears."""
DEAD = re.compile(
    r"\bif\s*\(?\s*(?:false|0)\b|\bfalse\s*&&|\brecover\(\)|\bcatch_unwind\b|\.catch\(\s*\(\w*\)\s*=>\s*\{\s*\}\s*\)"
)
SWALLOWS = re.compile(r"\bcatch\s*(?:\([^)\n]*\))?\s*\{\s*\}")
LEAVES = re.compile(r"^(?:return\b[^(]*|runtime\.Goexit\(\))\s*;?$")
WEAK = re.compile(
    r"\.to(?:BeDefined|BeTruthy|BeFalsy|BeInstanceOf|HaveBeenCalled)\(|\.not\.to|expect\.any|\bassert_ne!|\bassert!"
    r"|\.(?:NotNil|NotEmpty|NotEqual|NotZero|True|False|NoError)\("
)

SKIPS = {
    "js": re.compile(
        r"\b(?:it|test|describe|context|suite|specify|bench)\b(?:\s*\.\s*\w+)*\s*(?:\.\s*|\[\s*['\"`])(?:skip|only|todo|failing|fails|skipIf|runIf)\b"
        r"|\b(?:x|f)(?:it|describe|test|specify|context)\s*\(|\b(?:this|t|ctx|context)\.(?:skip|todo)\s*\(|\bpending\s*\("
        r"|\b(?:it|test|describe)\b[^\n]{0,200}\{[^{}\n]{0,80}\b(?:skip|todo|only)\s*:\s*(?!false)|\.each\s*\(\s*\[\s*\]\s*\)"
    ),
    "go": re.compile(r"\.SkipNow\b|\.Skipf\b|\b\w{1,3}\.Skip\b|\btesting\.Short\(\)"),
    "rs": re.compile(
        r"#\[\s*ignore\b|#\[\s*cfg_attr\([^\]\n]*\bignore\b|#\[\s*should_panic\b|#!?\[\s*cfg\((?!\s*test\s*\)\s*\])"
    ),
}
TAG = re.compile(r"^//\s*(?:go:build|\+build)\b")
OTHERWISE: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("outcome changed", re.compile(r"\b(?:global|globalThis|window)\.(?:expect|it|test|describe|assert)\s*=(?!=)")),
    ("check left", re.compile(r"\bprocess\.exitCode\s*=|\bruntime\.Goexit\(\)")),
    ("test weakened", re.compile(r"\b(?:jest|vi)\.(?:do)?[mM]ock\(|\bretryTimes\(|\bretry\s*:\s*\d|\bthis\.retries\(")),
)
MAIN = re.compile(r"^func\s+TestMain\s*\(", re.MULTILINE)

RUNNERS = re.compile(r"(?:^|/)(?:jest|vitest|vite|karma)\.config\.\w+$|(?:^|/)\.mocharc\.\w+$")
CHOOSES = re.compile(
    r"[\"']?\b(testMatch|testRegex|test\w*IgnorePatterns|testNamePattern|passWithNoTests|modulePathIgnorePatterns|grep|invert|fgrep"
    r"|dangerouslyIgnoreUnhandledErrors|allowOnly)\b[\"']?\s*:\s*([^\n}]{1,80})"
)
LEFT_OUT = re.compile(r"\b(exclude|include|ignore|spec)\b[\"']?\s*:\s*([^\n}]{1,80})")
BOUND = re.compile(r"[\"']?\b(coverageThreshold|thresholds?|check-coverage|checkCoverage)\b[\"']?\s*:")
CARGO = re.compile(r"^\s*(test|harness|autotests|doctest)\s*=\s*false\b", re.MULTILINE)
TARGET = re.compile(r"^\[\[test\]\]\s*\n(?:[^\[]*?\n)?name\s*=\s*\"([^\"\n]*)\"", re.MULTILINE)
OWN = re.compile(r"^\s*(runner|rustflags|test|t|check|clippy|nextest)\s*=", re.MULTILINE)
MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:pub\s+)?mod\s+(\w+)")


class Block(NamedTuple):
    """A test by its name: the line that it begins on, and the assertions that a failure of it gets out of."""

    name: str
    line: int
    asserts: Counter[str]


def bare(path: str, text: str) -> str:
    """*text* without its comments, line by line as before; of other languages as it is."""
    if not path.endswith(tuple(f".{each}" for each in ANY)):
        return text
    return COMMENT.sub(
        lambda found: re.sub(r"[^\n]", " ", found[0]) if found[0][:2] in {"//", "/*"} else found[0], text
    )


def blocks(path: str, text: str) -> dict[str, Block]:
    """The tests of *text*, which is bare, by name; empty for a language that is not read here."""
    start, lines = STARTS.get(_language(path)), text.splitlines()
    if start is None:
        return {}
    begins = [(at, found) for at, line in enumerate(lines) if (found := start.search(line[:LONGEST]))]
    tests: dict[str, Block] = {}
    for (at, match), (end, _) in zip(begins, [*begins[1:], (len(lines), None)], strict=False):
        if path.endswith(".rs") and not any("test" in line for line in _attributes(lines, at)):
            continue
        name = match["name"] if "name" in match.re.groupindex else match[2]
        tests[name] = Block(name, at + 1, Counter(_live(lines[at:end])))
    return tests


def about(path: str, text: str, line: int) -> str:
    """The test that a mark on *line* is about: the one named there, after a mark of Rust, or around it; "" for none."""
    start, lines = STARTS.get(_language(path)), text.splitlines()
    if start is None:
        return ""
    at = line - 1
    marked = lines[at : at + 1] and lines[at].lstrip().startswith("#")
    if lines[at : at + 1] and lines[at].lstrip().startswith("#!"):
        return ""
    near = range(at, min(at + NEAR, len(lines))) if marked else range(min(at, len(lines) - 1), -1, -1)
    match = next((found for each in near if (found := start.search(lines[each][:LONGEST]))), None)
    return "" if match is None else match["name"] if "name" in match.re.groupindex else match[2]


def weight(asserts: Counter[str]) -> int:
    """How much *asserts* say together: one that holds of many values says half."""
    return sum(count * (1 if WEAK.search(line) else 2) for line, count in asserts.items())


def look(path: str, text: str) -> Iterator[Sign]:
    """What skips tests, or decides how they end, in code; and what chooses among tests, in settings."""
    language = _language(path)
    if language and (is_test(path) or (language == "rs" and "#[test]" in text)):
        yield from _code(path, bare(path, text), text, language)
    yield from _settings(path, text)


def lost(path: str, text: str) -> Iterator[Sign]:
    """What has tests run, or bounds: less of it than before is a finding."""
    if path.endswith(".rs"):
        for found in MODULE.finditer(bare(path, text)):
            yield Sign("test skipped", f"the module {found[1]!r} is no longer built for tests", 0)
    if path.rpartition("/")[2] == "Cargo.toml":
        yield from (Sign("check disabled", f"the test target {each[1]!r} is gone", 0) for each in TARGET.finditer(text))
    if RUNNERS.search(path) or path.rpartition("/")[2] == "package.json":
        yield from (Sign("threshold lowered", f"{each[1]} is gone", 0) for each in BOUND.finditer(text))


def _code(path: str, text: str, raw: str, language: str) -> Iterator[Sign]:
    for found in SKIPS[language].finditer(text):
        at = text.count("\n", 0, found.start()) + 1
        yield Sign("test skipped", f"{' '.join(found[0].split())[:120]} {about(path, text, at)}".strip(), at)
    for at, line in enumerate(raw.splitlines(), start=1):
        if language == "go" and TAG.match(line):
            yield Sign("test skipped", line[:120], at)
    for kind, pattern in OTHERWISE:
        for found in pattern.finditer(text):
            yield Sign(kind, " ".join(found[0].split()), text.count("\n", 0, found.start()) + 1)
    if language == "go" and (main := MAIN.search(text)) and ".Run()" not in text[main.start() :]:
        yield Sign("outcome changed", "TestMain runs no test", text.count("\n", 0, main.start()) + 1)


def _settings(path: str, text: str) -> Iterator[Sign]:
    name = path.rpartition("/")[2]
    if RUNNERS.search(path) or name == "package.json":
        patterns = (CHOOSES, LEFT_OUT) if name != "package.json" else (CHOOSES,)
        for found in (each for pattern in patterns for each in pattern.finditer(text)):
            what = f"{found[1]} is {' '.join(found[2].split())}"
            yield Sign("check disabled", what, text.count("\n", 0, found.start()) + 1)
    elif name == "Cargo.toml":
        yield from (Sign("check disabled", f"{each[1]} is off in Cargo.toml", 0) for each in CARGO.finditer(text))
    elif re.search(r"(?:^|/)\.cargo/config(?:\.toml)?$", path):
        yield from (Sign("check disabled", f"cargo's {each[1]} is another", 0) for each in OWN.finditer(text))


def _live(lines: list[str]) -> Iterator[str]:
    whole = "\n".join(lines)
    if SWALLOWS.search(whole) or DEAD.search(whole):
        return
    body = next((line for line in lines[1:] if line.strip()), "")
    indent = len(body) - len(body.lstrip())
    for line in lines:
        plain = line.strip()[:LONGEST]
        if LEAVES.match(plain) and len(line) - len(line.lstrip()) == indent:
            return
        if ASSERTS.search(plain) and not IDLE.search(plain):
            yield plain


def _attributes(lines: list[str], at: int) -> list[str]:
    found = list[str]()
    for line in reversed(lines[max(0, at - NEAR) : at + 1]):
        if found and not line.strip().startswith("#["):
            break
        found.append(line.partition("fn ")[0] if not found else line)
    return [line for line in found if "#[" in line]


def _language(path: str) -> str:
    ending = path.rpartition(".")[2]
    return "js" if ending in JS else ending if ending in {"go", "rs"} else ""
