"""What the operator can set: one frozen value, read by the doors from file, environment and flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from nightmill.errors import SettingsError

__all__ = ["Settings", "load"]

PREFIX = "NIGHTMILL_"


def setting(default: Any, text: str) -> Any:
    """A field with its own documentation, which `nightmill settings` and the reference print."""
    return field(default=default, metadata={"doc": text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with the value in force."""

    home: Path = setting(Path(), "Folder for state, projects, blobs and keys; the default follows XDG_DATA_HOME.")
    store: str = setting("", "Database URL of our tables and the engine; empty: SQLite files in `home`.")
    model: str = setting("", "Model of roles that name none: `provider:model`.")
    base_url: str = setting("", "Endpoint instead of the provider's own.")
    max_tokens: int = setting(8192, "Bound on one reply, in tokens.")
    thinking: int = setting(0, "Budget for reasoning per reply, in tokens; 0: none asked for.")
    budget_turns: int = setting(100, "Turns that one run may take.")
    budget_tokens: int = setting(3_000_000, "Tokens, in and out, that one run may use.")
    budget_money: float = setting(10.0, "US dollars that one run may cost, where the model's price is known.")
    budget_seconds: float = setting(
        7200.0, "Seconds that one run may work, waiting for people or providers not counted."
    )
    context_tokens: int = setting(160_000, "Size of a request, in tokens, at which a run stops.")
    spec_threshold: int = setting(70, "Score from which a spec is accepted, 0 to 100.")
    send_back: int = setting(3, "How often an agent whose work failed its checks is sent back.")
    workers: int = setting(20, "Runs that one worker works on at once.")
    park_seconds: float = setting(60.0, "First wait of a run whose provider is down; it doubles up to an hour.")
    retries: int = setting(4, "Requests to a provider, beyond the first, before a run is parked.")
    retry_after: float = setting(60.0, "Longest `retry-after` that is slept through; above it the run is parked.")
    idle_read: float = setting(90.0, "Seconds of silence in a stream after which it counts as broken.")
    identity_domain: str = setting("nightmill.invalid", "Domain of the roles' e-mail addresses in commits.")
    plan: str = setting("auto", "`auto`: the architect cuts specs without tasks; `single`: one task per spec.")


def load(*, file: Mapping[str, Any], environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Settings from *file* < *environment* (`NIGHTMILL_…`) < *flags* (None: not given).

    Raises:
        SettingsError: If a name is unknown or a value is not of its type.
    """
    kinds = {each.name: each.type for each in fields(Settings)}
    values: dict[str, Any] = {}
    for name, value in file.items():
        if name not in kinds:
            raise SettingsError(
                f"unknown setting {name!r} in the settings file", hint="`nightmill settings` lists them all"
            )
        values[name] = _read(name, value, str(kinds[name]))
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and variable != f"{PREFIX}SETTINGS":
            if name not in kinds:
                raise SettingsError(
                    f"unknown setting {variable!r} in the environment", hint="`nightmill settings` lists them all"
                )
            values[name] = _read(name, value, str(kinds[name]))
    values |= {name: _read(name, value, str(kinds[name])) for name, value in flags.items() if value is not None}
    return Settings(**values)


def _read(name: str, value: Any, kind: str) -> Any:
    readers = {"int": int, "float": float, "str": str, "Path": lambda v: Path(v).expanduser()}
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
            raise ValueError(value)  # noqa: TRY004 - one remedy for both
        return readers[kind](value)
    except ValueError as error:
        raise SettingsError(
            f"setting {name!r} is {value!r}, which is not of type {kind}", hint="see `nightmill settings`"
        ) from error
