"""A flake.nix: checked where Nix is on the machine, and never the source of what is installed."""

from __future__ import annotations

from dataclasses import replace

from nightmill.estate import tools
from nightmill.estate.found import Detected, Finding, Ignored
from nightmill.estate.tracked import Tracked
from nightmill.review import Check

__all__ = ["COMMAND", "FILES", "add"]

FILES = ("flake.nix", "flake.lock")

NIX = "nix --extra-experimental-features 'nix-command flakes' --store /work/env/nix"
COMMAND = f"{NIX} flake check --no-build --offline"
"""The outputs are evaluated and nothing is built: a builder needs namespaces of its own, which a sandbox refuses."""

FETCH = f"{NIX} flake archive"


def add(found: Detected, tracked: Tracked) -> Detected:
    """*found* with the check of a flake, or with the reason why there is none."""
    if "flake.nix" not in tracked:
        return found
    why = "its packages and shells are not entered: /usr is this machine's own"
    left = Ignored(file="flake.nix", what="devShells, packages", why=why)
    if not tools.found("nix"):
        advice = "flake.nix is there, but nix is not on this machine (/usr): `nix flake check` is not among the checks"
        return replace(found, ignored=(*found.ignored, left), advice=(*found.advice, advice))
    locks = tuple(name for name in FILES if name in tracked)
    finding = Finding(what="check", value="nix flake check, evaluated without building", because="flake.nix")
    told = "add the hosts of the inputs in flake.lock under `hosts`: nix does not say them"
    return replace(
        found,
        checks=(*found.checks, Check(name="flake", command=COMMAND)),
        install=(*found.install, FETCH),
        locks=(*found.locks, *locks),
        ignored=(*found.ignored, left),
        findings=(*found.findings, finding),
        advice=(*found.advice, *([told] if "flake.lock" in tracked else [])),
    )
