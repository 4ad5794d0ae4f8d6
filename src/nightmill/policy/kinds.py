"""Kinds of paths about whose change a person is asked unless the operator says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nightmill.policy.nouns import Rule
from nightmill.policy.paths import covers

__all__ = ["KINDS", "Kind", "is_test", "protected"]

SOURCE = "nightmill's own rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """*paths* in any language, and *more* of them by language; *existing*: new files are free."""

    about: str
    paths: tuple[str, ...]
    more: dict[str, tuple[str, ...]]
    existing: bool = False


TESTS = {
    "python": ("**/test_*.py", "**/*_test.py", "**/tests.py"),
    "javascript": ("**/__tests__/**", "**/*.test.*", "**/*.spec.*", "**/*.snap"),
    "go": ("**/*_test.go", "**/testdata/**"),
    "rust": ("**/benches/**",),
    "other": ("**/test_*", "**/*_test.*", "**/*.test.*", "**/*.spec.*", "**/*Test.*", "**/*Tests.*"),
}

KINDS: dict[str, Kind] = {
    "workflows": Kind(
        about="what runs outside the sandbox",
        paths=(
            ".github/workflows/**", ".github/actions/**", ".gitlab-ci.yml", ".gitlab/**", ".gitea/**", ".forgejo/**",
            ".circleci/**", ".buildkite/**", "Jenkinsfile", "azure-pipelines.yml", "bitbucket-pipelines.yml",
            ".githooks/**", ".husky/**", ".pre-commit-config.yaml", ".envrc", ".vscode/**", ".devcontainer/**",
            "**/.gitattributes", ".gitmodules", "**/Dockerfile*",
        ),
        more={"python": ("setup.py", "**/sitecustomize.py", "**/*.pth"), "rust": ("**/build.rs", ".cargo/**"),
              "javascript": (".npmrc", ".yarnrc*", ".pnpmfile.cjs")},
    ),
    "auth": Kind(
        about="who may do what",
        paths=(
            "**/auth/**", "**/auth.*", "**/authn/**", "**/authz/**", "**/authentication*", "**/authorization*",
            "**/permission*", "**/oauth*", "**/login*", "**/session*", "**/password*", "**/security/**", "**/crypto/**",
            "**/secret*", "CODEOWNERS", "**/CODEOWNERS",
        ),
        more={},
    ),
    "migrations": Kind(
        about="what changes stored data",
        paths=("**/migrations/**", "**/migrate/**", "**/alembic/versions/**", "**/schema.sql", "**/schema.prisma"),
        more={},
    ),
    "tests": Kind(
        about="tests that were there before",
        paths=("tests/**", "test/**", "spec/**", "**/tests/**"),
        more=TESTS,
        existing=True,
    ),
    "checks": Kind(
        about="how the checks run",
        paths=(
            "Makefile", "makefile", "GNUmakefile", "**/*.mk", "justfile", "Justfile", "Taskfile.y*ml", "tox.ini",
            "noxfile.py", "pytest.ini", ".coveragerc", "**/conftest.py",
        ),
        more={"javascript": ("jest.config.*", "vitest.config.*", "playwright.config.*", ".mocharc*"),
              "go": (".golangci.y*ml",), "rust": ("clippy.toml", "rustfmt.toml"),
              "python": ("mypy.ini", "ruff.toml", ".ruff.toml")},
    ),
    "agents": Kind(
        about="how agents work here",
        paths=(
            "nightmill.yaml", ".nightmill/**", "**/AGENTS.md", "**/CLAUDE.md", "**/GEMINI.md", ".claude/**", ".cursor/**",
            ".mcp.json", ".github/copilot-instructions.md",
        ),
        more={},
    ),
}  # fmt: skip
"""By the name that `protect` has for them."""


def protected(kinds: Iterable[str], *, language: str) -> tuple[Rule, ...]:
    """A rule for each of *kinds*, as it is in a project of *language*."""
    found = [KINDS[name] for name in KINDS if name in set(kinds)]
    return tuple(
        Rule(
            source=SOURCE,
            about=kind.about,
            paths=(*kind.paths, *kind.more.get(language, ())),
            existing=kind.existing,
            change="ask",
        )
        for kind in found
    )


def is_test(path: str, *, language: str) -> bool:
    """Whether *path* is where tests are in a project of *language*: all that a role that writes tests may change."""
    patterns = (*KINDS["tests"].paths, *TESTS.get(language, TESTS["other"]), "**/conftest.py")
    return any(covers(pattern, path) for pattern in patterns)
