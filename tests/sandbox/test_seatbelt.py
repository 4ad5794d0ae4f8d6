"""The text that macOS would be given. No Mac has run it: these tests read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox.backends.seatbelt import Mac, clone, command, profile

WORK = Path("/Users", "someone", "nightmill", "runs", "1", "work")


def rules(text: str) -> list[str]:
    """Its lines."""
    return text.splitlines()


def test_everything_is_denied_first_and_little_is_allowed_after() -> None:
    lines = rules(profile(Mac(work=WORK)))

    assert lines[:2] == ["(version 1)", "(deny default)"]
    assert all(re.match(r"\((allow|deny) [a-z*-]", line) for line in lines[2:])
    assert all(line.count("(") == line.count(")") for line in lines)


def test_only_the_work_folder_and_two_devices_can_be_written() -> None:
    writing = [line for line in rules(profile(Mac(work=WORK))) if "file-write" in line and line.startswith("(allow")]

    assert writing == [
        f'(allow file-read* file-write* (subpath "{WORK}"))',
        '(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))',
    ]


def test_no_home_and_no_secret_of_the_machine_can_be_read() -> None:
    reading = [line for line in rules(profile(Mac(work=WORK))) if "file-read*" in line]

    for never in ("/Users", "/Volumes", "/private/var/folders", "/Library/Keychains", "/private/etc/master.passwd"):
        assert all(f'"{never}"' not in line for line in reading)
    assert all('(subpath "/")' not in line for line in reading)


def test_there_is_no_network_but_the_proxys_port() -> None:
    assert "network" not in profile(Mac(work=WORK))
    assert '(allow network-outbound (remote ip "localhost:3128"))' in profile(Mac(work=WORK, port=3128))
    assert "network-inbound" not in profile(Mac(work=WORK, port=3128))


@pytest.mark.parametrize("path", ['/a") (allow default', "/a\\b", "/a\nb", "relative", "/a/../b", "/a\x00"])
def test_a_path_that_could_add_a_rule_is_refused(path: str) -> None:
    with pytest.raises(SandboxError, match="Seatbelt"):
        profile(Mac(work=Path(path)))
    with pytest.raises(SandboxError, match="Seatbelt"):
        profile(Mac(work=WORK, shown=(Path(path),)))


def test_a_program_is_started_by_the_systems_own_program_and_a_fork_shares_blocks() -> None:
    started = command("/bin/sh", "-c", "true", file=Path("/p.sb"))

    assert started == ["/usr/bin/sandbox-exec", "-f", "/p.sb", "/bin/sh", "-c", "true"]
    assert clone(Path("/a"), Path("/b")) == ["/bin/cp", "-c", "-p", "-R", "/a/.", "/b"]
