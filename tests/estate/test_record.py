"""One record and one hash for an environment; and what differs from the one that people agreed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.estate import Environment, Project, Service, Site, agreed, base
from nightmill.estate.record import committed, present
from nightmill.estate.tools import Tool
from nightmill.repo import Hub
from nightmill.sandbox import Service as Program
from tests.estate.conftest import quiet

Write = Callable[[dict[str, str]], str]


def described(root: Path, *install: str, locks: tuple[str, ...] = ("lock",)) -> Project:
    wanted = Environment(install=install, locks=locks, env={"A": "b"})
    return Project(id="own-12345678", root=root, language="python", environment=wanted, checks=())


def test_record_holds_what_was_found_and_decided(root: Path, take: Write, hub: Hub) -> None:
    made = take({"lock": "1", ".python-version": "3.99", "other.py": "", ".devcontainer/devcontainer.json": "{}"})
    project = described(root, "npm ci", locks=("lock", "absent"))
    found = committed(project, hub=hub, commit=made)

    assert list(found.sources) == [".devcontainer/devcontainer.json", ".python-version", "absent", "lock"]
    assert found.sources["absent"] is None
    tools = {tool.name: tool for tool in found.tools}
    assert tools["python"].wanted == {"nightmill.yaml": "", ".python-version": "3.99"}
    assert tools["python"].found.startswith("3.")
    assert tools["npm"].wanted == {"nightmill.yaml": ""}
    assert any("3.99" in line for line in tools["python"].problems)
    assert json.loads(found.canonical) == found.plain()
    assert found.canonical == json.dumps(found.plain(), sort_keys=True, separators=(",", ":")).encode()
    assert present(project) == found


def test_everything_that_decides_changes_the_hash_and_nothing_else_does(root: Path, take: Write, hub: Hub) -> None:
    project = described(root, "true")
    first = committed(project, hub=hub, commit=take({"lock": "1", "a.py": "1"}))
    assert committed(project, hub=hub, commit=take({"a.py": "2"})).hash == first.hash

    changed = [
        replace(project, environment=replace(project.environment, install=("false",))),
        replace(project, environment=replace(project.environment, hosts=("pypi",))),
        replace(project, environment=replace(project.environment, env={"A": "c"})),
        replace(project, services=(Service(program=Program(name="x", run="y")),)),
        replace(project, language="go"),
    ]
    last = take({"a.py": "3"})
    hashes = {first.hash, *(committed(each, hub=hub, commit=last).hash for each in changed)}
    for files in ({"lock": "2"}, {".tool-versions": "node 1"}, {".devcontainer.json": "{}"}, {"flake.lock": "{}"}):
        hashes.add(committed(project, hub=hub, commit=take(files)).hash)
    assert len(hashes) == 1 + len(changed) + 4
    upgraded = replace(first, tools=(*first.tools, Tool(name="go", wanted={}, found="1.2.3")))
    assert upgraded.hash not in hashes


def test_record_is_kept_beside_the_base_under_its_hash(root: Path, take: Write, hub: Hub, site: Site) -> None:
    made = take({"lock": "1"})
    project = described(root, "true")
    found = asyncio.run(base(project, hub=hub, commit=made, site=site, progress=quiet))
    kept = json.loads((found.layers[0].parent / "record.json").read_text())

    assert kept["hash"] == found.hash == found.layers[0].parent.name
    assert kept["record"] == committed(project, hub=hub, commit=made).plain()
    assert found.drift == ()


def test_a_lock_that_is_a_link_counts_by_its_target_and_is_not_followed(root: Path, take: Write, hub: Hub) -> None:
    root.joinpath("lock").symlink_to("/etc/hostname")
    project = described(root)
    first = committed(project, hub=hub, commit=take({"x": ""}))
    root.joinpath("lock").unlink()
    root.joinpath("lock").symlink_to("/etc/passwd")
    assert committed(project, hub=hub, commit=take({"x": "1"})).sources["lock"] != first.sources["lock"]
    assert present(project).sources["lock"] is not None


def test_lock_names_that_lead_out_are_absent(root: Path, take: Write, hub: Hub) -> None:
    project = described(root, locks=("../x", "/etc/passwd", "a//b", "*"))
    found = committed(project, hub=hub, commit=take({"x": ""}))
    assert set(found.sources.values()) == {None}
    assert set(present(project).sources.values()) == {None}


def test_environment_as_agreed_is_built_and_said_to_be(root: Path, take: Write, hub: Hub, site: Site) -> None:
    project = described(root, "true")
    now = committed(project, hub=hub, commit=take({"lock": "1"}))
    made = take({agreed.FILE: agreed.render(now)})
    assert committed(project, hub=hub, commit=made).hash == now.hash
    assert agreed.hold(now, hub=hub, commit=made) == ()

    later = take({"lock": "2"})
    found = asyncio.run(base(project, hub=hub, commit=later, site=site, progress=quiet))
    assert found.drift == ("lock is not as it was when the environment was agreed on",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"install": ("curl evil",)}, "`install` is"),
        ({"hosts": ("evil.example",)}, "`hosts` is"),
        ({"env": {"LD_PRELOAD": "x"}}, "`env` is"),
    ],
)
def test_what_is_done_must_be_as_agreed_or_nothing_is_built(
    root: Path, take: Write, hub: Hub, site: Site, changes: dict[str, object], said: str
) -> None:
    project = described(root, "true")
    now = committed(project, hub=hub, commit=take({"lock": "1"}))
    made = take({agreed.FILE: agreed.render(now)})
    other = replace(project, environment=replace(project.environment, **changes))  # type: ignore[arg-type]  # one field

    with pytest.raises(SettingsError, match="not the one agreed on") as caught:
        asyncio.run(base(other, hub=hub, commit=made, site=site, progress=quiet))
    assert said in caught.value.message
    assert "env lock" in caught.value.hint
    bases = site.home / "projects" / project.id / "bases"
    assert not [path for path in bases.glob("*") if path.is_dir()]


def test_a_program_of_another_series_is_refused_and_of_another_patch_told(root: Path, take: Write, hub: Hub) -> None:
    now = committed(described(root, "true"), hub=hub, commit=take({"lock": "1"}))

    def with_python(version: str) -> dict[str, object]:
        tools = tuple(replace(tool, found=version) if tool.name == "python" else tool for tool in now.tools)
        return replace(now, tools=tools).plain()

    here = next(tool.found for tool in now.tools if tool.name == "python")
    series = ".".join(here.split(".")[:2])
    told = agreed.drifts(with_python(f"{series}.999"), now)
    refused = agreed.drifts(with_python("2.7.18"), now)
    assert [drift.refused for drift in told] == [False]
    assert [drift.refused for drift in refused] == [True]
    gone = replace(now, tools=tuple(replace(tool, found="") for tool in now.tools))
    assert all(drift.refused for drift in agreed.drifts(now.plain(), gone))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"record": {}}', '{"record": null}', "[" * 90_000, '{"record": 1}'])
def test_what_is_no_record_is_refused(root: Path, take: Write, hub: Hub, text: str) -> None:
    made = take({"lock": "1", agreed.FILE: text})
    now = committed(described(root), hub=hub, commit=made)
    with pytest.raises(SettingsError, match="is no environment record"):
        agreed.hold(now, hub=hub, commit=made)


def test_what_a_stranger_wrote_into_the_agreement_is_told_shortly(root: Path, take: Write, hub: Hub) -> None:
    now = committed(described(root), hub=hub, commit=take({"lock": "1"}))
    plain = now.plain()
    plain["sources"] |= {f"{number}{'x' * 5000}\x1b": "" for number in range(100)}
    plain["tools"].append({"name": "y" * 100_000, "found": "1", "wanted": {}})
    made = take({agreed.FILE: json.dumps({"record": plain})})
    told = agreed.hold(now, hub=hub, commit=made)

    assert len(told) == agreed.MOST + 1
    assert max(map(len, told)) <= agreed.LONGEST + 1
    plain["install"] = ["z" * 100_000]
    with pytest.raises(SettingsError) as caught:
        agreed.hold(now, hub=hub, commit=take({agreed.FILE: json.dumps({"record": plain})}))
    assert len(caught.value.message) < 1000
