"""What a devcontainer, a version manager or a flake says is honoured or said to be left out; hostile ones do no harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nightmill.estate import Detected, detect, tools
from nightmill.estate.file import parse
from nightmill.estate.tools import Wish, fits, known_as, used
from nightmill.estate.tracked import in_checkout
from nightmill.estate.write import render
from tests.estate.conftest import look


def left(found: Detected) -> dict[str, str]:
    return {each.what: each.why for each in found.ignored}


CONTAINER = """// of an editor
{
  "name": "x", /* not // nested */
  "image": "mcr.microsoft.com/devcontainers/python:1-3.99-bookworm",
  "features": {
    "ghcr.io/devcontainers/features/node:1": {"version": "98"},
    "ghcr.io/devcontainers/features/docker-in-docker:2": {},
  },
  "containerEnv": {
    "GREETING": "http://hello // there", "HERE": "${containerWorkspaceFolder}/x",
    "TOKEN": "${localEnv:TOKEN}", "PATH": "/evil", "HTTPS_PROXY": "x", "A B": "c"
  },
  "postCreateCommand": {"a": "make deps", "b": ["echo", "two words"], "c": "sudo apt-get install -y x"},
  "onCreateCommand": "echo first",
  "initializeCommand": "touch /tmp/owned",
  "forwardPorts": [8000], "privileged": true, "mounts": ["source=/,target=/host,type=bind"], "secrets": {}, "new": 1,
}
"""


def test_devcontainer_is_honoured_where_it_can_be_and_the_rest_is_told(tmp_path: Path) -> None:
    found = look(tmp_path, {".devcontainer/devcontainer.json": CONTAINER, "main.c": ""})

    assert found.install == ("echo first", "make deps", "echo 'two words'")
    assert found.env == {"GREETING": "http://hello // there", "HERE": "/work/repo/x"}
    assert {(wish.tool, wish.version) for wish in found.wishes} == {("python", "3.99"), ("node", "98")}
    why = left(found)
    assert "nothing of a repository does" in why["initializeCommand"]
    assert "loopback" in why["forwardPorts"]
    assert {"privileged", "mounts", "secrets", "new", "containerEnv.TOKEN", "containerEnv.PATH"} <= set(why)
    assert {"containerEnv.HTTPS_PROXY", "containerEnv.A B"} <= set(why)
    assert "postCreateCommand: sudo apt-get install -y x" in why
    assert "feature ghcr.io/devcontainers/features/docker-in-docker:2" in why
    assert any(".devcontainer/devcontainer.json asks for node 98" in line for line in found.advice)
    assert not Path("/tmp/owned").exists()


def test_commands_of_a_devcontainer_do_not_double_what_the_manifests_say(tmp_path: Path) -> None:
    container = json.dumps({"postCreateCommand": "pip install -e ."})
    found = look(tmp_path, {".devcontainer.json": container, "requirements.txt": "x"})

    assert "pip install -e ." not in found.install
    assert left(found)["postCreateCommand: pip install -e ."].startswith("the manifests say")


def test_one_of_several_devcontainers_counts_and_the_others_are_named(tmp_path: Path) -> None:
    plain = json.dumps({"containerEnv": {"A": "1"}})
    files = {f".devcontainer/{name}/devcontainer.json": plain for name in ("b", "a")}
    found = look(tmp_path, files)

    assert [each.file for each in found.ignored if each.what == "the whole file"] == [
        ".devcontainer/b/devcontainer.json"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "/*" * 400_000,
        '"' + "\\" * 900_000,
        ',"' * 300_000,
        ", " * 500_000,
        "{} // \ud800",
        '{"image": {"a": []}, "features": [], "containerEnv": 3, "postCreateCommand": [[1]], "onCreateCommand": null}',
        '{"features": {"": "x", "node": {"version": []}}, "containerEnv": {"A": null, "B": "x\\u0000"}}',
        '{"containerEnv": {"A": "x\\nB: y"}, "postCreateCommand": "echo\\u0000", "image": "a\\u202e\\n"}',
    ],
)
def test_hostile_devcontainer_is_no_crash_and_no_wait(tmp_path: Path, text: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / ".devcontainer.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    found = detect(root, [".devcontainer.json"])
    parse(render(found).encode(), root=root)

    assert found.env == {}
    assert found.install == ()


def test_devcontainer_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps({"containerEnv": {"LEAK": "1"}}))
    root = tmp_path / "root"
    root.mkdir()
    (root / ".devcontainer.json").symlink_to(tmp_path / "secret")
    (root / ".devcontainer").symlink_to(tmp_path)

    assert detect(root, [".devcontainer.json", ".devcontainer/devcontainer.json"]).env == {}


def test_wished_versions_are_found_in_every_file_that_says_them(tmp_path: Path) -> None:
    files = {
        "mise.toml": '[tools]\nnode = "20"\ngo = ["1.21", "1.20"]\n"npm:prettier" = {version="3"}\n'
        '[env]\nA = "1"\n_.file = ".env"\nB = "{{ exec() }}"\n[tasks.test]\nrun = "x"\n',
        ".tool-versions": "nodejs 20.1.0 # why\nterraform 1.5\nbroken\n",
        ".python-version": "3.12\n",
        ".nvmrc": "v18\n",
        "rust-toolchain.toml": '[toolchain]\nchannel = "1.75"\n',
        "pyproject.toml": '[project]\nname="x"\nrequires-python = ">=3.9"\n',
        "package.json": '{"engines": {"node": ">=18"}, "packageManager": "pnpm@9.1.0+sha512.abc"}',
        "go.mod": "module x\n\ngo 1.21\n",
        "Cargo.toml": '[package]\nrust-version = "1.70"\n',
    }
    found = look(tmp_path, files)

    said = {(wish.tool, wish.version, wish.file) for wish in found.wishes}
    assert {("node", "20", "mise.toml"), ("go", "1.21", "mise.toml"), ("npm:prettier", "3", "mise.toml")} <= said
    assert {("node", "20.1.0", ".tool-versions"), ("terraform", "1.5", ".tool-versions")} <= said
    assert {("python", "3.12", ".python-version"), ("node", "18", ".nvmrc")} <= said
    assert {("rust", "1.75", "rust-toolchain.toml"), ("python", ">=3.9", "pyproject.toml")} <= said
    assert {("node", ">=18", "package.json"), ("corepack", "", "package.json")} <= said
    assert {("go", ">=1.21", "go.mod"), ("rust", ">=1.70", "Cargo.toml")} <= said
    assert found.env["A"] == "1"
    assert {"env._", "env.B", "tasks"} <= set(left(found))
    assert any("terraform" in line and "knows nothing" in line for line in found.advice)


def test_a_name_from_a_repository_is_never_started() -> None:
    assert tools.found("true") == ""
    assert tools.found("../../bin/true") == ""
    assert known_as("core:Node") == "node"
    assert tools.found("python").startswith("3.")


@pytest.mark.parametrize(
    ("have", "wanted", "answer"),
    [
        ("3.11.7", "3.11", True),
        ("3.11.7", "3.12", False),
        ("3.11.7", ">=3.9,<4", True),
        ("3.11.7", ">= 3.9, <3.11", False),
        ("3.11.7", "~=3.10", True),
        ("3.11.7", "==3.11.*", True),
        ("3.11.7", "!=3.11.*", False),
        ("20.20.2", "^18 || ^20", True),
        ("20.20.2", ">=18 <20", False),
        ("20.20.2", "20.x", True),
        ("20.20.2", "v20", True),
        ("20.20.2", "16 - 20", True),
        ("20.20.2", "18 - 19", False),
        ("0.3.1", "^0.2", False),
        ("20.20.2", "lts/iron", None),
        ("20.20.2", "", True),
        ("20.20.2", "lts", True),
        ("20.20.2", "9" * 5000, None),
    ],
)
def test_a_version_fits_or_not_or_cannot_be_judged(have: str, wanted: str, *, answer: bool | None) -> None:
    assert fits(have, wanted) is answer


def test_programs_of_install_lines_are_known_by_name() -> None:
    lines = ("cd x && npm ci", "FOO=1 go mod download", "python -m pip; cargo fetch", "echo node")
    found = {wish.tool for wish in used(lines, file="f")}
    assert found == {"npm", "go", "cargo"}
    assert not used((";a=" * 80_000,), file="f"), "and it takes no hours"


def test_flake_is_a_check_where_nix_is_and_advice_where_it_is_not(tmp_path: Path) -> None:
    found = look(tmp_path, {"flake.nix": "{ outputs = _: {}; }", "flake.lock": "{}"})

    assert "devShells, packages" in left(found)
    if tools.found("nix"):
        assert [check.name for check in found.checks] == ["flake"]
        assert found.locks == ("flake.nix", "flake.lock")
    else:
        assert not found.checks
        assert any("nix is not on this machine" in line for line in found.advice)


def test_file_with_comments_is_read_as_json(tmp_path: Path) -> None:
    cases: list[tuple[str, Any]] = [
        ('{"a": "// no", /* x */ "b": [1, 2,],}', {"a": "// no", "b": [1, 2]}),
        ('{"a": "x,]" // end\n}', {"a": "x,]"}),
        ('{"a": 1,\n// last\n}', {"a": 1}),
        ("{'a': 1}", None),
    ]
    for text, value in cases:
        (tmp_path / "x").write_text(text)
        assert in_checkout(tmp_path, ["x"]).json("x") == value


def test_advice_names_what_the_install_lines_need_and_the_machine_lacks(tmp_path: Path) -> None:
    found = look(tmp_path, {"Cargo.toml": ""})
    assert any("asks for cargo" in line for line in found.advice) != bool(tools.found("cargo"))
    assert Wish(tool="cargo", version="", file="f") in used(found.install, file="f")
