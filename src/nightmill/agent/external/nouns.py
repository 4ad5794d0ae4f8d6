"""An agent that is not ours: what it is started with, and where it finds its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PORT", "External", "filled"]

PORT = 3128
"""Of the sandbox's own loopback, where its model is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """An agent that speaks the Agent Client Protocol on its standard input and output.

    Attributes:
        name: How the operator calls it; lower case letters, digits and "-".
        argv: Its program, by paths inside the sandbox.
        show: Folders and files of the host, shown read-only, by their absolute path inside.
        env: Its environment, on top of the sandbox's.
        model: `provider:model` that it works with. The provider is also the dialect in which it asks.
        mode: The session mode that asks for nothing, if it has modes.
        memory: Bytes that it and all that it starts may take together.

    In *argv* and *env* `{base_url}` stands for its model's address with no path, `{model}` for the model's name.
    """

    name: str
    argv: tuple[str, ...]
    model: str
    show: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    memory: int = 4 << 30


def filled(text: str, agent: External) -> str:
    """*text* with the places of *agent* filled in."""
    names = {"{base_url}": f"http://127.0.0.1:{PORT}", "{model}": agent.model.partition(":")[2]}
    for name, value in names.items():
        text = text.replace(name, value)
    return text
