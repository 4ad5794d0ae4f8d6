"""Who a role is in commits: a name, an address and a key that signs."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SettingsError

__all__ = ["Identity", "identity", "signers"]

ROLE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
DOMAIN = re.compile(
    r"(?=.{1,200}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A role as git knows it. *key* is its private key's file, *public* the key's public line."""

    name: str
    email: str
    key: Path
    public: str


def signers(home: Path) -> Path:
    """The OpenSSH allowed signers file of all roles of *home*, by which `git verify-commit` judges."""
    return home / "keys" / "allowed_signers"


def identity(role: str, *, home: Path, domain: str, program: str = "ssh-keygen") -> Identity:
    """The identity of *role*, whose Ed25519 key is made the first time, once, however many ask at once.

    Raises:
        SettingsError: If the key cannot be made or read, or the name or *domain* cannot be part of an address.
    """
    if not ROLE.fullmatch(role):
        raise SettingsError(f"{role!r} is not the name of a role", hint="use lower case letters, digits and '-'")
    if not DOMAIN.fullmatch(domain):
        raise SettingsError(
            f"the setting identity_domain is {domain!r}, which is no domain", hint="such as agents.example.org"
        )
    email = f"{role}@{domain}"
    keys = home / "keys"
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(keys / ".lock"):
            if not (keys / role / "key").exists():
                _make(keys, role, program)
            public = (keys / role / "key.pub").read_text(encoding="ascii").strip()
            _allow(signers(home), email, public)
    except OSError as error:
        raise SettingsError(
            f"the key of {role!r} in {str(keys)!r} fails: {error}", hint="make the folder yours and writable"
        ) from error
    return Identity(name=f"nightmill {role}", email=email, key=keys / role / "key", public=public)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for a moment, by short steps only
        yield
    finally:
        os.close(lock)


def _make(keys: Path, role: str, program: str) -> None:
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=keys))
    try:
        argv = [program, "-q", "-t", "ed25519", "-N", "", "-C", f"nightmill {role}", "-f", str(made / "key")]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
        ran = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
        if ran.returncode:
            said = ran.stderr.decode("utf-8", "replace").strip()
            raise SettingsError(
                f"ssh-keygen makes no key: {said or ran.returncode}", hint="see whether the disk is full"
            )
        for name in ("key", "key.pub"):
            _settle(made / name)
        made.rename(keys / role)
        _settle(keys)
    except FileNotFoundError as error:
        raise SettingsError(
            "there is no ssh-keygen, which makes the keys that sign", hint="apt install openssh-client"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"ssh-keygen did not end within {SECONDS:g} s", hint="try it by hand") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _allow(file: Path, email: str, public: str) -> None:
    """Add a line; those of earlier domains stay, so that old commits still verify."""
    algorithm, key = public.split()[:2]
    line = f'{email} namespaces="git" {algorithm} {key}\n'
    known = file.read_text(encoding="ascii") if file.exists() else ""
    if line not in known.splitlines(keepends=True):
        unfinished = file.with_name(".allowed_signers.part")
        unfinished.write_text(known + line, encoding="ascii")
        _settle(unfinished)
        unfinished.replace(file)


def _settle(path: Path) -> None:
    """Make *path* last through a power cut before anything is built on it."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
