"""What a Python repository says of itself: how it is installed with its test dependencies, and how it is tested."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from nightmill.estate import quality
from nightmill.estate.found import Detected, Finding
from nightmill.estate.tracked import Tracked, section
from nightmill.review import Check

__all__ = ["find", "tested"]

MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "tox.ini", "noxfile.py", "manage.py")
TEST_NAMES = ("test", "tests", "testing", "test-deps", "pytest")
GROUPS = (*TEST_NAMES, "dev", "develop", "development")
"""Names of extras and groups, those that are only for tests first."""

FACTORS = (*TEST_NAMES, "unit", "unittest")
"""Factors of tox that speak of tests."""

PLUGINS = {
    "--cov": "pytest-cov",
    "--timeout": "pytest-timeout",
    "--benchmark": "pytest-benchmark",
    "--reruns": "pytest-rerunfailures",
    "--dist": "pytest-xdist",
    "--numprocesses": "pytest-xdist",
    "-n": "pytest-xdist",
    "asyncio_mode": "pytest-asyncio",
    "DJANGO_SETTINGS_MODULE": "pytest-django",
}
"""Options and settings that make pytest refuse to start without a plugin."""

UV = "uv pip install --no-cache"
SMALL = 40
MOST_INCLUDED = 50
SELF = len(("-e", "."))
"""Words that install the project alone."""

requirement = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[\w ,.-]*\])?\s*(?:[<>=!~(@;].*)?$")
extra = re.compile(r"^[\w.-]{1,60}$")
test_file = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py$")
include = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]?\s*([^\s#]{1,200})", re.MULTILINE)
scm = re.compile(r"setuptools[-_]scm|hatch[-_]vcs|versioningit|pbr\b", re.IGNORECASE)
caret = re.compile(r"^\^\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?")


@dataclass(slots=True)
class _Reading:
    """What was read so far; only `find` and the functions it calls write here."""

    tracked: Tracked
    project: dict[str, Any]
    manager: str = "pip"
    install: list[str] = field(default_factory=lambda: ["uv venv /work/env"])
    locks: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def say(self, what: str, value: str, because: str) -> None:
        self.findings.append(Finding(what=what, value=value, because=because))


def find(tracked: Tracked) -> Detected | None:
    """How *tracked* is installed and tested, None if it is no Python."""
    mark = tracked.first(*MARKS)
    if mark:
        return _read(tracked, because=mark)
    most = sum(name.endswith(".py") for name in tracked.names) * 2 >= len(tracked.names)
    return _read(tracked, because="most files are Python") if most else None


def tested(tracked: Tracked) -> Detected | None:
    """The same, where nothing but the name of a test says that it is Python."""
    test = next(filter(test_file.search, tracked.names), None)
    return _read(tracked, because=test) if test else None


def _read(tracked: Tracked, *, because: str) -> Detected:
    reading = _Reading(tracked, tracked.toml("pyproject.toml"))
    reading.say("language", "python", because)
    reading.locks += [name for name in ("pyproject.toml", "setup.py", "setup.cfg", "uv.toml") if name in tracked]
    check = _tests(reading)
    tools = [each for each in quality.python(tracked, reading.project) if check or each.check.format != "coverage"]
    for each in tools:
        reading.say("check", each.check.command, each.because)
    _install(reading, extra=[*_test_packages(reading, check), *(each.package for each in tools)])
    _version(reading)
    return Detected(
        language="python",
        manager=reading.manager,
        install=tuple(reading.install),
        hosts=("pypi",),
        env=reading.env,
        locks=tuple(dict.fromkeys(reading.locks)),
        checks=(*((check,) if check else ()), *(each.check for each in tools)),
        findings=tuple(reading.findings),
        advice=tuple(reading.advice),
    )


# How it is tested


def _tests(reading: _Reading) -> Check | None:
    if "manage.py" in reading.tracked and "pytest" not in reading.tracked.text("pyproject.toml"):
        command = "python manage.py test"
        reading.say("tests", command, "manage.py")
        return Check(name="tests", command=command)
    why = _pytest_because(reading)
    if not why:
        return None
    reading.say("tests", "python -m pytest", why)
    return Check(name="tests", command="python -m pytest", format="pytest")


def _pytest_because(reading: _Reading) -> str:
    tracked, tools = reading.tracked, section(reading.project, "tool")
    places = {
        "pytest.ini": "pytest.ini" in tracked,
        "[tool.pytest] in pyproject.toml": "pytest" in tools,
        "[tool:pytest] in setup.cfg": "tool:pytest" in tracked.ini("setup.cfg"),
        "[pytest] in tox.ini": "pytest" in tracked.ini("tox.ini"),
        "conftest.py": any(posixpath.basename(name) == "conftest.py" for name in tracked.names),
    }
    told = next((place for place, found in places.items() if found), "")
    files = [name for name in tracked.names if test_file.search(name)]
    if told or not files:
        return told
    old = any("import unittest" in tracked.text(name) for name in files[:SMALL])
    return f"{files[0]}" + (", which pytest runs and reports test by test though it is unittest's" if old else "")


def _test_packages(reading: _Reading, check: Check | None) -> list[str]:
    if check is None or check.format != "pytest":
        return []
    tracked = reading.tracked
    written = "\n".join(
        [
            str(section(section(reading.project, "tool"), "pytest")),
            tracked.text("pytest.ini"),
            str(tracked.ini("setup.cfg").get("tool:pytest", "")),
            str(tracked.ini("tox.ini").get("pytest", "")),
        ]
    )
    wanted = {package for option, package in PLUGINS.items() if re.search(rf"(?<![\w-]){option}(?!\w)", written)}
    return ["pytest", *sorted(wanted)]


# How it is installed


def _install(reading: _Reading, *, extra: list[str]) -> None:
    if "uv.lock" in reading.tracked:
        _from_uv_lock(reading, extra)
        return
    words = [*_package(reading), *_groups(reading), *_tool_tables(reading)]
    words += _requirement_files(reading, told=len(words) > SELF or any("[" in word for word in words))
    if len(words) <= SELF:
        words += _tox(reading)
    words += [word for word in extra if word not in words]
    if words:
        reading.install.append(f"{UV} {shlex.join(words)}")
    reading.say("package manager", reading.manager, "installed with uv into /work/env")


def _from_uv_lock(reading: _Reading, extra: list[str]) -> None:
    reading.manager = "uv"
    reading.locks.append("uv.lock")
    optional = _chosen(section(section(reading.project, "project"), "optional-dependencies"))
    groups = _chosen(section(reading.project, "dependency-groups"))
    options = [f"--extra {name}" for name in optional] + [f"--group {name}" for name in groups]
    reading.env["UV_PROJECT_ENVIRONMENT"] = "/work/env"
    reading.install.append(" ".join(["uv sync --frozen --no-cache", *options]))
    if extra:
        reading.install.append(f"{UV} {shlex.join(extra)}")
    reading.say("package manager", "uv", "uv.lock")


def _package(reading: _Reading) -> list[str]:
    """The project itself, editable and with its extras for tests, if it can be built; else its dependencies."""
    project = section(reading.project, "project")
    built = "build-system" in reading.project or "setup.py" in reading.tracked
    poetry = section(section(reading.project, "tool"), "poetry")
    if poetry.get("package-mode") is False:
        built = False
    if not built:
        return ["-r", "pyproject.toml"] if project.get("dependencies") else []
    extras = _chosen(section(project, "optional-dependencies")) or _chosen(poetry.get("extras"))
    extras = extras or _chosen(reading.tracked.ini("setup.cfg").get("options.extras_require"))
    extras = extras or _extras_of_setup(reading.tracked.text("setup.py"))
    because = "the package declares them"
    if not extras and (extras := _tox_lines(reading, "extras", shape=extra)):
        because = "[testenv] in tox.ini"
    if extras:
        reading.say("test dependencies", f"extras {', '.join(extras)}", because)
    return ["-e", f".[{','.join(extras)}]" if extras else "."]


def _extras_of_setup(source: str) -> list[str]:
    """Names that look like extras in a setup.py, which is a program and is not run to find out."""
    _, found, rest = source.partition("extras_require")
    names = re.findall(r"[\"']([\w-]{1,30})[\"']\s*:", rest[:5000]) if found else []
    return _chosen(dict.fromkeys(names))


def _groups(reading: _Reading) -> list[str]:
    groups = _chosen(section(reading.project, "dependency-groups"))
    if groups:
        reading.say("test dependencies", f"groups {', '.join(groups)}", "[dependency-groups] in pyproject.toml")
    return [word for name in groups for word in ("--group", name)]


def _requirement_files(reading: _Reading, *, told: bool) -> list[str]:
    """Files of requirements for tests, unless the project *told* of them elsewhere; hashed ones are installed apart.

    The plain file counts too where no package brings its own dependencies.
    """
    files = [name for name in reading.tracked.names if _is_requirements(name)]
    stems = {name: re.sub(r"requirements?|[/_.\-]|txt$", " ", name).split() for name in files}
    tests = [name for name in files if set(stems[name]) & set(TEST_NAMES)]
    tests = tests or [name for name in files if set(stems[name]) & set(GROUPS)]
    packaged = bool(section(reading.project, "project").get("dependencies")) or "setup.py" in reading.tracked
    plain = [name for name in ("requirements.txt",) if name in files and not packaged]
    chosen = [*plain, *([] if told else tests)]
    reading.locks += _with_included(reading.tracked, chosen)
    for name in chosen:
        reading.say("dependencies", name, "it is tracked")
    hashed = [name for name in chosen if "--hash=" in reading.tracked.text(name)]
    reading.install += [f"{UV} -r {shlex.quote(name)}" for name in hashed]
    return [word for name in chosen if name not in hashed for word in ("-r", name)]


def _with_included(tracked: Tracked, files: list[str]) -> list[str]:
    """*files* and the tracked files that they include, as requirements or as constraints."""
    found = list(files)
    for name in found:
        for included in include.findall(tracked.lines(name)):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), included))
            if path in tracked and path not in found and len(found) < MOST_INCLUDED:
                found.append(path)
    return found


def _is_requirements(name: str) -> bool:
    if not name.endswith(".txt"):  # of tens of thousands of names, before any is taken apart
        return False
    path = PurePosixPath(name)
    named = "requirements" in path.name or (path.parent.name == "requirements")
    return named and path.suffix == ".txt" and len(path.parts) <= 2  # the root or one folder below


def _tool_tables(reading: _Reading) -> list[str]:
    """Test dependencies that Poetry, PDM and Hatch keep in tables of their own."""
    tools = section(reading.project, "tool")
    poetry, pdm, hatch = section(tools, "poetry"), section(tools, "pdm"), section(section(tools, "hatch"), "envs")
    found: list[str] = []
    for name in _chosen(section(poetry, "group")):
        found += _poetry(section(section(section(poetry, "group"), name), "dependencies"))
    found += _poetry(section(poetry, "dev-dependencies"))
    for name in _chosen(section(pdm, "dev-dependencies")):
        found += _words(section(pdm, "dev-dependencies").get(name))
    for name in ("hatch-test", *GROUPS, "default"):
        table = section(hatch, name)
        found += _words(table.get("dependencies")) + _words(table.get("extra-dependencies"))
    for manager, table in {"poetry": poetry, "pdm": pdm, "hatch": section(tools, "hatch")}.items():
        reading.manager = manager if table else reading.manager
    if found:
        reading.say("test dependencies", ", ".join(found), f"[tool.{reading.manager}] in pyproject.toml")
    return found


def _tox(reading: _Reading) -> list[str]:
    """Plain requirements of tox's first environment: the last place to look."""
    found = _tox_lines(reading, "deps", shape=requirement)
    if found:
        reading.say("test dependencies", ", ".join(found), "[testenv] in tox.ini")
    return found


def _tox_lines(reading: _Reading, key: str, *, shape: re.Pattern[str]) -> list[str]:
    """What [testenv] lists under *key*: lines for each environment, and those whose factor speaks of tests."""
    found = []
    for line in re.split(
        r"\n" if key == "deps" else r"[\n,]", reading.tracked.ini("tox.ini").get("testenv", {}).get(key, "")
    ):
        factors, _, rest = line.strip().rpartition(": ")
        if "{" not in line and (not factors or set(re.split(r"[-,\s]+", factors)) & set(FACTORS)):
            found += [rest.strip()] if shape.match(rest.strip()) else []
    return found


def _version(reading: _Reading) -> None:
    """A version taken from tags, where the sandbox's clone may have none: what the source archive said of itself."""
    said = reading.tracked.text("PKG-INFO")
    version = re.search(r"^Version: ([\w.+!-]{1,60})$", said, re.MULTILINE)
    if not scm.search(
        reading.tracked.text("pyproject.toml") + reading.tracked.text("setup.cfg") + reading.tracked.text("setup.py")
    ):
        return
    if version:
        reading.env |= {"SETUPTOOLS_SCM_PRETEND_VERSION": version[1], "PBR_VERSION": version[1]}
        reading.say("version", version[1], "PKG-INFO, because the build takes it from tags")
    else:
        reading.advice.append(
            "the version comes from git tags; if tests depend on it, set SETUPTOOLS_SCM_PRETEND_VERSION under `env`"
        )


# Small readers of what may be anything


def _chosen(table: Any) -> list[str]:
    """Of the names in *table* those for tests, or else those for development."""
    names = [name for name in table if re.fullmatch(r"[\w.-]{1,60}", str(name))] if isinstance(table, dict) else []
    tests = [name for name in names if name.lower() in TEST_NAMES]
    return tests or [name for name in names if name.lower() in GROUPS][:1]


def _words(found: Any) -> list[str]:
    lines = found if isinstance(found, list) else []
    return [line.strip() for line in lines if isinstance(line, str) and requirement.match(line.strip())]


def _poetry(table: dict[str, Any]) -> list[str]:
    """Poetry's own notation as requirements; those from git or a path are left out."""
    found = []
    for name, value in table.items():
        version = value.get("version", "") if isinstance(value, dict) else value
        if name == "python" or not isinstance(version, str) or not version:
            continue
        found.append(name + _bound(version.strip()))
    return _words(found)


def _bound(version: str) -> str:
    if version in {"*", ""}:
        return ""
    if parts := caret.match(version):
        numbers = [int(part) for part in parts.groups() if part is not None]
        at = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        top = ".".join(str(number) for number in [*numbers[:at], numbers[at] + 1])
        return f">={version[1:].strip()},<{top}"
    if version.startswith("~") and not version.startswith("~="):
        return f"~={version[1:].strip()}" if "." in version else f">={version[1:].strip()}"
    return version if version[0] in "<>=!~" else f"=={version}"
