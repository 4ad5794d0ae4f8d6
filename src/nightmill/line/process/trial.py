"""A trial: a process goes as it went in another run, where a model or a person is asked; all else of it is done.

What an agent did there is put in as the difference that it made. Nobody is asked, and nothing leaves the sandbox.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nightmill.blueprint.nouns import CheckStep, PythonStep, RunStep
from nightmill.kept import Part
from nightmill.line.process import mistakes
from nightmill.line.process.given import given
from nightmill.line.process.walk import Outcome
from nightmill.sandbox import Command, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightmill.blueprint.nouns import Step
    from nightmill.line.process.deeds import Deeds
    from nightmill.line.process.walk import At

__all__ = ["Trial"]

PATCH = "/tmp/nightmill.patch"  # noqa: S108 - a path inside the sandbox
APPLY = """
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
git -c core.hooksPath=/dev/null apply --whitespace=nowarn "$1"
"""
OURS = Limits(seconds=300.0, memory=4 << 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The `Doer` of a trial.

    *went* has how each step that asks somebody ended in the other run, by the way to it: `{"ok", "value", "reason", "patch"}`,
    the patch being the blob with what it changed, or "". *script* is the way to the step that is tried: it gives the `tree`
    that it made, too, and the one `before` it.
    """

    deeds: Deeds
    went: Mapping[str, Mapping[str, Any]]
    script: str

    async def do(self, step: Step, at: At) -> Outcome:
        """Do *step*, or give what it came to."""
        if at.path == self.script:
            return await self._tried(step, at)
        if isinstance(step, RunStep | CheckStep | PythonStep):
            return await self.deeds.do(step, at)
        if (then := self.went.get(at.path)) is None:
            return Outcome(
                ok=False, reason=f"the run that this is a trial of had no step {at.path}, which asks somebody"
            )
        if then["patch"] and (amiss := await self._put_in(then, at.path)):
            return Outcome(ok=False, reason=amiss)
        return Outcome(ok=then["ok"], value=then["value"], reason=then["reason"])

    async def given(self, name: str, part: str) -> Any:
        """The value *part* of what every run is given as *name*."""
        return await self.deeds.given(name, part)

    async def _tried(self, step: Step, at: At) -> Outcome:
        shop = self.deeds.workshop
        before = await given(shop, "change", "tree")
        outcome = await self.deeds.do(step, at)
        trees = {"before": before, "tree": await given(shop, "change", "tree")}
        return outcome._replace(value={**outcome.value, **trees})

    async def _put_in(self, then: Mapping[str, Any], path: str) -> str:
        """Change the checkout as the step at *path* did; why that cannot be, or ""."""
        shop = self.deeds.workshop
        made = await shop.waiting.attempt("put in", partial(self._patched, then["patch"], shop.snapshot))
        if made["said"]:
            return f"what was done in {path} does not fit on what the script made: {made['said']}"
        shop.moved(made["snapshot"])
        if head := await shop.current():
            claims = tuple((each[0], each[1]) for each in then["value"].get("evidence") or ())
            summary = str(then["value"].get("summary") or "")
            shop.add(Part(role=mistakes.PROCESS, commit=head, summary=summary, evidence=claims))
        return ""

    async def _patched(self, patch: str, snapshot: str) -> dict[str, Any]:
        shop = self.deeds.workshop
        if shop.control.wanted != "run":
            return {"wanted": shop.control.wanted, "by": shop.control.by}
        body = await asyncio.to_thread(shop.machines.blobs.get, patch)
        return await shop.control.unless_cancelled(self._apply(body, snapshot))

    async def _apply(self, body: bytes, snapshot: str) -> dict[str, Any]:
        workplace = self.deeds.workshop.place()
        workspace = await workplace.stand_at(snapshot)
        workplace.touched()
        await workspace.write(PATCH, body)
        outcome = await workspace.run(Command(argv=("bash", "-c", APPLY, "apply", PATCH), limits=OURS))
        if outcome.exit or outcome.stopped:
            return {"snapshot": snapshot, "said": outcome.text.strip()[-800:] or f"exit status {outcome.exit}"}
        return {"snapshot": await workplace.keep(), "said": ""}
