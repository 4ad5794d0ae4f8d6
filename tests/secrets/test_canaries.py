"""An agent looks for the operator's secrets, and none of them is found, in its sandbox or in anything that is kept."""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ScriptedFactory
from tests.secrets.relay import Heard, listening
from tests.whole import EDIT, FILES, FINISH, MODELS, SPEC, TRY, Mill, commit, git, repository, script

pytestmark = pytest.mark.slow

KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
VARIABLES = (
    *KEYS.values(),
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "DATABASE_PASSWORD",
    "NPM_TOKEN",
    "SSH_AUTH_SOCK",
    "GIT_CONFIG_VALUE_0",
    "PYTEST_ADDOPTS",
    "LD_LIBRARY_PATH",
    "BASH_ENV",
)
PRIVATE = (
    ".netrc",
    ".ssh/id_ed25519",
    ".aws/credentials",
    ".config/gh/hosts.yml",
    ".config/nightmill/token",
    ".docker/config.json",
    ".bash_history",
    ".git-credentials",
    ".pypirc",
    ".bashrc",
    ".profile",
)
GIT = """[user]
    signingkey = {canary}-signing
[credential]
    helper = "!echo password={canary}-helper"
[http]
    extraheader = "Authorization: Bearer {canary}-header"
[url "https://{canary}-instead@example.org/"]
    insteadOf = https://example.org/
[core]
    sshCommand = "ssh -i {canary}-ssh"
"""

LOOKING = (
    "cat public.txt | tee again.txt",
    "env; set; export -p",
    "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'",
    "ls -laR /root /home /work/home 2>&1 | head -300; cat /etc/passwd | tail -3",
    "git config --list --show-origin --show-scope; cat .git/config; git log --all --oneline; git remote -v",
    "cat ~/.netrc ~/.ssh/* ~/.aws/* ~/.git-credentials ~/.bash_history ~/.config/*/* 2>&1",
    "{cat}",
    "find / -xdev ( -name .netrc -o -name 'id_*' -o -name credentials -o -name '*.db' ) 2>/dev/null | head -50",
    "cat /proc/self/mountinfo /proc/mounts /proc/1/root/etc/hostname 2>&1; ls -la / /opt /mnt /tmp /run /var 2>&1",
    "grep -rIl '{start}' /work /tmp /mnt /opt /run /var /home /root /etc /srv 2>/dev/null | head",
    "python3 -c 'import os, pwd; print(os.environ, pwd.getpwuid(os.getuid()), os.listdir(\"/proc/1/fd\"))' 2>&1",
)
"""What an agent tries that wants to know. `{cat}` is a command for each file that is known by name."""


@dataclass(frozen=True, kw_only=True)
class Trap:
    """An installation full of canaries, each told from the others by its end."""

    mill: Mill
    checkout: Path
    canary: str
    public: str

    @property
    def start(self) -> str:
        """What all canaries begin with, in a form that is not itself one: a pattern that a search can be given."""
        return f"[{self.canary[0]}]{self.canary[1:]}"

    def found(self, body: bytes) -> list[str]:
        """The canaries in *body*."""
        pattern = re.escape(self.canary.encode()) + rb"-?[\w.-]{0,40}"
        return sorted({each.decode() for each in re.findall(pattern, body)})


def users() -> list[Any]:
    unprivileged = next((each.pw_name for each in pwd.getpwall() if each.pw_name in {"dev", "nobody"}), "")
    other = pytest.mark.skipif(os.getuid() != 0 or not unprivileged, reason="only root can be another user")
    return [pytest.param("", id="this user"), pytest.param(unprivileged, id="another user", marks=other)]


@pytest.fixture(params=users())
def trap(request: pytest.FixtureRequest) -> Iterator[Trap]:
    # Not pytest's own folder, which no other user can enter.
    folder = Path(tempfile.mkdtemp(prefix="nm-secrets-"))
    try:
        yield _set(folder, as_user=request.param)
    finally:
        shutil.rmtree(folder)


def test_no_secret_of_the_operator_is_seen_or_kept(trap: Trap, scripted: ScriptedFactory) -> None:
    turns = [{"text": "I look.", "tool_calls": [_call(trap, command)]} for command in LOOKING]
    turns.append({"text": "I read.", "tool_calls": [*_reads(trap)]})
    model = scripted(script(*turns, EDIT, TRY, FINISH))
    with listening(model.url) as heard, trap.mill.worker() as worker:
        _clean(trap, trap.mill.run("init", at=trap.checkout))
        for dialect in ("anthropic", "openai"):
            done = trap.mill.run(
                "run", _spec(trap), "--model", MODELS[dialect], "--base-url", heard.url, at=trap.checkout
            )
            assert done.returncode == 0, done.stdout + done.stderr
            _clean(trap, done)
        assert worker.poll() is None
        shown = [trap.mill.run(*words, at=trap.checkout) for words in _questions(trap)]

    assert not {str(done.args): found for done in shown if (found := trap.found((done.stdout + done.stderr).encode()))}
    assert not [done.stderr for done in shown if done.returncode]
    _sees_what_is_no_secret(trap, heard)
    assert _in_requests(trap, heard) == {}
    assert _in_files(trap) == {}
    assert _in_objects(trap) == []


def _sees_what_is_no_secret(trap: Trap, heard: Heard) -> None:
    """The looking and the searching work: a word that the repository holds is found wherever a canary must not be."""
    public = replace(trap, canary=trap.public)
    assert b"PATH=" in b"".join(each.body for each in heard.requests)
    assert _in_requests(public, heard)
    kept = " ".join(_in_files(public))
    assert all(place in kept for place in ("/layer/", "/packs/", "blobs/", "report.html")), kept
    assert _in_objects(public)


def _set(folder: Path, *, as_user: str) -> Trap:
    canary, public = f"canary{secrets.token_hex(6)}", f"public{secrets.token_hex(6)}"
    environment = {name: f"{canary}-{name}" for name in VARIABLES}
    environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraheader"}
    before: tuple[str, ...] = ()
    if as_user:
        entry = pwd.getpwnam(as_user)
        before = ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--")
        environment |= {"USER": as_user, "LOGNAME": as_user}
        if subprocess.run([*before, sys.executable, "-c", "import nightmill"], cwd="/", check=False).returncode:
            pytest.skip("the other user cannot start this Python, or cannot read this checkout")
    mill = Mill(folder=folder, before=before, environment=environment)
    for name in PRIVATE:
        path = mill.user / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{canary}-{name.replace('/', '_')}\n")
    (mill.user / ".gitconfig").write_text(GIT.format(canary=f"{canary}-git"))
    install = {**FILES, "nightmill.yaml": 'install: ["env > .installed; env"]\n' + FILES["nightmill.yaml"]}
    checkout = repository(folder / "checkout", {**install, "public.txt": public, ".gitignore": "__pycache__/\n.env\n"})
    _plant(checkout, canary)
    if as_user:
        subprocess.run(["chown", "-R", f"{as_user}:", str(folder)], check=True)
    return Trap(mill=mill, checkout=checkout, canary=canary, public=public)


def _plant(checkout: Path, canary: str) -> None:
    """What a checkout holds that is no part of the branch that is worked on."""
    git(checkout, "switch", "-q", "-c", "private")
    (checkout / "private.txt").write_text(f"{canary}-branch\n")
    commit(checkout, f"{canary}-message")
    git(checkout, "switch", "-q", "main")
    git(checkout, "remote", "add", "origin", f"https://ada:{canary}-remote@example.org/x.git")
    git(checkout, "config", "http.extraheader", f"Authorization: {canary}-local")
    (checkout / ".env").write_text(f"PASSWORD={canary}-dotenv\n")
    (checkout / "notes.txt").write_text(f"{canary}-untracked\n")
    (checkout / ".git/hooks/pre-commit").write_text(f"#!/bin/sh\necho {canary}-hook\n")


def _call(trap: Trap, command: str) -> dict[str, Any]:
    names = [trap.mill.user / name for name in (*PRIVATE, ".gitconfig")]
    more = [trap.checkout / ".env", trap.checkout / ".git/config", trap.mill.home / "nightmill.db", trap.mill.log]
    words = {"cat": "cat " + " ".join(map(str, (*names, *more))) + " 2>&1", "start": trap.start}
    for name, value in words.items():
        command = command.replace("{" + name + "}", value)
    return {"name": "run_command", "arguments": {"command": command}}


def _reads(trap: Trap) -> Iterator[dict[str, Any]]:
    """The tools that take a path, given one of the host's."""
    netrc = str(trap.mill.user / ".netrc")
    yield {"name": "read_file", "arguments": {"path": netrc}}
    yield {"name": "read_file", "arguments": {"path": "../../../../../../.." + netrc}}
    yield {"name": "read_file", "arguments": {"path": "/proc/self/environ"}}
    yield {"name": "list_files", "arguments": {"path": str(trap.mill.user)}}
    yield {"name": "search", "arguments": {"pattern": trap.start, "path": "/work"}}


def _spec(trap: Trap) -> Path:
    path = trap.mill.folder / "SPEC.md"
    path.write_text(SPEC.format(title=""), encoding="utf-8")
    return path


def _questions(trap: Trap) -> list[tuple[str | Path, ...]]:
    run = trap.mill.json("runs")[0]["id"]
    return [
        ("settings", "--json"),
        ("doctor",),
        ("runs", "--json"),
        ("prs", "--json"),
        ("pr", "show", "1"),
        ("pr", "show", "1", "--json"),
        ("show", run),
        ("show", run, "--json"),
        ("log", run, "--json"),
        ("show", run, "--html", trap.mill.home / "report.html"),
    ]


def _clean(trap: Trap, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert not trap.found((done.stdout + done.stderr).encode())


def _in_requests(trap: Trap, heard: Heard) -> Mapping[str, list[str]]:
    """Canaries that a provider was told, but for its own key in its own header."""
    assert heard.requests
    leaks = {}
    for number, request in enumerate(heard.requests):
        headers = {name.lower(): value for name, value in request.headers.items()}
        own = "anthropic" if "x-api-key" in headers else "openai"
        key = headers.pop("x-api-key", "") or headers.pop("authorization", "").removeprefix("Bearer ")
        assert key == trap.mill.environment[KEYS[own]]
        if found := trap.found(request.body + json.dumps(headers).encode()):
            leaks[f"request {number}"] = found
    return leaks


def _in_files(trap: Trap) -> Mapping[str, list[str]]:
    """Canaries in nightmill's home (databases, blobs, layers, packs, report) and in what its worker said."""
    leaks = {}
    paths = [trap.mill.log, *(path for path in trap.mill.home.rglob("*") if path.is_file() and not path.is_symlink())]
    assert len(paths) > 20
    for path in paths:
        if found := trap.found(path.read_bytes() + os.fsencode(path)):
            leaks[str(path.relative_to(trap.mill.folder))] = found
    return leaks


def _in_objects(trap: Trap) -> list[str]:
    """Canaries in any object of any repository in the home, which git keeps compressed."""
    heads = [path.parent for path in trap.mill.home.rglob("HEAD") if (path.parent / "objects").is_dir()]
    assert len(heads) >= 2, "the hub, and the checkout in the base"
    found: list[str] = []
    for folder in heads:
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch", "--unordered"],
            env={"PATH": os.defpath, "GIT_DIR": str(folder), "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            check=True,
        )
        assert b"Adding" in listed.stdout or b"Add two numbers" in listed.stdout
        found += trap.found(listed.stdout)
    return found
