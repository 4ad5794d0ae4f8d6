"""A project as nightmill.yaml describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nightmill import sandbox
from nightmill.policy import Policy
from nightmill.review import Check
from nightmill.sandbox import Limits

__all__ = ["Access", "Environment", "Project", "Service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that tests need beside them, and how its data is made.

    Attributes:
        program: What a sandbox starts.
        setup: Shell lines, run once when a base is built, before the service is started.
        seed: Shell lines, run once when a base is built, while all services run.
        variables: Environment of every command of the project, which the project's own may replace.
    """

    program: sandbox.Service
    setup: tuple[str, ...] = ()
    seed: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The service's name."""
        return self.program.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """How the folders below a run's workspace are made.

    Attributes:
        install: Shell lines, run in /work/repo in order, with the network allowlist `hosts` and no other.
        hosts: Names and presets ("pypi", "npm", "crates", "go", "debian") that the install lines may reach.
        env: Environment of every command in the sandbox.
        locks: Repository files that decide what `install` gives; their content is part of the environment's hash.
    """

    install: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    locks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What agents' commands may reach. Checks have no network: a proof that depends on it is none.

    Attributes:
        hosts: Names and presets, as in `Environment`.
        inspect: Those of them whose TLS the proxy opens, to check and record each request inside.
    """

    hosts: tuple[str, ...] = ()
    inspect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One codebase.

    Attributes:
        id: Short and stable: the folder's name and eight digits of the hash of its real path.
        root: The owner's checkout, which is only ever read.
        language: "python", "javascript", "go", "rust" or "other".
        network: What agents' commands may reach; nothing by default.
        instructions: Files such as AGENTS.md whose text agents are given.
        limits: Bounds on each command of an agent.
        co_author: Line for the `Co-authored-by` trailer, "" for none.
    """

    id: str
    root: Path
    language: str
    environment: Environment
    checks: tuple[Check, ...]
    network: Access = Access()
    services: tuple[Service, ...] = ()
    instructions: tuple[str, ...] = ()
    limits: Limits = Limits()
    co_author: str = ""
    disk: int = 10 << 30
    """Bytes that what a run, or the building of a base, writes may take."""
    requires: tuple[str, ...] = ()
    """Guarantees of the sandbox without which nothing of the project starts."""
    budget: float = 0.0
    """US dollars that its runs together may cost on one UTC day; 0: any."""
    protected: tuple[str, ...] = ()
    """Paths or globs that no change of an agent may touch."""
    policy: Policy = Policy()
    """What it asks for beyond the operator's; `policy.agree` gives what holds."""
