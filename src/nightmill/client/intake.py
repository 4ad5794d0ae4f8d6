"""The task gateway of a server, for one of its projects."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from nightmill.client.client import Client
from nightmill.client.path import path
from nightmill.client.reading import value
from nightmill.desk.wish import Reply, Wish, errand
from nightmill.kept import Run

__all__ = ["IntakeClient"]


class IntakeClient:
    """An `Intake` of a *project* at a server; *model* works, "" as is set there. *say* is told what one was asked. Raises as `Client`."""

    def __init__(self, client: Client, project: str, *, model: str, say: Callable[[str], None]) -> None:
        self.model = model
        self.client = client
        self.place = path("projects", project)
        self.say = say

    @cached_property
    def by(self) -> str:
        """Whom the token speaks for."""
        me = self.client.me()
        return f"{me.name} <{me.address}>"

    def ask(self, wish: Wish) -> Reply:
        """What *wish* comes to. Sent twice, it is answered twice, and no model is asked twice."""
        asked = {
            "words": wish.words,
            "blueprint": wish.blueprint,
            "inputs": dict(wish.inputs),
            "sets": list(wish.sets),
            "think": wish.think,
            "model": self.model,
        }
        reply = value(Reply, self.client.connection.post(f"{self.place}/ask", asked), of="the answer")
        for each in reply.said:
            self.say(each)
        return reply

    def start(self, reply: Reply, *, base: str) -> Run:
        """Have exactly what *reply* proposes run, once however often it is sent."""
        it = errand(reply)
        asked = {
            "title": it.title,
            "words": it.words,
            "blueprint": it.blueprint,
            "closure": it.closure,
            "inputs": dict(it.inputs),
            "base": base,
            "model": self.model,
        }
        return value(Run, self.client.connection.post(f"{self.place}/errands", asked), of="a run")
