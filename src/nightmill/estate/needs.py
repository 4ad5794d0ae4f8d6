"""Which services a repository needs: read from compose files, CI, example environments and drivers among its dependencies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from nightmill.estate.found import Detected, Finding
from nightmill.estate.presets import PRESETS, find, lacking
from nightmill.estate.tracked import Tracked

__all__ = ["add"]

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml", "docker-compose.test.yml")
EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.test", "env.example")
WORKFLOWS = ".github/workflows/"
GITLAB = ".gitlab-ci.yml"
MOST = 40
"""Workflows that are looked at."""

SERVICES = ("postgres", "redis", "mysql", "mongo", "rabbitmq", "elasticsearch", "memcached", "kafka")
ALIASES = {
    "postgresql": "postgres", "postgis": "postgres", "pgvector": "postgres",
    "valkey": "redis", "mariadb": "mysql", "mongodb": "mongo", "amqp": "rabbitmq",
}  # fmt: skip
DRIVERS = {
    "psycopg": "postgres", "psycopg2": "postgres", "psycopg2-binary": "postgres",
    "asyncpg": "postgres", "pg": "postgres",
    "redis": "redis", "ioredis": "redis", "mysqlclient": "mysql", "pymysql": "mysql", "mysql2": "mysql",
    "pymongo": "mongo", "mongoose": "mongo", "pika": "rabbitmq",
}  # fmt: skip
NEEDS = ("pyproject.toml", "requirements.txt", "setup.cfg", "setup.py", "package.json")

image = re.compile(r"^\s*(?:-\s+)?image:\s*[\"']?([\w./-]+)", re.MULTILINE)
listed = re.compile(r"^\s*-\s+(?:name:\s*)?[\"']?([a-z][\w./-]{1,80})(?::[\w.-]+)?[\"']?\s*$", re.MULTILINE)
address = re.compile(r"^\s*(?:export\s+)?\w*(?:URL|URI|DSN|HOST)\w*\s*=\s*[\"']?(\w+?)(?:\+\w+)?://", re.MULTILINE)
driver = re.compile(r"[\"'\s](" + "|".join(sorted(DRIVERS, key=len, reverse=True)) + r")(?=[\"'\s\[<>=~!;,])")
account = re.compile(r"\bPOSTGRES_(USER|DB)[\"']?\s*[:=]\s*[\"']?(\w[\w-]{0,62})[\"']?\s*$", re.MULTILINE)


def add(found: Detected, tracked: Tracked) -> Detected:
    """*found*, and the services that the repository needs: as presets where this machine has the programs."""
    because = _needed(tracked)
    findings = [Finding(what="service", value=name, because=why) for name, why in because.items()]
    here = [name for name in because if name in PRESETS and find(name)]
    records: dict[str, dict[str, Any]] = {name: {"use": name} for name in here}
    env: dict[str, str] = {}
    if "postgres" in here:
        seed, env = _account(tracked)
        records["postgres"] |= {"seed": seed} if seed else {}
    return replace(
        found,
        services=tuple(records.values()),
        env=env | found.env,
        findings=(*found.findings, *findings),
        advice=(*found.advice, *(_advice(name, why) for name, why in because.items() if name not in here)),
    )


def _needed(tracked: Tracked) -> dict[str, str]:
    """Names of services, each with what says so."""
    because: dict[str, str] = {}
    looks = (
        ((*COMPOSE, *_workflows(tracked), GITLAB), image, "an image"),
        ((GITLAB,), listed, "an image"),
        (EXAMPLES, address, "an address"),
        (NEEDS, driver, "the driver {}"),
    )
    # A package.json may be one long line, and the pattern for drivers takes no longer for it.
    seen = [
        (each, name, why)
        for names, look, why in looks
        for name in names
        for each in look.findall(tracked.text(name) if look is driver else tracked.lines(name))
    ]
    for each, name, why in seen:
        plain = PurePosixPath(each.lower()).name
        known = (ALIASES | DRIVERS).get(plain, plain)
        if known in SERVICES:
            because.setdefault(known, f"{why.format(each)} in {name}")
    return because


def _account(tracked: Tracked) -> tuple[list[str], dict[str, str]]:
    """Seed lines and a variable for the user and the database that the repository's own containers have."""
    told: dict[str, str] = {}
    for name in (*COMPOSE, *_workflows(tracked), GITLAB, *EXAMPLES):
        for key, value in account.findall(tracked.lines(name)):
            told.setdefault(key, value)
    if not told:
        return [], {}
    user = told.get("USER", "postgres")
    database = told.get("DB", user)
    seed = [] if user == "postgres" else [f"psql -qc 'CREATE ROLE \"{user}\" SUPERUSER LOGIN'"]
    seed += [] if database == "postgres" else [f'psql -qc \'CREATE DATABASE "{database}" OWNER "{user}"\'']
    return seed, {"DATABASE_URL": f"postgresql://{user}@127.0.0.1:5432/{database}"}


def _workflows(tracked: Tracked) -> list[str]:
    return [name for name in tracked.names if name.startswith(WORKFLOWS) and name.endswith((".yml", ".yaml"))][:MOST]


def _advice(name: str, why: str) -> str:
    if name in PRESETS:
        return f"{name} seems to be needed ({why}): install {lacking(name)}, then write `use: {name}` under `services`"
    return f"{name} seems to be needed ({why}), and nothing starts it: write under `services` how it is run"
