"""Signs in the lines of any file: complaints that are silenced, tests of other languages that are skipped, what looks for tests."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from posixpath import basename

from nightmill.code import is_test
from nightmill.review.bend.signs import Sign

__all__ = ["look"]

LONGEST = 2_000
"""Characters of a line that are looked at."""

CODE = re.compile(
    r"\.(?:py|pyi|js|jsx|mjs|cjs|ts|tsx|mts|vue|svelte|go|rs|java|kt|cs|rb|c|h|cc|cpp|hpp|swift|scala|php)$"
)
WHOLE = re.compile(
    r"#\s*(?:ruff|flake8):\s*noqa\b[^#]{0,60}|^\s*#\s*mypy:\s*[\w-]+[^#]{0,60}|^\s*#\s*pyright:\s*(?:basic|strict\s*=\s*false)\b"
    r"|#\s*pylint:\s*skip-file|^\s*/\*\s*eslint-disable(?!-)[^*]{0,100}\*/|@ts-nocheck|^\s*#!\[allow\([^)]{0,100}\)\]"
    r"|^\s*/\*\s*istanbul ignore file|//go:build ignore"
)
"""Silences a whole file."""
SILENCED = re.compile(
    r"#\s*noqa\b(?::\s*[\w, ]{1,60})?|#\s*type:\s*ignore(?:\[[\w, -]{1,80}\])?|#\s*pragma:\s*no\s*(?:cover|branch)|#\s*nosec\b"
    r"|#\s*pylint:\s*disable[^#]{0,60}|#\s*pyright:\s*ignore|#\s*ty:\s*ignore|eslint-disable-(?:next-)?line[^*\n]{0,80}"
    r"|@ts-(?:ignore|expect-error)|//\s*nolint\b\S{0,60}|#\[allow\([^)]{0,100}\)\]|(?:istanbul|c8|v8) ignore next|@SuppressWarnings"
    r"|#pragma warning disable|//\s*biome-ignore|rubocop:disable|NOLINT\b"
)
SKIPPED = re.compile(r"@(?:Disabled|Ignore)\b|\bSkip\s*=\s*\"")
"""Of Java and C#; what skips tests of JavaScript, Go and Rust is read by `lines`."""
DETECTED = re.compile(
    r"process\.env\.(?:JEST_WORKER_ID|VITEST\w*|NODE_TEST_CONTEXT|MOCHA\w*)|\btesting\.Testing\(\)|flag\.Lookup\(\"test\."
    r"|\bRUST_TEST\w*|HasSuffix\(os\.Args\[0\], \"\.test\"\)"
)
LEFT = re.compile(
    r"\bprocess\.(?:exit|reallyExit)\(\s*0?\s*\)|\bos\.Exit\(0\)|\bprocess::exit\(0\)|\bSystem\.exit\(0\)|\bexit!\(?0?"
)


def look(path: str, text: str) -> Iterator[Sign]:
    """The signs in the lines of *path*; Python's own tests are read by their syntax elsewhere."""
    if not CODE.search(path) or len(text) > 1 << 22:
        return
    python, tested = path.endswith((".py", ".pyi")), is_test(path)
    for at, raw in enumerate(text.splitlines(), start=1):
        line = unicodedata.normalize("NFKC", raw[:LONGEST])
        if found := WHOLE.search(line):
            yield Sign("rules loosened", f"a whole file is left out: {_plain(found[0])}", at)
        else:
            yield from (Sign("suppressed", _plain(each[0]), at) for each in SILENCED.finditer(line))
        if python:
            continue
        if tested and (found := SKIPPED.search(line)):
            yield Sign("test skipped", _plain(line)[:160], at)
        if found := DETECTED.search(line):
            yield Sign("test detected", _plain(found[0]), at)
        if tested and (found := LEFT.search(line)) and not basename(path).startswith("main"):
            yield Sign("check left", _plain(found[0]), at)


def _plain(text: str) -> str:
    return " ".join(text.split())
