"""The demo's codebase: the source archive of a published package, pinned by its hash, as a git repository."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import tomllib
import urllib.request
from pathlib import Path

import uv

from nightmill.errors import SettingsError

__all__ = ["checkout", "commit"]

PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+) --hash=sha256:(?P<digest>[0-9a-f]{64})")
SECONDS = 60.0
AUTHOR = ("-c", "user.name=nightmill demo", "-c", "user.email=demo@nightmill.invalid", "-c", "commit.gpgSign=false")


def checkout(folder: Path) -> Path:
    """A repository with the package in *folder*, made if it is not there yet.

    Raises:
        SettingsError: If the archive cannot be had, or is not the one that was pinned.
    """
    pin = PIN.search((Path(__file__).parent / "package.txt").read_text(encoding="utf-8"))
    if pin is None:
        raise SettingsError("the demo's pin cannot be read", hint="install nightmill again")
    root = folder.absolute() / pin["name"]
    if (root / ".git").is_dir():
        return root
    made = folder.absolute() / f".{pin['name']}.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    body = _archive(pin["name"], pin["version"], pin["digest"])
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        # Python before 3.11.4 has no extraction filter; the archive is the pinned one, and links are left out.
        archive.extractall(made, members=[each for each in archive if each.isreg() or each.isdir()])  # noqa: S202 - see above
    (source,) = made.iterdir()
    _git(source, "init", "--quiet", "--initial-branch=main")
    _git(source, "add", "--all", "--force")
    _git(source, *AUTHOR, "commit", "--quiet", "--no-verify", f"--message={pin['name']} {pin['version']}, as published")
    shutil.rmtree(root, ignore_errors=True)
    source.rename(root)
    made.rmdir()
    return root


def commit(root: Path, name: str) -> None:
    """Commit the file *name* of the repository at *root*, if it is not committed as it is."""
    _git(root, "add", "--", name)
    if subprocess.run(["git", "diff", "--cached", "--quiet"], cwd=root, check=False).returncode:
        _git(root, *AUTHOR, "commit", "--quiet", "--no-verify", f"--message={name}: how it is tested")


def _archive(name: str, version: str, digest: str) -> bytes:
    """The source archive, from wherever this machine's packages come from."""
    ask = [uv.find_uv_bin(), "pip", "compile", "-", "--quiet", "--no-deps", "--no-header", "--format", "pylock.toml"]
    ask.append("--system-certs")  # as the set-up does: a company's own authority is one that this machine trusts
    found = subprocess.run(ask, input=f"{name}=={version}\n", capture_output=True, text=True, check=False)
    if found.returncode:
        raise SettingsError(
            f"{name} {version} cannot be found: {found.stderr.strip()[-500:]}", hint="is the network up?"
        )
    url = tomllib.loads(found.stdout)["packages"][0]["sdist"]["url"]
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as reply:  # noqa: S310 - the index said so, the hash decides
            body: bytes = reply.read()
    except OSError as error:
        raise SettingsError(
            f"the source of {name} {version} cannot be had: {error}", hint="is the network up?"
        ) from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise SettingsError(f"the source of {name} {version} is not the one that the demo was made with")
    return body


def _git(folder: Path, *args: str) -> None:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"git {args[0]} failed: {done.stderr.strip()}", hint="is git installed?")
