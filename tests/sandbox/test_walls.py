"""What a command inside can reach of the host: attacks for real."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Outcome, Place
from nightmill.sandbox.seccomp import DENIED, compile_filter
from tests.sandbox.box import Box, Within
from tests.sandbox.programs import PROBES, READ_ALL


@contextmanager
def attack() -> Iterator[Command]:
    """All probes as one command, while the host has what they look for."""
    abstract, listener = socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))
    abstract.bind(f"\0nightmill-test-{os.getpid()}")
    abstract.listen()
    env = {
        "CALLS": json.dumps({name: numbers for name, numbers in DENIED.items() if name != "vhangup"}),
        "ABSTRACT": f"nightmill-test-{os.getpid()}",
        "PORT": str(listener.getsockname()[1]),
    }
    with abstract, listener:
        yield Command(argv=("/usr/bin/python3", "-c", PROBES), cwd="/work", env=env)


def test_the_walls_hold_against_attacks_from_inside(within: Within) -> None:
    with attack() as command:

        async def scenario(box: Box) -> Outcome:
            return await box.sandbox.run(command)

        stood(within(scenario))


def stood(outcome: Outcome) -> None:
    """Fail unless every probe of `attack` was refused."""
    assert outcome.exit == 0, outcome.text
    found = json.loads(outcome.text.splitlines()[-1])
    assert {name: found[name] for name in DENIED if name in found and found[name] != "EPERM"} == {}
    assert found["clone3"] == "ENOSYS"
    assert found["newuser"] == "EPERM"
    assert {found[f"family {number}"] for number in (16, 17, 31, 38, 40, 44)} == {"EAFNOSUPPORT"}
    assert {found[f"family {number}"] for number in ("1", "2", "10", "16 route")} == {"open"}
    assert found["raw"] == "EPROTONOSUPPORT"
    refused = ["TIOCSTI", "TIOCSTI with high bits", "TIOCLINUX", "device", "block", "pidfd"]
    assert {name: found[name] for name in refused if found[name] != "EPERM"} == {}
    assert found["fifo"] == "open"
    assert [name for name in found if name.startswith(("write", "see", "read")) and found[name] == "open"] == []
    assert "open" not in {found[name] for name in ("setuid", "chown", "abstract socket", "host loopback", "network")}
    assert set(found["capabilities"]) == {"0" * 16}
    assert found["filter"] == ["1", "2"]
    assert found["descriptors"] == ["0", "1", "2", "3"]  # the last is the listing itself
    assert found["pids"] <= 4


def test_nothing_of_the_hosts_environment_is_inside(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary" + os.urandom(8).hex()
    monkeypatch.setenv("CANARY_TOKEN", canary)

    async def scenario(box: Box) -> Outcome:
        return await box.python(READ_ALL, canary[::-1])

    outcome = within(scenario)

    assert outcome.exit == 0
    assert outcome.text == "[]\n"


def test_paths_of_the_host_are_not_in_what_pid_1_was_started_with(within: Within, tmp_path: Path) -> None:
    async def scenario(box: Box) -> Outcome:
        return await box.sh("cat /proc/1/cmdline /proc/self/cgroup | tr '\\0' ' '")

    assert str(tmp_path) not in within(scenario).text


def test_shown_files_and_tools_are_read_only_and_the_places_own(within: Within, tmp_path: Path) -> None:
    tool, told = tmp_path / "tool", tmp_path / "told"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    told.write_text("told")

    async def scenario(box: Box) -> None:
        outcome = await box.sh(
            "mytool; cat /etc/told /opt/agent/told; echo x > /etc/told; rm -f /opt/agent/told; echo $SPECIAL"
        )
        assert outcome.text.startswith("tool\ntoldtold")
        assert outcome.text.endswith("value\n")

    files = {"/etc/told": told, "/opt/agent/told": told}
    within(scenario, tools={"mytool": tool}, files=files, env={"SPECIAL": "value"})
    assert told.read_text() == "told"


@pytest.mark.parametrize(
    "path",
    ["/work/x/y", "/tmp/x", "/usr/bin/sh", "/etc/../work/x", "etc/x", "/etc", "/etc/ssl/certs/x", "/proc/x", "/etc//x"],
)
def test_files_may_not_be_shown_where_an_agent_or_the_host_writes(within: Within, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")

    async def scenario(box: Box) -> None:
        raise AssertionError(path)

    with pytest.raises(SandboxError, match="not a place for a file"):
        within(scenario, files={path: tmp_path / "file"})


def test_a_link_left_by_an_agent_leads_a_later_start_nowhere(within: Within, tmp_path: Path, place: Place) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()

    async def plant(box: Box) -> str:
        await box.sh(
            f"rm -rf home; ln -s /oldroot{victim} home; ln -s /oldroot{victim} repo/evil; ln -s /oldroot{victim} env"
        )
        return await box.sandbox.snapshot()

    snapshot = within(plant)

    async def scenario(box: Box) -> str:
        return (await box.sh("ls -ld home repo/evil")).text

    assert "/oldroot" in within(scenario, snapshot=snapshot)
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize(("machine", "audit"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_refuses_other_architectures_and_garbage_in_high_bits(machine: str, audit: int) -> None:
    column = 0 if machine == "x86_64" else 1
    program = compile_filter(machine)
    allow, kill, eperm = 0x7FFF0000, 0x80000000, 0x00050001

    assert decide(program, 0, 0x40000003) == kill
    assert decide(program, 0x40000000 | 1, audit) == kill
    assert decide(program, 63, audit) == allow
    assert decide(program, 500, audit) == 0x00050000 | 38
    for numbers in DENIED.values():
        if numbers[column] >= 0:
            assert decide(program, numbers[column], audit) == eperm
    ioctl, sock, mknodat = ((16, 41, 259), (29, 198, 33))[column]
    assert decide(program, ioctl, audit, 0, 0x5412 | 1 << 40) == eperm
    assert decide(program, ioctl, audit, 0, 0x5401) == allow
    assert decide(program, sock, audit, 40 | 1 << 32, 1, 0) == 0x00050000 | 97
    assert decide(program, ioctl, audit, 0, 0x5423) == eperm
    pair, option = ((53, 54), (199, 208))[column]
    assert decide(program, option, audit, 5, 6 | 1 << 40, 31 | 1 << 40) == 0x00050000 | 92
    assert {decide(program, option, audit, 5, *words) for words in ((6, 1), (1, 31), (0, 0))} == {allow}
    refused = 0x00050000 | 97
    for family in range(50):
        for protocol in (0, 1, 6, 7, 17, 33, 58, 132, 262):
            known = family == 1 or (family, protocol) == (16, 0) or (family in {2, 10} and protocol in {0, 6, 17})
            wanted = allow if known else 0x00050000 | 93 if family in {2, 10} else refused
            assert decide(program, sock, audit, family | 1 << 40, 1, protocol | 1 << 40) == wanted
        assert decide(program, pair, audit, family, 1, 0) == (allow if family == 1 else refused)
    assert decide(program, mknodat, audit, 0, 0, 0o020600) == eperm
    assert decide(program, mknodat, audit, 0, 0, 0o010600) == allow


def test_an_unknown_architecture_gets_no_filter_at_all() -> None:
    with pytest.raises(SandboxError, match="riscv64"):
        compile_filter("riscv64")


def decide(program: bytes, number: int, audit: int, *words: int) -> int:
    """What the kernel would answer: classic BPF in eight lines."""
    seen = struct.pack("<iIQ6Q", number, audit, 0, *[*words, *[0] * 6][:6])
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        code, true, false, constant = steps[at]
        at += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            value = struct.unpack_from("<I", seen, constant)[0]
        elif code == 0x54:
            value &= constant
        else:
            holds = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[code]
            at += true if holds else false
