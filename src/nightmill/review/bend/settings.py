"""Signs in the settings of tools: rules that are left out, tests that are not collected, strictness that is gone."""

from __future__ import annotations

import configparser
import hashlib
import json
import shlex
import tomllib
from collections.abc import Iterator
from posixpath import basename, dirname
from typing import Any

from nightmill.review.bend.signs import Kind, Sign

__all__ = ["NEW", "loose", "strict"]

NEW = {
    "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "ruff.toml", ".ruff.toml", "mypy.ini", ".mypy.ini", ".coveragerc",
    ".flake8", ".pylintrc", "pyrightconfig.json", ".eslintrc", ".eslintrc.json", ".eslintrc.js", ".eslintrc.cjs", ".eslintignore",
    "eslint.config.js", "eslint.config.mjs", "jest.config.js", "jest.config.cjs", "jest.config.mjs", "jest.config.ts", "jest.config.json",
    "vitest.config.js", "vitest.config.mjs", "vitest.config.ts", "vitest.config.mts", ".mocharc.json", ".mocharc.js", ".mocharc.cjs",
    ".mocharc.yml", ".mocharc.yaml", "clippy.toml", ".clippy.toml", ".golangci.yml", ".golangci.yaml",
}  # fmt: skip
"""Files that, where they turn up, take the place of other settings of their tool."""

LEAVES_OUT = frozenset(
    "-k -m -x -h -V -o -c --ignore --ignore-glob --deselect --collect-only --collectonly --co --no-cov --maxfail --exitfirst"
    " --lf --last-failed --sw --stepwise --stepwise-skip --setup-only --setup-plan --fixtures --fixtures-per-test --markers"
    " --version --help --override-ini --config-file --rootdir --confcutdir --noconftest --pyargs".split()
)
"""Options of pytest by which tests are not run, or other settings than the project's are read."""
COLLECTED = (
    "testpaths",
    "python_files",
    "python_classes",
    "python_functions",
    "norecursedirs",
    "collect_imported_tests",
)
STRICT = (
    "strict",
    "disallow",
    "warn_",
    "check_untyped",
    "no_implicit",
    "extra_checks",
    "local_partial",
    "enable_error_code",
)
LAX = (
    "ignore_errors",
    "ignore_missing_imports",
    "disable_error_code",
    "exclude",
    "follow_imports",
    "allow_",
    "implicit_",
)
RULES = (
    "ignore",
    "extend-ignore",
    "extend_ignore",
    "exclude",
    "extend-exclude",
    "per-file-ignores",
    "extend-per-file-ignores",
)
CHOSEN = ("select", "extend-select", "extend_select", "enable")
UNCOVERED = ("omit", "exclude_lines", "exclude_also", "partial_branches", "include")
QUOTED = 80


def loose(path: str, text: str) -> Iterator[Sign]:
    """What loosens: more of it than before is a finding."""
    name = basename(path)
    if name in NEW:
        yield Sign("check disabled", f"{name} takes the place of the settings above {dirname(path) or 'it'}", 0)
    tables = _tables(path, text)
    if tables is None:
        if text.strip() and name.endswith((".toml", ".ini", ".cfg", ".coveragerc")):
            yield Sign("setup edited", f"{name} cannot be read", 0)
        return
    for table, values in tables.items():
        for key, value in values.items():
            for kind, what in _loosens(table, key, value):
                yield Sign(kind, what, _line(text, key))


def strict(path: str, text: str) -> Iterator[Sign]:
    """What keeps tools strict: less of it than before is a finding."""
    for table, values in (_tables(path, text) or {}).items():
        for key, value in values.items():
            for what in _strict(table, key, value):
                yield Sign("rules loosened", what, _line(text, key))


def _loosens(table: str, key: str, value: Any) -> Iterator[tuple[Kind, str]]:
    tool = table.partition(".")[0]
    if tool == "pytest":
        yield from _of_pytest(key, value)
    elif tool in {"ruff", "flake8"} and key in RULES:
        yield from (("rules loosened", f"{tool} {key}: {each}") for each in _items(value))
    elif tool == "ruff" and table.endswith("per-file-ignores"):
        yield from (("rules loosened", f"ruff leaves {each} out in {key}") for each in _items(value))
    elif tool == "mypy" and key.startswith(LAX) and value not in (False, "false", "False"):
        yield "rules loosened", f"mypy {_about(table)}{key} is {_short(value)}"
    elif tool == "coverage" and key in UNCOVERED:
        yield from (("rules loosened", f"coverage {key}: {each[:QUOTED]}") for each in _items(value))
    elif table == "entry-points.pytest11":
        yield "startup code", f"pytest loads the plugin {_short(value)}"
    elif tool == "eslint" and value in ("off", 0):
        yield "rules loosened", f"ESLint's {key} is off"


def _of_pytest(key: str, value: Any) -> Iterator[tuple[Kind, str]]:
    if key == "addopts":
        yield from (("check disabled", f"pytest is run with {option}") for option in _left_out(value))
    elif key in COLLECTED:
        yield "check disabled", f"pytest's {key} is {_short(' '.join(_items(value)))}"
    elif key in {"env", "plugins", "required_plugins", "usefixtures", "pythonpath"}:
        yield "setup edited", f"pytest's {key} is {_short(value)}"
    elif key == "filterwarnings":
        yield from (
            ("suppressed", f"pytest ignores {each[:QUOTED]}") for each in _items(value) if each.startswith("ignore")
        )


def _strict(table: str, key: str, value: Any) -> Iterator[str]:
    tool = table.partition(".")[0]
    on = value is True or str(value).lower() == "true"
    if tool == "mypy" and key.startswith(STRICT) and (on or key == "enable_error_code"):
        yield f"mypy {_about(table)}{key} is no longer on"
    elif tool == "ruff" and key in CHOSEN:
        yield from (f"ruff no longer selects {each}" for each in _items(value))
    elif tool == "pytest" and key in {"xfail_strict", "strict", "strict_markers", "strict_config"} and on:
        yield f"pytest's {key} is no longer on"
    elif tool == "pytest" and key == "addopts":
        yield from (f"pytest is no longer run with {each}" for each in _words(value) if each.startswith("--strict"))
    elif tool == "pytest" and key == "filterwarnings":
        yield from (
            f"pytest no longer fails on warnings ({each})" for each in _items(value) if each.startswith("error")
        )
    elif tool == "tsconfig" and on and key.startswith(("strict", "no")):
        yield f"TypeScript's {key} is no longer on"


def _left_out(value: Any) -> Iterator[str]:
    words = _words(value)
    for at, word in enumerate(words):
        name = word.partition("=")[0]
        if name in LEAVES_OUT or word.startswith(("-k", "-m")):
            yield f"{word} {words[at + 1]}" if name == word and name[:2] != "--" and at + 1 < len(words) else word
        elif name == "-p" and at + 1 < len(words):
            yield f"-p {words[at + 1]}"


def _tables(path: str, text: str) -> dict[str, dict[str, Any]] | None:
    """Settings by tool and table: "pytest", "ruff.lint", "mypy.overrides.0"; None for a file that holds none, or cannot be read."""
    name = basename(path)
    try:
        if name.endswith(".toml"):
            return _flat(_toml(name, tomllib.loads(text)))
        if name in {"tsconfig.json", ".eslintrc.json", ".eslintrc"}:
            plain = json.loads(text)
            inner = (
                plain.get("compilerOptions" if name == "tsconfig.json" else "rules")
                if isinstance(plain, dict)
                else None
            )
            return {name.partition(".")[0] or "eslint": inner} if isinstance(inner, dict) else {}
        if name.endswith((".ini", ".cfg", ".coveragerc", ".flake8")):
            return _ini(name, text)
    except (ValueError, RecursionError, configparser.Error):
        return None
    return {}


def _toml(name: str, plain: dict[str, Any]) -> dict[str, Any]:
    if name in {"ruff.toml", ".ruff.toml"}:
        return {"ruff": plain}
    if name in {"pytest.toml", ".pytest.toml"}:
        return {"pytest": plain.get("pytest", plain)}
    tools = plain.get("tool")
    found = dict(tools) if isinstance(tools, dict) else {}
    pytest = found.get("pytest")
    if isinstance(pytest, dict):
        found["pytest"] = (
            {**pytest, **pytest.get("ini_options", {})} if isinstance(pytest.get("ini_options"), dict) else pytest
        )
    project = plain.get("project")
    points = project.get("entry-points") if isinstance(project, dict) else None
    return {**found, "entry-points": points if isinstance(points, dict) else {}}


def _flat(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Tables by their dotted names, each with its own values."""
    found: dict[str, dict[str, Any]] = {}
    waiting: list[tuple[str, Any]] = list(plain.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, list) and any(isinstance(each, dict) for each in value):
            waiting += [(f"{name}.{_module(each)}", each) for each in value]
        elif isinstance(value, dict):
            found[name] = {key: each for key, each in value.items() if not isinstance(each, dict)}
            waiting += [(f"{name}.{key}", each) for key, each in value.items() if isinstance(each, dict | list)]
    return found


def _module(table: Any) -> str:
    """What an override is for, by which it is known however it moves."""
    about = table.get("module", "") if isinstance(table, dict) else ""
    return _short(about)


def _ini(name: str, text: str) -> dict[str, dict[str, Any]]:
    reader = configparser.RawConfigParser(strict=False, allow_no_value=True)
    reader.read_string(text.removeprefix("\ufeff"))
    found: dict[str, dict[str, Any]] = {}
    for title in reader.sections():
        table = title.removeprefix("tool:")
        if name == ".coveragerc" or table.startswith("coverage:"):
            table = "coverage"
        found.setdefault(table.replace("-", ".", 1), {}).update(reader[title])
    return found


def _items(value: Any) -> list[str]:
    if isinstance(value, str):
        return [each.strip() for each in value.replace(",", "\n").splitlines() if each.strip()]
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    try:
        return shlex.split(str(value), comments=True)
    except ValueError:
        return str(value).split()


def _about(table: str) -> str:
    return f"({table.partition('.')[2]}) " if "." in table else ""


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}… ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _line(text: str, key: str) -> int:
    """Where *key* is set, by the first line that begins so; 0 if none does."""
    starts = (key, f'"{key}"', f"'{key}'")
    return next((at for at, line in enumerate(text.splitlines(), start=1) if line.lstrip().startswith(starts)), 0)
