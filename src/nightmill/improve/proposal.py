"""What is put before a person: the blueprint with a script in an agent's place, the traps, and the evidence."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmill.blueprint import parse
from nightmill.blueprint.nouns import AgentStep, walk
from nightmill.blueprint.writing import write
from nightmill.errors import SettingsError

if TYPE_CHECKING:
    from nightmill.blueprint import Blueprint
    from nightmill.improve.distil import Distilled
    from nightmill.improve.swap import Swap

__all__ = ["Proposal"]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """*swap* of the step *step* of *run*; *evidence* is plain JSON that the trials add to."""

    run: str
    step: str
    swap: Swap
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the blueprint is called."""
        return self.swap.name

    @property
    def made(self) -> Distilled:
        """The script."""
        return self.swap.made

    @cached_property
    def body(self) -> bytes:
        """The file of the blueprint."""
        whole, old = self.swap.blueprint, self.swap.place.blueprint
        said = (
            f"In the step {self.swap.place.step.id} a script does what an agent did in run {self.run}; "
            "an agent comes in if it does not do."
        )
        whole = replace(whole, description=f"{old.description.strip()} {said}".strip()[:2_000])
        head = (
            f"Proposed by `nightmill distil {self.run} --step {self.step}`, from version {old.version} of {old.name}.\n"
            "TRAPS.md and evidence.json beside the proposal say why."
        )
        return write(whole, head=head)

    @cached_property
    def blueprint(self) -> Blueprint:
        """What the file says.

        Raises:
            SettingsError: If it is none: a text became too long.
        """
        return parse(self.body, source=f"{self.name}.yaml")

    @property
    def inputs(self) -> dict[str, str]:
        """What the original was given."""
        return {each.name: each.text for each in self.made.values}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it beside what the script itself shows."""
        place, found = self.swap.place, list(self.made.notes)
        if not self.swap.proof:
            found.append(
                "no check passed right after the step in that run: the agent takes over only where the script fails"
            )
        later = [
            each.id
            for each in walk(place.blueprint.steps)
            if isinstance(each, AgentStep) and each.goes_on == place.step.id
        ]
        if later:
            found.append(
                f"{', '.join(later)} goes on in what this step's agent was told: where the script did it, it begins anew"
            )
        if place.called:
            found.append(f"others call it as {place.blueprint.name}: under another name nobody does")
        return tuple(found)

    def write(self, folder: Path) -> None:
        """Make *folder* with all of it, whole or not at all.

        Raises:
            SettingsError: If it is there, or cannot be made.
        """
        if folder.exists():
            raise SettingsError(f"{str(folder)!r} is there already", hint="choose another with --name or --output")
        files = {
            f"{self.name}.yaml": self.body,
            "TRAPS.md": _traps(self).encode("utf-8", "replace"),
            "evidence.json": json.dumps(self.evidence, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n",
        }
        unfinished: Path | None = None
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            for name, body in files.items():
                (unfinished / name).write_bytes(body)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        except OSError as error:
            raise SettingsError(
                f"the proposal cannot be written to {str(folder)!r}: {error.strerror}", hint="name another --output"
            ) from error
        finally:
            if unfinished is not None:
                shutil.rmtree(unfinished, ignore_errors=True)


def _traps(proposal: Proposal) -> str:
    made = proposal.made
    lines = [f"# Traps that the agent of run {proposal.run} met in the step {proposal.step}", ""]
    for trap in made.traps:
        lines += [f"## {trap.tried}", "", "It said:", "", f"    {trap.said}", ""]
        lines += [f"What worked instead: `{trap.instead}`" if trap.instead else "Nothing took its place.", ""]
    if not made.traps:
        lines += ["None: everything that it ran ended well.", ""]
    for title, texts in (("Look at", made.flags), ("To know", proposal.notes)):
        if texts:
            lines += [f"# {title}", "", *(f"- {text}" for text in texts), ""]
    return "\n".join(lines)
