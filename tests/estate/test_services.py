"""Services of nightmill.yaml: read, given their data when the base is built, started for checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.estate import Project, Site, base, make_baseline, place, prepare
from nightmill.estate.environment import variables
from nightmill.estate.file import parse
from nightmill.estate.presets import PRESETS, find
from nightmill.estate.services import read
from nightmill.repo import Hub
from tests.beside import require
from tests.estate.conftest import quiet, shell

Write = Callable[[dict[str, str]], str]

ALL = ("postgres", "pg_isready", "initdb")

SERVER = """
services:
  - name: web
    run: exec python3 -m http.server 8000 --bind 127.0.0.1 --directory /work/repo
    setup: [mkdir -p /work/services/web]
    seed: ["exec 3<>/dev/tcp/127.0.0.1/8000; printf 'GET /a.txt HTTP/1.0\\r\\n\\r\\n' >&3; tail -1 <&3 > /work/services/web/seen"]
    ready: exec 3<>/dev/tcp/127.0.0.1/8000
checks:
  - {name: web, run: "exec 3<>/dev/tcp/127.0.0.1/8000; printf 'GET /a.txt HTTP/1.0\\r\\n\\r\\n' >&3; grep -q two <&3"}
"""


def described(text: str, root: Path) -> Project:
    return parse(text.encode(), root=root)


def test_every_key_of_a_service_is_read(tmp_path: Path) -> None:
    text = """
    services:
      - {name: db, run: exec db, ready: ask, seconds: 5, stop: INT, grace: 2, memory: 1 GB, cwd: sub, env: {A: b}}
      - {name: app, run: exec app, after: [db], setup: [one], seed: [two]}
    """
    db, app = described(text, tmp_path).services
    program = db.program
    assert (program.name, program.run, program.ready, program.patience) == ("db", "exec db", "ask", 5.0)
    assert (program.stop, program.grace, program.memory) == ("INT", 2.0, 1 << 30)
    assert (program.cwd, program.env) == ("/work/repo/sub", {"A": "b"})
    assert (app.program.after, app.setup, app.seed) == (("db",), ("one",), ("two",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ready: x}", "has no name"),
        ("{name: ../x, run: y}", "has no name that can be a file's"),
        ("{name: x}", "neither `run` nor `use`"),
        ("{name: x, run: y, after: [z]}", "'z', which is no other service"),
        ("{name: x, run: y, after: [x]}", "'x', which is no other service"),
        ("{name: x, run: y, stop: FOO}", "services[0].stop is 'FOO'"),
        ("{use: oracle}", "services[0].use is 'oracle'"),
        ("{name: a, run: y, after: [b]}, {name: b, run: y, after: [a]}", "waits for itself"),
    ],
)
def test_service_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        described(f"services: [{text}]", tmp_path)
    assert said in caught.value.message


def test_preset_whose_programs_are_missing_is_refused_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read([{"use": "postgres"}], root=tmp_path)
    assert "whose programs this machine does not have" in caught.value.message
    assert "apt install postgresql" in caught.value.hint


def test_newest_version_of_the_programs_is_taken_if_it_is_whole(tmp_path: Path) -> None:
    for version, programs in {"9.6": ALL, "15": ALL, "17": ALL[:2]}.items():
        folder = tmp_path / "usr/lib/postgresql" / version / "bin"
        folder.mkdir(parents=True)
        for name in programs:
            (folder / name).touch()
    assert find("postgres", root=tmp_path)[0] == "/usr/lib/postgresql/15/bin/postgres"


def test_presets_take_a_name_a_port_and_more_lines(tmp_path: Path) -> None:
    made = PRESETS["postgres"]("main", 5433, ("/usr/x/postgres", "/usr/x/initdb", "/usr/x/pg_isready"))
    assert made.name == "main"
    assert "port = 5433" in made.setup[1]
    assert "/work/services/main/postmaster.pid" in made.program.run
    assert made.variables["DATABASE_URL"] == "postgresql://postgres@127.0.0.1:5433/postgres"
    require("redis")
    (redis,) = described(
        "services: [{use: redis, name: cache, port: 7000, setup: [echo more], memory: 1 GB}]", tmp_path
    ).services
    assert redis.setup[-1] == "echo more"
    assert redis.program.memory == 1 << 30
    assert redis.variables == {"REDIS_URL": "redis://127.0.0.1:7000/0"}


def test_project_may_replace_a_variable_of_its_services(tmp_path: Path) -> None:
    require("redis")
    project = described("services: [{use: redis}]\nenv: {REDIS_URL: other}", tmp_path)
    assert variables(project)["REDIS_URL"] == "other"


def test_service_is_seeded_into_the_base_and_runs_beside_the_checks_of_the_commit(
    root: Path, commit: Write, hub: Hub, site: Site, tmp_path: Path
) -> None:
    first = commit({"a.txt": "one"})
    hub.take(root, "HEAD")
    project = described(SERVER, root)

    async def story() -> None:
        made = await base(project, hub=hub, commit=first, site=site, progress=quiet)
        assert (made.layers[0] / "services" / "web" / "seen").read_text() == "one"
        second = commit({"a.txt": "two"})
        hub.take(root, "HEAD")
        baseline = await make_baseline(project, made, hub=hub, commit=second, site=site, progress=quiet)
        assert baseline.failing == {"web": ()}
        assert baseline.passing == {"web": ("",)}

    asyncio.run(story())


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            '{name: bad, run: echo no such database; exit 3, ready: "false"}',
            "the service 'bad' has ended: exit status 3\nno such database",
        ),
        (
            "{name: bad, run: exec sleep 100, ready: echo nobody; false, seconds: 0.2}",
            "'bad' does not answer: it did not",
        ),
        ("{name: bad, run: exec sleep 100, setup: [echo oh; exit 4]}", "setup of the service 'bad' line 1 failed"),
        ("{name: bad, run: exec sleep 100, seed: [echo oh; exit 4]}", "seed of the service 'bad' line 1 failed"),
    ],
)
def test_service_that_does_not_come_up_stops_the_build_with_its_own_words(
    root: Path, commit: Write, hub: Hub, site: Site, record: str, said: str
) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    project = described(f"services: [{record}]", root)
    with pytest.raises(SettingsError) as caught:
        asyncio.run(base(project, hub=hub, commit=made, site=site, progress=quiet))
    assert said in caught.value.message
    assert not list((site.home / "projects" / project.id / "bases").glob(".*-*"))


def test_presets_start_with_their_data_and_each_run_has_its_own(
    root: Path, commit: Write, hub: Hub, site: Site, tmp_path: Path
) -> None:
    require("postgres", "redis")
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    seed = "psql -qc 'CREATE TABLE t (n int)' -c 'INSERT INTO t VALUES (1)'"
    text = f'services: [{{use: postgres, seed: ["{seed}"]}}, {{use: redis, seed: [redis-cli set k base]}}]'
    project = described(text, root)

    async def story() -> None:
        found = await base(project, hub=hub, commit=made, site=site, progress=quiet)
        sandboxes = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            workspace = await site.sandboxes.open(place(project, found, directory=tmp_path / name))
            await prepare(workspace, bundle="", commit=made, services=project.services)
            sandboxes.append(workspace)
        one, two = sandboxes
        assert [state.state for state in one.services.states()] == ["ready", "ready"]
        await shell(one, "psql -qc 'INSERT INTO t VALUES (2)'; redis-cli set k one")
        assert (
            await shell(one, "psql -Atc 'SELECT sum(n) FROM t' $DATABASE_URL; redis-cli -u $REDIS_URL get k")
            == "3\none"
        )
        assert await shell(two, "psql -Atc 'SELECT sum(n) FROM t'; redis-cli get k") == "1\nbase"
        for workspace in sandboxes:
            await workspace.close()

    asyncio.run(story())
