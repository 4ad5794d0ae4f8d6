"""Tools that a repository is configured for, as checks whose problems are told apart from those that were there before."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from nightmill.estate.tracked import Tracked, section
from nightmill.review import Check

__all__ = ["Configured", "eslint", "python"]

ESLINT = re.compile(r"^(?:eslint\.config\.(?:js|mjs|cjs|ts|mts|cts)|\.eslintrc(?:\.(?:js|cjs|json|ya?ml))?)$")
WHERE_MYPY = ("files", "packages", "modules")
COVERAGE = "coverage.json"


class Configured(NamedTuple):
    """A check, the *package* that has its tool, and the file that says so."""

    check: Check
    package: str
    because: str


def python(tracked: Tracked, project: dict[str, Any]) -> tuple[Configured, ...]:
    """ruff, mypy and a bound on coverage, each only where it is configured. *project* is the pyproject.toml."""
    tools = section(project, "tool")
    found = (_ruff(tracked, tools), _mypy(tracked, tools), _coverage(tracked, tools))
    return tuple(each for each in found if each)


def eslint(tracked: Tracked, package: dict[str, Any]) -> tuple[Configured, ...]:
    """ESLint, where it is configured and among what `npm` installs; *package* is the package.json."""
    named = "eslint" in {**section(package, "devDependencies"), **section(package, "dependencies")}
    file = next((name for name in tracked.names if ESLINT.match(name)), "")
    if not named or not file:
        return ()
    return (
        Configured(Check(name="eslint", command="npx --no-install eslint --format json .", format="eslint"), "", file),
    )


def _ruff(tracked: Tracked, tools: dict[str, Any]) -> Configured | None:
    file = tracked.first("ruff.toml", ".ruff.toml") or ("[tool.ruff] in pyproject.toml" if "ruff" in tools else "")
    return (
        Configured(Check(name="ruff", command="python -m ruff check .", format="ruff"), "ruff", file) if file else None
    )


def _mypy(tracked: Tracked, tools: dict[str, Any]) -> Configured | None:
    places = {
        "mypy.ini": tracked.ini("mypy.ini").get("mypy"),
        ".mypy.ini": tracked.ini(".mypy.ini").get("mypy"),
        "[tool.mypy] in pyproject.toml": tools.get("mypy"),
        "[mypy] in setup.cfg": tracked.ini("setup.cfg").get("mypy"),
    }
    file, config = next(((file, config) for file, config in places.items() if config), ("", None))
    if not config:
        return None
    command = "python -m mypy --output json" + ("" if any(name in config for name in WHERE_MYPY) else " .")
    return Configured(Check(name="mypy", command=command, format="mypy"), "mypy", file)


def _coverage(tracked: Tracked, tools: dict[str, Any]) -> Configured | None:
    """Only with a bound: it costs another run of the tests."""
    places = {
        ".coveragerc": tracked.ini(".coveragerc").get("report", {}).get("fail_under"),
        "[tool.coverage] in pyproject.toml": section(section(tools, "coverage"), "report").get("fail_under"),
        "[coverage:report] in setup.cfg": tracked.ini("setup.cfg").get("coverage:report", {}).get("fail_under"),
    }
    file, bound = next(((file, bound) for file, bound in places.items() if bound), ("", None))
    least = float(str(bound)) if re.fullmatch(r"\d{1,3}(?:\.\d{1,4})?", str(bound)) else 0.0
    if not least:
        return None
    run = "python -m coverage run -m pytest -q"
    command = f"{run}; python -m coverage combine -q; python -m coverage json --fail-under=0 -o {COVERAGE}"
    check = Check(name="coverage", command=command, format="coverage", report=COVERAGE, least=least)
    return Configured(check, "coverage", file)
