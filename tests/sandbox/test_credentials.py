"""Credentials used from inside real sandboxes, by the tools that people use, and found nowhere in them."""

from __future__ import annotations

import base64
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from uv import find_uv_bin

from nightmill.errors import SandboxError
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.network.authority import Authority
from nightmill.sandbox.network.credential import Credential
from nightmill.sandbox.network.reach import Network, Request
from tests.sandbox.box import Box, Within
from tests.sandbox.githost import serving
from tests.sandbox.test_tls import SECRET, loopback
from tests.sandbox.web import web

HOST = "host.example"

LEAKS = """
import os, sys
secrets = [bytes.fromhex(word) for word in sys.argv[1:]]
found = [name for name, value in os.environb.items() if any(each in value for each in secrets)]
for top in ("/work", "/run", "/tmp", "/etc", "/proc/self", "/proc/1"):
    for folder, folders, files in os.walk(top):
        folders[:] = [] if folder.count("/") > 6 else folders
        for name in files:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 22:
                    body = open(path, "rb").read(1 << 22)
                    found += [path] if any(each in body for each in secrets) else []
            except OSError:
                pass
print(found)
"""


def sandboxes(folder: Path, authority: Authority, one: Credential, told: list[Request]) -> BubblewrapSandboxes:
    file = folder / "authority.pem"
    file.write_bytes(authority.certificate)
    network = Network(
        private=frozenset({HOST}),
        lookup=loopback,
        authorities=file,
        credentials=(one,),
        on_request=lambda _, made: told.append(made),
    )
    return BubblewrapSandboxes(network=network)


def bare(folder: Path) -> Path:
    """A bare repository with one commit."""
    repository = folder / "served" / "own.git"
    repository.mkdir(parents=True)
    script = """
    git init -q --bare --initial-branch=main . && git config http.receivepack true
    tree=$(printf '' | git mktree)
    commit=$(git -c user.name=a -c user.email=a@b.c commit-tree -m first "$tree")
    git update-ref refs/heads/main "$commit"
    """
    subprocess.run(["bash", "-ec", script], cwd=repository, check=True)
    return repository


def test_git_clones_and_pushes_with_a_password_that_the_sandbox_never_sees(within: Within, tmp_path: Path) -> None:
    authority, repository, told = Authority(now=time.time), bare(tmp_path), []
    sent = base64.b64encode(f"x-access-token:{SECRET}".encode()).decode()

    async def scenario(box: Box) -> None:
        done = await box.sh(f"""
        set -e
        git clone -q https://{HOST}:{port}/own.git copy
        cd copy
        git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m second
        head -c 3000000 /dev/urandom > large; git add large
        git -c user.name=a -c user.email=a@b.c commit -q -m third
        git push -q origin HEAD:refs/heads/agent
        echo "$GIT_TOKEN"
        """)
        assert done.text == "nightmill-placeholder-own\n", done.text
        leaks = await box.python(LEAKS, SECRET.encode().hex(), sent.encode().hex())
        assert leaks.text == "[]\n"
        await box.sandbox.snapshot()

    with serving(tmp_path / "served", authorization=f"Basic {sent}", tls=authority.context(HOST)) as port:
        one = Credential(
            name="own", host=HOST, port=port, scheme="basic", variable="GIT_TOKEN", projects=("*",), secret=SECRET
        )
        made = sandboxes(tmp_path, authority, one, told)
        within(scenario, sandboxes=made, hosts=(HOST,), credentials=("own",))

    log = subprocess.run(["git", "log", "--format=%s", "agent"], cwd=repository, check=True, capture_output=True)
    assert log.stdout.decode().splitlines() == ["third", "second", "first"]
    assert {(each.credential, each.allowed) for each in told} == {("own", True)}
    assert {"GET", "POST"} == {each.method for each in told}
    assert not [
        path for path in (tmp_path / "run").rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]


TOOLS = {
    "curl": "curl -sS $URL",
    "python3": "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' $URL",
    "npm": "npm view absent --fetch-retries 0 --registry $URL; true",
    "git": "git ls-remote $URL; true",
    "uv": "uv pip install --no-cache --target /tmp/x --index-url $URL absent; true",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_trusts_the_sandboxs_own_authority_and_is_given_the_credential(
    within: Within, tmp_path: Path, tool: str
) -> None:
    authority, heads = Authority(now=time.time), []
    told: list[Request] = []

    async def scenario(box: Box) -> None:
        async with web(heads, tls=authority.context(HOST)) as port:
            one = Credential(name="own", host=HOST, port=port, projects=("*",), secret=SECRET)
            box.sandbox.egress.credentials.append(one)  # type: ignore[union-attr]
            if (await box.sh(f"command -v {tool}")).exit:
                pytest.skip(f"this machine has no {tool}")
            said = await box.sh(f"URL=https://{HOST}:{port}/x; {TOOLS[tool]}")
        assert heads, said.text

    first = Credential(name="own", host=HOST, projects=("*",), secret=SECRET)
    made = sandboxes(tmp_path, authority, first, told)
    tools = {"uv": Path(find_uv_bin())}
    within(scenario, sandboxes=made, hosts=(HOST,), credentials=("own",), tools=tools)

    assert f"Authorization: Bearer {SECRET}".encode() in heads[0]
    assert told[0].credential == "own"


def test_a_private_hosts_own_authority_is_trusted_in_an_unopened_tunnel(within: Within, tmp_path: Path) -> None:
    authority, heads = Authority(now=time.time), []
    told: list[Request] = []

    async def scenario(box: Box) -> None:
        async with web(heads, tls=authority.context(HOST)) as port:
            box.sandbox.egress.network = replace(box.sandbox.egress.network, ports=frozenset({port}))  # type: ignore[union-attr]
            said = await box.sh(f"curl -sS https://{HOST}:{port}/x")
            assert said.text == "hello", said.text
            await box.sandbox.reach(())
            assert (await box.sh(f"curl -sS https://{HOST}:{port}/x")).exit
            with pytest.raises(SandboxError, match="made for"):
                await box.sandbox.reach(("other.example",))

    one = Credential(name="own", host=HOST, projects=("*",), secret=SECRET)
    within(scenario, sandboxes=sandboxes(tmp_path, authority, one, told), hosts=(HOST,))

    assert [(made.method, made.allowed, made.credential) for made in told] == [
        ("CONNECT", True, ""),
        ("CONNECT", False, ""),
    ]
