"""What a worker holds from its start, and no run brings along: told by fingerprints, so that nothing secret is said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from hashlib import sha256
from typing import TYPE_CHECKING

from nightmill.errors import SettingsError

if TYPE_CHECKING:
    from nightmill.settings import Settings

__all__ = ["HELD", "surroundings", "unlike"]

HELD = (
    "allow_hosts",
    "private_hosts",
    "authorities",
    "upload_megabytes",
    "require",
    "sandbox",
    "sandbox_image",
    "sandbox_runtime",
    "sandbox_namespace",
    "sandbox_user",
    "spare_megabytes",
    "quota_gigabytes",
    "workers",
    "rates",
    "retries",
    "retry_after",
    "park_seconds",
    "idle_read",
    "agent_idle",
    "budget_day_money",
    "budget_day_tokens",
    "identity_domain",
)
"""Settings that are the worker's; all others of a run go with it, or are of no worker."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
VARIABLES = frozenset({*PROXIES, "KUBECONFIG", "GOPROXY", "GOSUMDB", "GOFLAGS", "GONOSUMDB", "GOPRIVATE"})
PREFIXES = ("DOCKER_", "CONTAINER_", "CONTAINERS_", "UV_", "PIP_", "NPM_CONFIG_", "CARGO_")
"""Of the environment, what package tools and container engines go by; in either case, as they read them."""

CREDENTIALS = "credentials.yaml"


def surroundings(settings: Settings) -> dict[str, str]:
    """What *settings*, the environment and the credentials are here, by name: equal prints, equal things."""
    found = {name: _print(getattr(settings, name)) for name in HELD}
    for name, value in os.environ.items():
        if name.upper() in VARIABLES or name.upper().startswith(PREFIXES):
            found[name] = _print(value)
    return found | _credentials()


def unlike(ours: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[str, ...]:
    """The names of what is otherwise, in order. Who cannot use the credentials has no say about them."""
    names = ours.keys() | theirs.keys()
    told = names if CREDENTIALS in theirs else names - {CREDENTIALS}
    return tuple(sorted(name for name in told if ours.get(name) != theirs.get(name)))


def _credentials() -> dict[str, str]:
    from nightmill.cli.door import credentials, settings_file

    there = settings_file(os.environ).with_name(CREDENTIALS).exists()  # nothing is loaded for none
    with suppress(SettingsError, OSError):
        return {CREDENTIALS: _print(sorted(map(astuple, credentials())) if there else [])}
    return {}


def _print(value: object) -> str:
    return sha256(repr(value).encode()).hexdigest()[:16]
