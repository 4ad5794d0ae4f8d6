"""Where the requests of an external agent's sandbox for its model come in, while there is somebody to answer them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightmill.agent.external import External
    from nightmill.model.gateway import ModelGateway
    from nightmill.sandbox import Answering, Asked, Place

__all__ = ["Entrance", "with_agent"]


@dataclass(slots=True)
class Entrance:
    """A gateway that is opened when the agent begins: its model's key may be missing until then."""

    model: ModelGateway | None = None

    async def answer(self, asked: Asked, answering: Answering) -> None:
        """Answer *asked* as the model's provider would."""
        if self.model is None:
            await answering.begin(503, {"content-length": "0"})
            return
        await self.model.answer((asked.method, asked.path), asked.header, asked.body, answering)


def with_agent(place: Place, agent: External | None, entrance: Entrance) -> Place:
    """*place* with the program of *agent* shown in it, and the way to its model."""
    return replace(place, files={**place.files, **agent.show}, gateway=entrance) if agent else place
