"""The operator's external agents: what may be written down, and what is said of what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nightmill.agent.external.presets import MACHINES, PRESETS
from nightmill.cli.agents import chosen, load
from nightmill.cli.door import Door
from nightmill.cli.site import worker_of
from nightmill.errors import SettingsError
from nightmill.model.connect import PROVIDERS
from nightmill.settings import Settings


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Where npm would have put every agent that is known."""
    for preset in PRESETS.values():
        for machine in MACHINES.values():
            (tmp_path / "npm" / "node_modules" / preset.programs[0].format(machine=machine)).mkdir(
                parents=True, exist_ok=True
            )
    return tmp_path / "npm"


def write(tmp_path: Path, *agents: Any) -> Path:
    path = tmp_path / "agents.yaml"
    path.write_text(yaml.safe_dump(list(agents)))
    return path


@pytest.mark.parametrize(("name", "model"), [(name, f"{provider}:m-1") for name in PRESETS for provider in PROVIDERS])
def test_a_known_agent_needs_its_folder_and_a_model(tmp_path: Path, installed: Path, name: str, model: str) -> None:
    path = write(tmp_path, {"name": "mine", "preset": name, "at": str(installed), "model": model})
    (agent,) = load(path)
    inside = next(iter(agent.show))
    assert inside.startswith("/opt/agents/mine")
    assert any(word.startswith(inside) for word in agent.argv)
    told = " ".join((*agent.argv, *agent.env.values()))
    assert "{base_url}" in told
    assert "{model}" in told
    assert str(tmp_path) not in told
    settings, found = chosen(Settings(model="acp:mine"), path)
    assert (settings.model, found) == (model, agent)


def test_another_agent_says_itself_how_it_is_started(tmp_path: Path) -> None:
    (tmp_path / "prog").mkdir()
    plain = {
        "name": "mine",
        "model": "anthropic:m",
        "command": ["/opt/mine/bin", "--acp"],
        "show": {"/opt/mine": str(tmp_path / "prog")},
        "env": {"A": "{base_url}/v1"},
        "mode": "yolo",
        "memory_megabytes": 64,
    }
    (agent,) = load(write(tmp_path, plain))
    assert (agent.argv, agent.mode, agent.memory) == (("/opt/mine/bin", "--acp"), "yolo", 64 << 20)
    assert dict(agent.show) == {"/opt/mine": tmp_path / "prog"}


def test_what_is_no_agent_is_asked_as_a_model(tmp_path: Path) -> None:
    settings = Settings(model="anthropic:m")
    assert chosen(settings, tmp_path / "none.yaml") == (settings, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Mine!"}, "is no name for an agent"),
        ({"name": "x" * 21}, "is no name for an agent"),
        ({"model": "m"}, "no model can be had"),
        ({"model": None}, "no model can be had"),
        ({"preset": "nobody"}, "no agent 'nobody' is known"),
        ({"at": "relative"}, "must name the folder"),
        ({"at": "/nowhere"}, "is not in '/nowhere'"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"memory_megabytes": "much"}, "memory_megabytes"),
        ({"env": {"A": 1}}, "map texts to texts"),
        ({"show": {"/opt/x": "/nowhere"}}, "no '/nowhere' to be shown"),
        ({"command": "opencode acp"}, "must be a list of words"),
        ({"command": []}, "must be a list of words"),
    ],
)
def test_what_cannot_be_used_is_said_to_its_operator(
    tmp_path: Path, installed: Path, change: dict[str, Any], said: str
) -> None:
    plain = {"name": "opencode", "at": str(installed), "model": "openai:m"}
    with pytest.raises(SettingsError, match=said):
        load(write(tmp_path, plain | change))


@pytest.mark.parametrize("body", ["a: b", "[1]", "- [", "\udcff", "- {name: [}"])
def test_a_file_that_is_no_list_of_agents_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "agents.yaml"
    path.write_bytes(body.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError):
        load(path)


def test_a_name_is_used_once_and_only_one_that_is_there(tmp_path: Path, installed: Path) -> None:
    plain = {"name": "opencode", "at": str(installed), "model": "openai:m"}
    with pytest.raises(SettingsError, match="two agents"):
        load(write(tmp_path, plain, plain))
    with pytest.raises(SettingsError, match="no external agent is called 'other'") as told:
        chosen(Settings(model="acp:other"), write(tmp_path, plain))
    assert "opencode" in told.value.hint


def test_the_developers_role_names_an_agent_for_whoever_names_no_model(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTMILL_SETTINGS", str(tmp_path / "settings.yaml"))
    write(tmp_path, {"name": "opencode", "at": str(installed), "model": "openai:m"})
    crew = tmp_path / "project" / ".nightmill" / "crew"
    crew.mkdir(parents=True)
    (crew / "developer.md").write_text("---\nname: developer\ndescription: d\nmodel: acp:opencode\n---\nWork.\n")
    door = Door(Settings(model="anthropic:a"))

    by_role, agent = worker_of(door, tmp_path / "project", asked=False)
    by_flag, nobody = worker_of(door, tmp_path / "project", asked=True)

    assert (by_role.settings.model, agent and agent.name) == ("openai:m", "opencode")
    assert (by_flag.settings.model, nobody) == ("anthropic:a", None)
    (tmp_path / "agents.yaml").unlink()
    with pytest.raises(SettingsError, match="no external agent is called 'opencode'"):
        worker_of(door, tmp_path / "project", asked=False)
