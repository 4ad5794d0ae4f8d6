"""What JavaScript, Go and Rust repositories say of themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from nightmill.estate import quality
from nightmill.estate.found import Detected, Finding
from nightmill.estate.tracked import Tracked, section
from nightmill.review import Check

__all__ = ["FINDERS"]

UNWRITTEN = "no test specified"
"""In the test script that `npm init` writes."""

LOCKS = {
    "pnpm-lock.yaml": ("pnpm", "corepack pnpm install --frozen-lockfile"),
    "yarn.lock": ("yarn", "corepack yarn install --frozen-lockfile"),
    "package-lock.json": ("npm", "npm ci --no-audit --no-fund"),
    "npm-shrinkwrap.json": ("npm", "npm ci --no-audit --no-fund"),
}


SETTINGS = (".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml")
"""Files beside a lock file that decide what an installation gives."""


def javascript(tracked: Tracked) -> Detected | None:
    """A package.json, and the lock file that names its package manager."""
    if "package.json" not in tracked:
        return None
    lock = tracked.first(*LOCKS)
    manager, install = LOCKS.get(lock, ("npm", "npm install --no-audit --no-fund --no-package-lock"))
    findings = [
        Finding(what="language", value="javascript", because="package.json"),
        Finding(what="package manager", value=manager, because=lock or "no lock file, so npm"),
    ]
    package = _package(tracked)
    script = section(package, "scripts").get("test", "")
    checks: tuple[Check, ...] = ()
    if isinstance(script, str) and script and UNWRITTEN not in script:
        run = "npm" if manager == "npm" else f"corepack {manager}"
        checks = (Check(name="tests", command=f"{run} test"),)
        findings.append(Finding(what="tests", value=checks[0].command, because="script 'test' in package.json"))
    for each in quality.eslint(tracked, package):
        checks = (*checks, each.check)
        findings.append(Finding(what="check", value=each.check.command, because=each.because))
    return Detected(
        language="javascript",
        manager=manager,
        install=(install,),
        hosts=("npm",),
        env={"CI": "1"},
        locks=tuple(name for name in ("package.json", lock, *SETTINGS) if name in tracked),
        checks=checks,
        findings=tuple(findings),
        advice=() if lock else ("commit a lock file: without one every install may give other versions",),
    )


def go(tracked: Tracked) -> Detected | None:
    """A go.mod."""
    if "go.mod" not in tracked:
        return None
    return _simple(
        Detected(
            language="go",
            manager="go",
            install=("go mod download",),
            hosts=("go",),
            locks=tuple(name for name in ("go.mod", "go.sum", "go.work", "go.work.sum") if name in tracked),
            checks=(Check(name="tests", command="go test -json ./...", format="go"),),
        ),
        because="go.mod",
    )


def rust(tracked: Tracked) -> Detected | None:
    """A Cargo.toml."""
    if "Cargo.toml" not in tracked:
        return None
    return _simple(
        Detected(
            language="rust",
            manager="cargo",
            install=("cargo fetch" + (" --locked" if "Cargo.lock" in tracked else ""),),
            hosts=("crates",),
            locks=tuple(name for name in ("Cargo.toml", "Cargo.lock", ".cargo/config.toml") if name in tracked),
            checks=(Check(name="tests", command="cargo test --offline --no-fail-fast", format="cargo"),),
        ),
        because="Cargo.toml",
    )


FINDERS = (rust, go, javascript)
"""In this order: a package.json often stands beside another language's tools, seldom the other way round."""


def _package(tracked: Tracked) -> dict[str, Any]:
    try:
        package = json.loads(tracked.text("package.json"))
    except (ValueError, RecursionError):
        return {}
    return package if isinstance(package, dict) else {}


def _simple(found: Detected, *, because: str) -> Detected:
    findings = (
        Finding(what="language", value=found.language, because=because),
        Finding(what="tests", value=found.checks[0].command, because=f"the usual command beside {because}"),
    )
    return replace(found, findings=findings)
