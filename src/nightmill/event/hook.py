"""Which programs elsewhere are told of what happens, what they tell, and the secrets for that; no run, so their `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass, field

from nightmill.happening import Event

__all__ = [
    "CommentHeard",
    "CommentPassed",
    "ForgeHeard",
    "ForgeLinked",
    "HookAdded",
    "HookChanged",
    "HookRemoved",
    "SecretKept",
    "SecretRemoved",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAdded(Event):
    """*by* has *host* told of *events* (none: of all) in *project* ("": in every one), as the webhook *hook*."""

    hook: str
    host: str
    project: str
    by: str
    events: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChanged(Event):
    """The webhook *hook* is "paused" or "resumed" by *by*, or "rotated": signed with another secret from now on."""

    hook: str
    how: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRemoved(Event):
    """*by* ended the webhook *hook*."""

    hook: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeHeard(Event):
    """The forge *forge* of *project* said, signed, that *by* did *kind* there.

    *kind* is "pushed", "opened", "changed", "merged", "closed" or "commented"; *about* is the branch or the "#number" there, *commit*
    where that is now, and *change* the number of our own pull request that it is about, 0: of none. *digest* is the SHA-256
    of all that it said: said again, it is not told again.
    """

    project: str
    forge: str
    kind: str
    about: str
    commit: str
    by: str
    delivery: str
    digest: str
    change: int = 0

    key = property(lambda self: f"heard/{self.digest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKept(Event):
    """*by* set the secret that is *called* so, for *project* alone, "": for all that have no own."""

    called: str
    project: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRemoved(Event):
    """*by* deleted the secret that was *called* so, that of *project*, "": the operator's."""

    called: str
    project: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeLinked(Event):
    """At the forge *forge* of *project*, *about* ("#number") is our own pull request *change*; later that number alone may be named."""

    project: str
    forge: str
    about: str
    change: int

    key = property(lambda self: f"linked/{self.project}/{self.forge}/{self.about}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentHeard(Event):
    """At the forge *forge* *by* wrote *text* about the pull request *change* of the run, at *line* of the file *path*, if one is named.

    *comment* is its name there. *person* ("Name <address>") is who *by* is here, if they may say something to the run and so said
    it; "": it was put to a person, or the run had ended.
    """

    project: str
    forge: str
    change: int
    comment: str
    by: str
    text: str
    path: str = ""
    line: int = 0
    person: str = ""

    key = property(lambda self: f"comment/{self.forge}/{self.comment}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentPassed(Event):
    """*by*, a person, passed what the question *question* shows on to the run: a comment at its forge."""

    question: str
    by: str

    key = property(lambda self: f"passed/{self.question}")
