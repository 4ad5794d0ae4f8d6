"""Bases, baselines and moving between commits, in real sandboxes; only the slow one needs the network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.estate import (
    BUNDLE,
    Environment,
    Project,
    Site,
    base,
    definition,
    initialise,
    make_baseline,
    parcel,
    place,
    prepare,
)
from nightmill.estate.environment import access, connected
from nightmill.estate.nouns import Access
from nightmill.estate.registry import resolve
from nightmill.repo import Hub
from nightmill.review import Check
from nightmill.sandbox import Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.network.credential import Credential
from tests.estate.conftest import quiet, shell
from tests.sandbox.unwalled import unwalled

Write = Callable[[dict[str, str]], str]


def described(root: Path, *install: str, locks: tuple[str, ...] = (), checks: tuple[Check, ...] = ()) -> Project:
    wanted = Environment(install=install, locks=locks, env={"GREETING": "hello"})
    return Project(id="own-12345678", root=root, language="python", environment=wanted, checks=checks)


@pytest.mark.parametrize(
    "site", [BubblewrapSandboxes, unwalled], ids=["bubblewrap", "as on macOS, without a wall"], indirect=True
)
def test_base_holds_the_checkout_and_what_was_installed_and_moves_to_any_commit(
    root: Path, commit: Write, hub: Hub, site: Site, tmp_path: Path
) -> None:
    first = commit({"a.txt": "one", "lock": "1", "gone.txt": "x"})
    hub.take(root, "HEAD")
    left = "mkdir 'x y.egg-info' && touch 'x y.egg-info/PKG' && echo changed > a.txt"
    install = f"mkdir -p /work/env && echo $GREETING > /work/env/made && {left}"
    project = described(root, install, locks=("lock",))

    async def story() -> None:
        made = await base(project, hub=hub, commit=first, site=site, progress=quiet)
        (root / "gone.txt").unlink()
        second = commit({"a.txt": "two", "b.txt": "new"})
        hub.take(root, "HEAD")
        again = await base(project, hub=hub, commit=second, site=site, progress=quiet)
        assert (again.hash, again.commit) == (made.hash, first)

        bundle = tmp_path / "difference.bundle"
        assert parcel(hub, made, commit=second, target=bundle)
        (tmp_path / "run").mkdir()
        workspace = await site.sandboxes.open(place(project, made, directory=tmp_path / "run", files={BUNDLE: bundle}))
        try:
            assert await shell(workspace, "cat a.txt /work/env/made") == "onehello"
            assert await shell(workspace, "git status --porcelain; git remote") == ""
            await shell(workspace, "echo dirt > a.txt; echo more > untracked; git add -A; git commit -q -m mine")
            await prepare(workspace, bundle=BUNDLE, commit=second)
            assert await shell(workspace, "cat a.txt; ls") == "twoa.txt\nb.txt\nlock\nx y.egg-info"
            assert await shell(workspace, "git rev-parse HEAD; git status --porcelain") == second
            await prepare(workspace, bundle="", commit=first)
            assert await shell(workspace, "git rev-parse HEAD") == first
        finally:
            await workspace.close()

    asyncio.run(story())
    assert sorted(path.name for path in root.iterdir()) == [".git", "a.txt", "b.txt", "lock"]


def test_changed_lock_file_builds_anew(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    project = described(root, "true", locks=("lock", "absent"))

    async def story() -> None:
        first = await base(project, hub=hub, commit=commit_in({"lock": "1"}), site=site, progress=quiet)
        other = await base(project, hub=hub, commit=commit_in({"lock": "2"}), site=site, progress=quiet)
        more = replace(project, environment=replace(project.environment, env={"A": "b"}))
        third = await base(more, hub=hub, commit=commit_in({"x": "2"}), site=site, progress=quiet)
        assert len({first.hash, other.hash, third.hash}) == 3

    def commit_in(files: dict[str, str]) -> str:
        made = commit(files)
        hub.take(root, "HEAD")
        return made

    asyncio.run(story())


def test_failed_installation_says_what_to_change_and_leaves_nothing(
    root: Path, commit: Write, hub: Hub, site: Site
) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    project = described(root, "true", "mkdir -p /work/env/x; chmod 000 /work/env/x; echo no such thing >&2; exit 4")
    with pytest.raises(SettingsError) as caught:
        asyncio.run(base(project, hub=hub, commit=made, site=site, progress=quiet))
    assert "install line 2 failed with exit status 4" in caught.value.message
    assert "no such thing" in caught.value.message
    assert caught.value.hint == "change line 2 of `install` in nightmill.yaml"
    left = [path.name for path in (site.home / "projects" / project.id / "bases").iterdir()]
    assert [name for name in left if not name.endswith(".lock")] == []


def test_operators_secrets_and_other_hosts_are_out_of_reach_of_an_installation(
    root: Path, commit: Write, hub: Hub, site: Site
) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    guarded = replace(site, variables={**site.variables, "TOKEN": "canary-7"}, allow=("allowed.invalid",))
    reach = "/usr/bin/python3 -c 'import urllib.request as u; u.urlopen(\"http://elsewhere.invalid/\")'"
    project = described(root, f"env; cat /proc/1/environ; {reach}")
    project = replace(project, environment=replace(project.environment, hosts=("allowed.invalid",)))
    with pytest.raises(SettingsError) as caught:
        asyncio.run(base(project, hub=hub, commit=made, site=guarded, progress=quiet))
    assert "GREETING=hello" in caught.value.message
    assert "canary-7" not in caught.value.message
    assert "403" in caught.value.message
    assert "add it under `hosts`" in caught.value.hint


def test_two_who_want_one_base_build_it_once(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    told: list[str] = []
    project = described(root, "sleep 1")

    async def story() -> None:
        wanted = [base(project, hub=hub, commit=made, site=site, progress=told.append) for _ in range(3)]
        assert len({found.layers for found in await asyncio.gather(*wanted)}) == 1

    asyncio.run(story())
    assert told.count("install: sleep 1") == 1


def test_what_a_killed_build_left_is_swept_by_the_next(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    project = described(root, "true")

    async def story() -> None:
        found = await base(project, hub=hub, commit=made, site=site, progress=quiet)
        folder = found.layers[0].parent
        folder.rename(stale := folder.with_name(f".{folder.name}-dead"))
        (stale / "layer").chmod(0)
        await base(project, hub=hub, commit=made, site=site, progress=quiet)
        assert not stale.exists()

    asyncio.run(story())


def test_baseline_tells_failing_from_flaky(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    case = '<testcase classname="t" name="{}">{}</testcase>'
    fail = '<failure message="no"/>'
    write = (
        "<testsuites><testsuite>"
        + case.format("good", "")
        + case.format("bad", fail)
        + "$MOODY</testsuite></testsuites>"
    )
    script = f"""
MOODY='{case.format("moody", fail)}'
if [ -e /tmp/seen ]; then MOODY='{case.format("moody", "")}'; fi
touch /tmp/seen; echo dirt > a
cat > report.xml <<END
{write}
END
exit 1
"""
    made = commit({"a": "1", "test.sh": script, ".gitignore": "report.xml"})
    hub.take(root, "HEAD")
    checks = (
        Check(name="tests", command="bash test.sh", format="junit", report="report.xml"),
        Check(name="lint", command="test ! -e a.bad && grep -q 1 a"),
    )
    project = described(root, checks=checks)

    async def story() -> None:
        found = await base(project, hub=hub, commit=made, site=site, progress=quiet)
        baseline = await make_baseline(project, found, hub=hub, commit=made, site=site, progress=quiet)
        assert baseline.tree == hub.tree(made)
        assert baseline.failing == {"tests": ("t::bad",), "lint": ()}
        assert baseline.flaky == {"tests": ("t::moody",), "lint": ()}
        assert baseline.passing == {"tests": ("", "t::good"), "lint": ("",)}
        assert definition(checks, found.hash) != definition(checks[:1], found.hash)
        assert not list((site.home / "projects" / project.id / "baselines").iterdir())

    asyncio.run(story())


def test_baseline_names_the_module_that_is_not_installed(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    project = described(root, checks=(Check(name="tests", command="/usr/bin/python3 -c 'import nothing_there'"),))
    said: list[str] = []

    async def story() -> None:
        found = await base(project, hub=hub, commit=made, site=site, progress=quiet)
        baseline = await make_baseline(project, found, hub=hub, commit=made, site=site, progress=said.append)
        assert baseline.failing == {"tests": ("",)}

    asyncio.run(story())
    assert any(line.endswith("  ModuleNotFoundError: No module named 'nothing_there'") for line in said)
    assert "no module 'nothing_there': if tests need it, add its package to `install`" in "\n".join(said)


def test_unknown_host_name_is_refused(site: Site) -> None:
    for name in ("pypy", "http://x.example", "*", "a b.example"):
        with pytest.raises(SettingsError, match="is no host and no preset"):
            asyncio.run(resolve((name,), environment={}, allow=()))
    names, allow = ("Files.Example.org", "*.example.com"), ("*.example.com", "files.example.org")
    assert asyncio.run(resolve(names, environment={}, allow=allow)).hosts == ("files.example.org", "*.example.com")


def test_hosts_that_the_operator_did_not_allow_stop_an_installation_before_it_begins(
    root: Path, commit: Write, hub: Hub, site: Site
) -> None:
    made = commit({"a": "1"})
    hub.take(root, "HEAD")
    project = described(root, "touch /work/env-was-made")
    project = replace(project, environment=replace(project.environment, hosts=("*.example.com",)))
    with pytest.raises(SettingsError, match=r"'\*.example.com' may not be reached"):
        asyncio.run(base(project, hub=hub, commit=made, site=site, progress=quiet))


def test_agents_reach_what_the_project_asks_for_and_the_operator_allows_with_their_credentials(
    root: Path, site: Site
) -> None:
    project = described(root)
    wanted = Access(hosts=("api.example.com", "files.example.com"), inspect=("api.example.com",))
    project = replace(project, network=wanted)
    secret = "not-for-any-sandbox"
    theirs = Credential(name="theirs", host="api.example.com", projects=("other-12345678",), secret=secret)
    own = Credential(name="own", host="api.example.com", projects=(project.id,), secret=secret)
    open_site = replace(site, allow=("*.example.com",), credentials=(theirs, own), run="run-1")

    reach = asyncio.run(access(project, site=open_site))
    where = connected(Place(directory=root, layers=()), reach, project=project, site=open_site)

    assert (where.hosts, where.inspect) == (wanted.hosts, wanted.inspect)
    assert (where.credentials, where.run) == (("own",), "run-1")
    assert secret not in repr(where) + repr(open_site)
    with pytest.raises(SettingsError, match="may not be reached"):
        asyncio.run(access(project, site=site))
    with pytest.raises(SettingsError, match="inspect"):
        asyncio.run(access(replace(project, network=Access(inspect=("a.example.com",))), site=open_site))


@pytest.mark.slow
def test_real_project_is_taken_in_with_packages_from_its_index(root: Path, commit: Write, hub: Hub, site: Site) -> None:
    made = commit(
        {
            "pyproject.toml": '[build-system]\nrequires=["hatchling"]\nbuild-backend="hatchling.build"\n'
            '[project]\nname="tiny"\nversion="1"\ndependencies=["iniconfig"]\n[dependency-groups]\ntest=["pytest"]\n',
            "src/tiny/__init__.py": "def double(n):\n    return 2 * n\n",
            "tests/test_tiny.py": "import iniconfig, tiny\n\ndef test_double():\n    assert tiny.double(2) == 4\n\n"
            "def test_wrong():\n    assert tiny.double(2) == 5\n",
        }
    )
    hub.take(root, "HEAD")
    told: list[str] = []
    found = asyncio.run(initialise(root, hub=hub, commit=made, site=site, progress=told.append))
    assert found.baseline.failing["tests"] == ("tests/test_tiny.py::test_wrong",)
    assert "tests/test_tiny.py::test_double" in found.baseline.passing["tests"]
    assert re.search(r"^language: python$", (root / "nightmill.yaml").read_text(), re.MULTILINE)
    assert any(line.startswith("installing may reach ") for line in told)
