"""Where a script fails, the checkout is as it found it: what others made and nobody committed is there still."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nightmill.improve.distil import Piece, _script
from tests.whole import git, repository

FILES = {"kept": "one\n", "gone": "two\n", ".gitignore": "cache\n"}


def look(folder: Path) -> dict[str, str]:
    return {
        str(each.relative_to(folder)): each.read_text()
        for each in sorted(folder.rglob("*"))
        if each.is_file() and ".git" not in each.relative_to(folder).parts
    }


@pytest.mark.parametrize(
    "failing",
    [
        (Piece("echo new > made; mkdir deep; echo x > deep/er; rm kept; echo other > before; false"),),
        (
            Piece("git add --all; git rm -q --cached before"),
            Piece("git checkout -q -f HEAD kept; rm -r sub"),
            Piece("exit 3"),
        ),
        (Piece("rm before"), Piece("--- a/kept\n+++ b/kept\n@@ -1 +1 @@\n-none\n+such\n", patch=True)),
    ],
    ids=["a command", "what plays with git", "a patch"],
)
def test_a_script_that_fails_leaves_what_it_found(tmp_path: Path, failing: tuple[Piece, ...]) -> None:
    repo = repository(tmp_path / "repo", FILES)
    (repo / "kept").write_text("one, by an agent before\n")
    (repo / "gone").unlink()
    (repo / "sub").mkdir()
    for name in ("before", "sub/before", "cache"):
        (repo / name).write_text(f"{name}, which nobody committed\n")
    before, status = look(repo), git(repo, "status", "--porcelain")

    done = subprocess.run(["bash", "-c", _script(failing, ())], cwd=repo, capture_output=True, check=False, timeout=60)

    assert done.returncode
    assert look(repo) == before
    assert git(repo, "status", "--porcelain") == status
