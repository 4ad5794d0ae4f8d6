"""A file before and after a change, and which files verify: tests, and those that say how they are run."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Change", "is_setup", "is_test"]

TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test|[^/]*_spec|[^/]*[.-](?:test|spec)|[^/]*Tests?|conftest)\.\w+$"
)
SETUP = re.compile(
    r"(?:^|/)(?:pyproject\.toml|setup\.cfg|pytest\.ini|tox\.ini|\.coveragerc|package\.json|Makefile|nightmill\.yaml"
    r"|noxfile\.py|mypy\.ini|ruff\.toml|codecov\.yml|\.gitlab-ci\.yml|(?:jest|vitest|karma)\.config\.\w+|\.nycrc\w*)$"
    r"|(?:^|/)\.github/workflows/[^/]+\.ya?ml$"
)


class Change(NamedTuple):
    """A file before and after, None where it is not there."""

    path: str
    before: str | None
    after: str | None


def is_test(path: str) -> bool:
    """Whether *path*, from the root of the repository, is a test or belongs to one."""
    return bool(TEST.search(path))


def is_setup(path: str) -> bool:
    """Whether *path* says how the work is verified."""
    return bool(SETUP.search(path))
