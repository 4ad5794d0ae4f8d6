"""The operator's policy: the file policy.yaml of the home, in the form of `policy` in nightmill.yaml."""

from __future__ import annotations

from pathlib import Path

from nightmill.errors import SettingsError
from nightmill.estate import form, shape
from nightmill.estate.nouns import Project
from nightmill.policy import Policy, agree, said

__all__ = ["NAME", "holding"]

NAME = "policy.yaml"


def holding(project: Project, *, home: Path) -> Policy:
    """What holds for changes of *project* on the machine whose folder is *home*.

    Raises:
        SettingsError: If the operator's file or what the project says cannot be used; the message names the line.
    """
    return agree(_operators(home), project.policy, language=project.language)


def _operators(home: Path) -> Policy:
    path = home / NAME
    try:
        with path.open("rb") as file:
            body = file.read(form.LARGEST + 1)
    except FileNotFoundError:
        return Policy()
    except OSError as error:
        # What the operator asks for is not known, so nothing may go by it.
        raise SettingsError(f"{str(path)!r} cannot be read: {error.strerror}", hint="make it readable") from error
    return said(form.read(body, shape.POLICY, name=NAME), source=NAME)
