"""Files that may be open at once: all that the system allows are used, too few are refused, and when they are taken one line says so."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from nightmill.server.process import CROWDED, MOST, OWN, RARE
from tests.server.test_serve import AT, outside

FILES = 520


def limited(soft: int, hard: int, *words: str) -> list[str]:
    """The command line of nightmill with *words*, under limits."""
    shell = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    return ["sh", "-c", shell, "sh", sys.executable, "-m", "nightmill.cli", *words]


@contextmanager
def served(home: Path, soft: int, hard: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """(process, where it is)."""
    command = limited(soft, hard, "serve", "--port", "0", "--workers", "0", "--no-sign-in")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=outside(home)) as process:
        try:
            assert process.stderr is not None
            found = AT.search(process.stderr.readline())
            assert found
            yield process, found.group(1)
        finally:
            process.kill()


def test_a_server_takes_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    with served(tmp_path, 64, FILES) as (process, _):
        limits = Path(f"/proc/{process.pid}/limits").read_text()

    found = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits)
    assert found
    assert found.groups() == (str(FILES), str(FILES))


@pytest.mark.parametrize(("words", "what"), [(("serve", "--port", "0"), "a server"), (("worker",), "a worker of 20")])
def test_where_too_few_files_may_be_open_it_does_not_begin_and_says_how_many_are_needed(
    tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    done = subprocess.run(
        limited(100, 100, *words), env=outside(tmp_path), capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert f"100 files may be open at once, and {what}" in done.stderr
    assert "LimitNOFILE=" in done.stderr


def test_more_connections_than_there_are_files_are_told_so_and_take_nothing_from_the_others(tmp_path: Path) -> None:
    most = FILES - RARE - OWN
    assert most < MOST
    with served(tmp_path, FILES, FILES) as (process, at), httpx2.Client(base_url=at, timeout=60) as client:
        parts = urlsplit(at)
        assert client.get("/api/v1/runs").status_code == 200
        with ExitStack() as stack:
            for _ in range(most - 1):
                stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=60))
            late = [
                stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=60))
                for _ in range(99)
            ]
            assert {whole(each) for each in late} == {CROWDED}
            assert client.get("/api/v1/runs").status_code == 200, "who is in already is served"
        assert httpx2.get(f"{at}/api/v1/runs", timeout=60).status_code == 200
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == "", "nothing ran out"


def whole(line: socket.socket) -> bytes:
    """All that is said on *line*, to its end."""
    said = b""
    while more := line.recv(4096):
        said += more
    return said
