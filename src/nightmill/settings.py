"""What the operator can set: one frozen value, read by the doors from file, environment and flags."""

from __future__ import annotations

import difflib
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from nightmill.errors import SettingsError

__all__ = ["HERE", "Settings", "load"]

PREFIX = "NIGHTMILL_"
OTHERS = frozenset(f"{PREFIX}{name}" for name in ("SETTINGS", "TOKEN", "SECRET_KEY", "SECRET_KEY_NEW"))
"""What the environment holds for us besides settings: where their file is, and secrets, which no setting is."""

HERE = "seatbelt" if platform.system() == "Darwin" else "bubblewrap"
"""What makes sandboxes on this system if nothing is set."""


def setting(
    default: Any, text: str, *, least: float | None = None, most: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A field with its own documentation, which `nightmill settings` and the reference print, and its bounds."""
    return field(default=default, metadata={"doc": text, "least": least, "most": most, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with the value in force."""

    home: Path = setting(Path(), "Folder for state, projects, blobs and keys; the default follows XDG_DATA_HOME.")
    store: str = setting("", "Database URL of our tables and the engine; empty: SQLite files in `home`.")
    server: str = setting(
        "",
        "Server whose runs the commands that look and steer are about, such as `https://mill.example.org`; empty: the store here.",
    )
    model: str = setting("", "Model of roles that name none: `provider:model`.")
    fallbacks: tuple[str, ...] = setting(
        (),
        "Models that answer when the first does not, best first, by spaces: `provider:model` or `provider:model@URL`.",
    )
    model_small: str = setting("", "Model of cheap steps, such as summaries; empty: the role's own.")
    base_url: str = setting("", "Endpoint instead of the own one of the provider that `model` names.")
    max_tokens: int = setting(8192, "Bound on one reply, in tokens.", least=1)
    thinking: int = setting(0, "Budget for reasoning per reply, in tokens; 0: none asked for.", least=0)
    budget_turns: int = setting(100, "Turns that one run may take.", least=1)
    budget_tokens: int = setting(3_000_000, "Tokens, in and out, that one run may use.", least=1)
    budget_money: float = setting(10.0, "US dollars that one run may cost, where the model's price is known.", least=0)
    budget_seconds: float = setting(
        7200.0, "Seconds that one run may work, waiting for people or providers not counted.", least=1
    )
    compact_tokens: int = setting(
        80_000,
        "Size of a request, in tokens, from which older parts of it are left out; at most half of the model's window.",
        least=16_000,
    )
    budget_spec_money: float = setting(
        50.0, "US dollars that a spec may cost with the runs of all its tasks; 0: any.", least=0
    )
    budget_spec_tokens: int = setting(
        20_000_000, "Tokens, in and out, that a spec may use with the runs of all its tasks; 0: any.", least=0
    )
    budget_day_money: float = setting(
        0.0, "US dollars that all runs together may cost on one UTC day; 0: any.", least=0
    )
    budget_day_tokens: int = setting(0, "Tokens that all runs together may use on one UTC day; 0: any.", least=0)
    context_tokens: int = setting(160_000, "Size of a request, in tokens, at which a run stops.", least=1)
    spec_threshold: int = setting(70, "Score from which a spec is accepted, 0 to 100.", least=0, most=100)
    blueprint: str = setting("solo", "Blueprint by which each task of a spec is worked on; see `blueprint list`.")
    spare_megabytes: int = setting(
        200, "Room on the disk of `home` without which no step begins: the run waits for a person.", least=0
    )
    sandbox: str = setting(
        HERE,
        "What makes sandboxes: `bubblewrap`, containers of `podman` or `docker`, pods of `kubernetes`, or on macOS `seatbelt`.",
        choices=("bubblewrap", "podman", "docker", "kubernetes", "seatbelt"),
    )
    sandbox_image: str = setting(
        "",
        "Image that containers show, best by its digest, as pods must; empty: this machine's own /usr, as bubblewrap does.",
    )
    sandbox_runtime: str = setting(
        "",
        "OCI runtime of containers, as in `runc`, or `runsc` for gVisor; of pods their RuntimeClass; empty: the engine's choice.",
    )
    sandbox_namespace: str = setting("nightmill", "Namespace of the Kubernetes cluster in which pods are made.")
    sandbox_user: int = setting(
        65525,
        "Number of the user as whom everything in a sandbox runs if root starts nightmill; nobody else's.",
        least=1,
        most=(1 << 32) - 2,
    )
    require: tuple[str, ...] = setting(
        (), "Guarantees without which no sandbox is opened, by spaces; `nightmill doctor` lists them."
    )
    allow_hosts: tuple[str, ...] = setting(
        (), "Hosts that projects may reach if they ask, besides the presets' own: `host` or `*.host`, by spaces."
    )
    private_hosts: tuple[str, ...] = setting(
        (),
        "Hosts that may lead to private and loopback addresses, from sandboxes and for webhooks: `host` or `*.host`, by spaces.",
    )
    authorities: Path = setting(
        Path(), "File of certificates (PEM) that are trusted for hosts and in sandboxes besides the system's."
    )
    upload_megabytes: int = setting(
        256, "What one sandbox may send to the network, from its start to its end.", least=1
    )
    quota_gigabytes: float = setting(
        0.0, "Size of `home` above which workers delete what `nightmill sandbox gc` may; 0: any size.", least=0
    )
    workers: int = setting(20, "Runs that one worker works on at once.", least=1)
    park_seconds: float = setting(
        60.0, "First wait of a run whose provider is down; it doubles up to an hour.", least=0.1
    )
    rates: str = setting(
        "",
        "What a provider's key may ask for, in requests, tokens in, out and both a minute, and calls at once:"
        " `anthropic 50 rpm, 400k itpm, 80k otpm, 20 at once; openai 500 rpm, 2m tpm`; the rest is learnt.",
    )
    retries: int = setting(4, "Requests to a provider, beyond the first, before a run is parked.", least=0)
    retry_after: float = setting(
        60.0, "Longest wait for a provider or for a key's rate in seconds; above it the run is parked.", least=0
    )
    idle_read: float = setting(90.0, "Seconds of silence in a stream after which it counts as broken.", least=0.1)
    agent_idle: float = setting(
        600.0, "Seconds after which an external agent of which nothing is heard is started again.", least=0.1
    )
    person: str = setting(
        "",
        "Who gives commands here, as `Name <address>`, for approvals and merges; empty: the login name at this machine.",
    )
    oidc_issuer: str = setting(
        "",
        "Identity provider that people may sign in with at a server (OpenID Connect), as it names itself:"
        " `https://login.example.org`; empty: passwords alone.",
    )
    oidc_client: str = setting("", "This server's name at the identity provider (its client id).")
    oidc_secret: Path = setting(
        Path(), "File that holds the secret that goes with `oidc_client`; unset: none, and PKCE alone proves who asks."
    )
    oidc_name: str = setting("single sign-on", "What the page to sign in calls the identity provider.")
    oidc_groups: str = setting("groups", "Where the identity provider says the groups of somebody (a claim).")
    oidc_roles: tuple[str, ...] = setting(
        (),
        "Roles by the identity provider's groups, by spaces: `GROUP=ROLE` or `GROUP=ROLE@PROJECT`. Who signs in has exactly"
        " those in the projects that are named; unset: an admin gives roles.",
    )
    oidc_hours: int = setting(
        12,
        "Hours that sessions last of somebody for whom the identity provider speaks, since it last did: then it is asked again.",
    )
    oidc_days: int = setting(
        30,
        "Days that tokens are good of somebody for whom the identity provider speaks, since it last did, which is when they sign in.",
    )
    identity_domain: str = setting("nightmill.invalid", "Domain of the roles' e-mail addresses in commits.")
    plan: str = setting(
        "auto",
        "`auto`: the architect cuts specs without tasks; `single`: one task per spec.",
        choices=("auto", "single"),
    )


def load(*, file: Mapping[str, Any], environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Settings from *file* < *environment* (`NIGHTMILL_…`) < *flags* (None: not given).

    Raises:
        SettingsError: If a name is unknown or a value is not of its type or out of its bounds.
    """
    values: dict[str, Any] = {}
    for name, value in file.items():
        values[name] = _read(name, value, called=f"{name} in the settings file")
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and variable not in OTHERS:
            name = variable.removeprefix(PREFIX).lower()
            values[name] = _read(name, value, called=f"{variable} in the environment")
    values |= {name: _read(name, value, called=name) for name, value in flags.items() if value is not None}
    return Settings(**values)


def _read(name: str, value: Any, *, called: str) -> Any:
    known = {each.name: each for each in fields(Settings)}
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        raise SettingsError(
            f"unknown setting {called}", hint=f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
        )
    kind, bounds = str(known[name].type), known[name].metadata
    hint = f"{name}: {bounds['doc']}"
    try:
        found = _typed(value, kind)
    except ValueError as error:
        raise SettingsError(f"setting {called} is {value!r}, which is not of type {kind}", hint=hint) from error
    least, most, choices = bounds["least"], bounds["most"], bounds["choices"]
    if least is not None and not least <= found <= (math.inf if most is None else most):
        wanted = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise SettingsError(f"setting {called} is {value!r}; it must be {wanted}", hint=hint)
    if choices and found not in choices:
        raise SettingsError(f"setting {called} is {value!r}; it must be {' or '.join(choices)}", hint=hint)
    return found


def _typed(value: Any, kind: str) -> Any:
    """*value* as *kind*, the text of a field's type.

    Raises:
        ValueError: If it is something else.
    """
    if kind.startswith("tuple"):
        return _names(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
        raise ValueError(value)  # noqa: TRY004 - one remedy for both
    if kind == "Path":
        return Path(value).expanduser() if isinstance(value, str | Path) else _refuse(value)
    if kind == "str":
        return str(value)
    if kind == "int":
        return _refuse(value) if isinstance(value, float) else int(str(value))
    number = float(str(value))
    return number if math.isfinite(number) else _refuse(value)


def _names(value: Any) -> tuple[str, ...]:
    """Names that are given as a list, or in one text with spaces or commas between."""
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return _refuse(value)
    return tuple(words)


def _refuse(value: Any) -> NoReturn:
    raise ValueError(value)
