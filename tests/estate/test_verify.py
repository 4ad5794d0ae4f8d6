"""Two builds of one environment, compared: what differs is named, and what is known to differ is counted."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.estate import Environment, Project, Site, base, detect, make_baseline
from nightmill.estate.compare import WHYS, compare
from nightmill.estate.file import parse
from nightmill.estate.tools import found as found_here
from nightmill.estate.verify import verify
from nightmill.estate.write import render
from nightmill.repo import Hub
from nightmill.review import Baseline
from nightmill.sandbox.disk.layers import remove
from tests.estate.conftest import quiet

Write = Callable[[dict[str, str]], str]


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders that hold the same, mode, link and pipe included, with the same times."""
    one, other = tmp_path / "one", tmp_path / "other"
    for name in ("repo/.git/logs", "env/x.dist-info", "home/.npm/_logs", "env/shut"):
        (one / name).mkdir(parents=True)
    for name in ("repo/a.txt", "repo/.git/index", "repo/.git/logs/HEAD", "env/x.dist-info/RECORD", "env/m.pyc"):
        (one / name).write_bytes(b"0123456789abcdefghij")
    (one / "link").symlink_to("/etc/passwd")
    os.link(one / "repo/a.txt", one / "repo/b.txt")
    shutil.copytree(one, other, symlinks=True)
    (other / "repo/b.txt").unlink()
    os.link(other / "repo/a.txt", other / "repo/b.txt")
    for top in (one, other):
        os.mkfifo(top / "pipe")
        for path in (top, *top.rglob("*")):
            os.utime(path, (1, 1), follow_symlinks=False)
    return one, other


def found(layers: tuple[Path, Path]) -> list[tuple[str, str]]:
    return [(each.path, each.what) for each in compare(*layers).differences]


def test_layers_that_are_the_same_are_said_to_be(layers: tuple[Path, Path]) -> None:
    seen = compare(*layers)
    assert seen.same
    assert seen.known == {}
    assert seen.entries == len(list(layers[0].rglob("*")))


def test_every_kind_of_difference_is_named(layers: tuple[Path, Path]) -> None:
    other = layers[1]
    (other / "repo/new\n").write_text("")
    (other / "repo/a.txt").write_text("else")
    (other / "env/m.pyc").chmod(0o600)
    (other / "link").unlink()
    (other / "link").symlink_to("/etc/hosts")
    (other / "pipe").unlink()
    (other / "pipe").write_text("")
    assert found(layers) == [
        ("env/m.pyc", "mode: 0644, 0600"),
        ("link", "target"),
        ("pipe", "type: pipe, file"),
        ("repo/a.txt", "content"),
        ("repo/b.txt", "content"),
        ("repo/new\\n", "only in the second"),
    ]


def test_a_link_that_became_a_copy_is_seen(layers: tuple[Path, Path]) -> None:
    body = (layers[1] / "repo/b.txt").read_bytes()
    (layers[1] / "repo/b.txt").unlink()
    (layers[1] / "repo/b.txt").write_bytes(body)
    assert found(layers) == [("repo/a.txt", "hard links"), ("repo/b.txt", "hard links")]


def test_an_attribute_is_seen(layers: tuple[Path, Path]) -> None:
    try:
        os.setxattr(layers[1] / "repo/a.txt", "user.x", b"1")
    except OSError:
        pytest.skip("this file system has no attributes of users")
    assert found(layers) == [("repo/a.txt", "attributes"), ("repo/b.txt", "attributes")]


def test_what_is_known_to_differ_is_counted_and_never_dropped(layers: tuple[Path, Path]) -> None:
    other = layers[1]
    for name in ("repo/.git/index", "repo/.git/logs/HEAD", "env/x.dist-info/RECORD"):
        (other / name).write_text("else")
    (other / "env/m.pyc").write_bytes(b"0123!!!!!!!!!!!!ghij")
    (other / "home/.npm/_logs/now.log").write_text("")
    os.utime(other / "home/.npm/_logs", (1, 1))
    os.utime(other / "repo", (2, 2))
    seen = compare(*layers)
    assert seen.same
    assert seen.known == {"git": 2, "installer": 1, "byte code": 1, "cache": 1, "times": 1}
    assert set(seen.known) <= set(WHYS)


def test_only_content_is_forgiven_and_only_where_it_is_known(layers: tuple[Path, Path]) -> None:
    other = layers[1]
    (other / "repo/.git/index").chmod(0o755)
    (other / "env/x.dist-info/RECORD").unlink()
    (other / "env/x.dist-info/RECORD").symlink_to("x")
    (other / "env/m.pyc").write_bytes(b"0123456789abcdefghi!")
    (other / "repo/RECORD").write_text("")
    assert [path for path, _ in found(layers)] == [
        "env/m.pyc",
        "env/x.dist-info/RECORD",
        "repo/.git/index",
        "repo/RECORD",
    ]


@pytest.mark.parametrize(
    ("path", "category"),
    [
        ("repo/node_modules/.modules.yaml", "installer"),
        ("env/nix/nix/var/nix/db/db.sqlite", "installer"),
        ("home/.cache/nix/eval.sqlite", "cache"),
        ("home/.npm/_cacache/index-v5/a", "cache"),
        ("home/.local/share/pnpm/store/v3/files/db/2c-index.json", "cache"),
        ("services/postgres/data/global/1", "services"),
        ("home/.cache/node/corepack/pnpm.cjs", ""),
        ("home/.local/share/pnpm/store/v3/files/db/2c", ""),
        ("env/nix/nix/store/x/bin/y", ""),
        ("repo/services/x", ""),
        ("env/lib/x.dist-info/METADATA", ""),
        ("env/x.dist-info/RECORD/deeper", ""),
    ],
)
def test_only_what_no_test_reads_is_a_category(layers: tuple[Path, Path], path: str, category: str) -> None:
    for top in layers:
        (top / "env/x.dist-info/RECORD").unlink()
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(top.name)
    seen = compare(*layers)
    assert seen.known.get(category, 0) == (1 if category else 0)
    assert [each.path for each in seen.differences] == ([] if category else [path])


def test_shut_folders_and_files_are_read_all_the_same(layers: tuple[Path, Path]) -> None:
    for top in layers:
        (top / "env/shut/x").write_text(top.name)
        (top / "env/shut/x").chmod(0)
        (top / "env/shut").chmod(0)
    assert ("env/shut/x", "content") in found(layers)
    for top in layers:
        remove(top)


def described(root: Path, *install: str) -> Project:
    wanted = Environment(install=install)
    return Project(id="own-12345678", root=root, language="python", environment=wanted, checks=())


def test_an_environment_is_built_twice_and_compared(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit({"a.txt": "1"})
    hub.take(root, "HEAD")
    steady = "mkdir -p /work/env && date -u -d @$SOURCE_DATE_EPOCH > /work/env/when"
    same = asyncio.run(verify(described(root, steady), hub=hub, commit=made, site=site, progress=quiet))
    other = asyncio.run(
        verify(described(root, steady, "date +%N > /work/env/now"), hub=hub, commit=made, site=site, progress=quiet)
    )

    assert same.same, same.differences
    assert same.known["times"]
    assert [(each.path, each.what) for each in other.differences] == [("env/now", "content")]
    assert not (site.home / "projects/own-12345678/verified").exists()


def test_what_a_killed_comparison_left_is_swept_and_two_wait_for_each_other(
    root: Path, commit: Write, hub: Hub, site: Site
) -> None:
    made = commit({"a.txt": "1"})
    hub.take(root, "HEAD")
    left = site.home / "projects/own-12345678/verified/first/run/upper"
    left.mkdir(parents=True)
    left.chmod(0)

    async def story() -> list[bool]:
        both = [verify(described(root, "true"), hub=hub, commit=made, site=site, progress=quiet) for _ in range(2)]
        return [seen.same for seen in await asyncio.gather(*both)]

    assert asyncio.run(story()) == [True, True]


def test_a_build_that_fails_leaves_nothing(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit({"a.txt": "1"})
    hub.take(root, "HEAD")
    with pytest.raises(SettingsError, match="install line 1 failed"):
        asyncio.run(verify(described(root, "false"), hub=hub, commit=made, site=site, progress=quiet))
    assert not (site.home / "projects/own-12345678/verified").exists()


@pytest.mark.slow
def test_a_python_environment_is_the_same_twice(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit({"pyproject.toml": '[project]\nname="x"\nversion="1"\ndependencies=["iniconfig"]\n'})
    hub.take(root, "HEAD")
    wanted = Environment(install=("uv venv /work/env", "uv pip install --no-cache -r pyproject.toml"), hosts=("pypi",))
    project = Project(id="own-12345678", root=root, language="python", environment=wanted, checks=())
    seen = asyncio.run(verify(project, hub=hub, commit=made, site=site, progress=quiet))

    assert seen.same, seen.differences
    assert "byte code" not in seen.known, "compiled files name their source by its hash"


@pytest.mark.slow
@pytest.mark.skipif(not found_here("npm"), reason="this machine has no npm in /usr")
def test_a_node_environment_is_the_same_twice_but_for_its_cache(
    root: Path, commit: Write, hub: Hub, site: Site
) -> None:
    made = commit({"package.json": '{"name":"x","version":"1.0.0","dependencies":{"minimist":"1.2.8"}}'})
    hub.take(root, "HEAD")
    project = detect(root, ["package.json"])
    wanted = Environment(install=project.install, hosts=project.hosts, env=project.env, locks=project.locks)
    own = Project(id="own-12345678", root=root, language="javascript", environment=wanted, checks=())
    seen = asyncio.run(verify(own, hub=hub, commit=made, site=site, progress=quiet))

    assert seen.same, seen.differences
    assert seen.known["cache"]


@pytest.mark.skipif(not found_here("nix"), reason="this machine has no nix in /usr")
@pytest.mark.parametrize(
    ("outputs", "passes"),
    [("lib.x = 1;", True), ("packages.x86_64-linux.default = 3;", False)],
    ids=["sound", "faulty"],
)
def test_a_flake_is_evaluated_inside(
    root: Path, commit: Write, hub: Hub, site: Site, outputs: str, *, passes: bool
) -> None:
    made = commit({"flake.nix": f"{{ outputs = {{ self }}: {{ {outputs} }}; }}"})
    hub.take(root, "HEAD")
    project = parse(render(detect(root, ["flake.nix"])).encode(), root=root)

    async def story() -> Baseline:
        stands = await base(project, hub=hub, commit=made, site=site, progress=quiet)
        return await make_baseline(project, stands, hub=hub, commit=made, site=site, progress=quiet)

    assert (asyncio.run(story()).passing["flake"] == ("",)) is passes
