"""What people agreed on about an environment is held in runs, and only people change it."""

from __future__ import annotations

import asyncio

import pytest

from nightmill.errors import SettingsError
from nightmill.estate import agreed, environment
from nightmill.estate.record import present
from nightmill.line.prove import Proving
from tests import whole
from tests.line.conftest import World


@pytest.mark.parametrize("how", ["changed", "deleted", "its folder is a file"])
def test_a_change_that_touches_the_agreement_does_not_pass(world: World, how: str) -> None:
    file = world.root / agreed.FILE
    file.parent.mkdir()
    file.write_text(agreed.render(present(world.project)))
    whole.commit(world.root, "agree")
    assignment, machines = world.assignment(), world.machines
    file.write_text("{}") if how == "changed" else file.unlink()
    if how == "its folder is a file":
        file.parent.rmdir()
        file.parent.write_text("")
    (world.root / "notes.txt").write_text("fine")
    whole.commit(world.root, "sly")
    commit = world.hub.take(world.root, "main")

    async def prove() -> tuple[bool, str]:
        base = await environment.base(
            world.project, hub=world.hub, commit=assignment.base_commit, site=machines.site, progress=lambda _: None
        )
        proving = Proving(run="r1", machines=machines, assignment=assignment, base=base, site=machines.site)
        verdict = await proving.verdict(commit, number=0, criteria=(), claims=())
        return verdict.passed, "\n".join(verdict.reasons)

    passed, why = asyncio.run(prove())
    assert not passed
    assert why.startswith("protected paths were changed: .nightmill")


def test_a_run_on_another_environment_than_was_agreed_on_is_not_prepared(world: World) -> None:
    file = world.root / agreed.FILE
    file.parent.mkdir()
    text = agreed.render(present(world.project)).replace('"hosts": []', '"hosts": ["pypi"]')
    file.write_text(text)
    whole.commit(world.root, "agree")
    commit = world.assignment().base_commit
    with pytest.raises(SettingsError, match="`hosts` is"):
        asyncio.run(
            environment.base(
                world.project, hub=world.hub, commit=commit, site=world.machines.site, progress=lambda _: None
            )
        )
