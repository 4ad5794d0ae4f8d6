"""Repositories from which no work can start, and odd ones from which it can."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ScriptedFactory
from tests.inputs.refusal import MODEL, refused
from tests.whole import EDIT, FILES, FINISH, MODELS, SPEC, TRY, Mill, commit, fingerprint, git, repository, script

pytestmark = pytest.mark.slow

ODD = (
    b"new\nline.txt",
    b'quo"te.txt',
    b"it's.txt",
    b"back\\slash",
    b" lead and trail ",
    b"tab\t",
    b"-dash",
    b"caf\xe9.txt",
    b"\xff\xfe\n\"'",
    b"dir \n\xe9/in it",
    "\u202egpj.exe".encode(),
)
"""Names that are allowed."""


def cannot_start(mill: Mill, checkout: Path, *words: str, base: str = "") -> None:
    """Neither `init` nor `run` goes on from *checkout*, and both say *words*."""
    asked = ("run", mill.folder / "SPEC.md", "--json", *MODEL, *(("--base", base) if base else ()))
    commands = [asked] if base else [("init", "--json"), asked]
    for command in commands:
        said = refused(mill, *command, at=checkout)
        assert all(word in said for word in words), said


def test_a_folder_that_is_no_repository(mill: Mill, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "nightmill.yaml").write_text(FILES["nightmill.yaml"])

    cannot_start(mill, folder, f"{str(folder)!r} is not in a git repository", "git init")


def test_a_folder_that_is_not_there(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout")

    assert "there is no folder" in refused(mill, "init", "../nowhere", at=checkout)
    assert "there is no nightmill.yaml" in refused(
        mill, "run", tmp_path / "SPEC.md", "--project", "../nowhere", *MODEL, at=checkout
    )


def test_a_bare_repository(mill: Mill, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository(tmp_path / "checkout")), "bare.git")

    assert "is a bare repository" in refused(mill, "init", "--json", at=tmp_path / "bare.git")


def test_a_repository_without_commits(mill: Mill, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "nightmill.yaml").write_text(FILES["nightmill.yaml"])

    cannot_start(mill, folder, "has no commits", "git add . && git commit")


def test_a_shallow_clone(mill: Mill, tmp_path: Path) -> None:
    source = repository(tmp_path / "source")
    commit(source, "The second")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{source}", "shallow")

    cannot_start(mill, tmp_path / "shallow", "is a shallow clone", "git fetch --unshallow")


def test_a_detached_head_without_a_base(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout")
    git(checkout, "checkout", "-q", "--detach")

    cannot_start(mill, checkout, "is on no branch (detached head)")


def test_a_base_that_is_not_there(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout")

    cannot_start(mill, checkout, "has no branch 'release'", "git branch", base="release")


def test_a_dirty_tree(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout", {**FILES, "caf\udce9\n": "x"})
    (checkout / "calc.py").write_text("# not yet\n")
    (checkout / "caf\udce9\n").write_text("y")

    said = refused(mill, "run", tmp_path / "SPEC.md", "--json", *MODEL, at=checkout)

    assert r"changes that are in no commit: 'caf\xe9\n', 'calc.py'" in said
    assert "commit or stash them" in said


@pytest.fixture(scope="module")
def working(scripted_for_all: ScriptedFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mill, str]]:
    """A mill at work, and the address of its model."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "SPEC.md").write_text(SPEC.format(title=""), encoding="utf-8")
    name = "$'made\\n\"\\xe8'"
    look = {
        "text": "I look around, and make a file with a name as odd as the others.",
        "tool_calls": [
            {"name": "list_files", "arguments": {"path": "."}},
            {"name": "search", "arguments": {"pattern": "odd"}},
            {"name": "run_command", "arguments": {"command": f"printf odd > {name}; git status --short"}},
        ],
    }
    model = scripted_for_all(script(look, EDIT, TRY, FINISH))
    mill = Mill(folder=folder)
    with mill.worker():
        yield mill, model.url


def works(working: tuple[Mill, str], checkout: Path, *options: str) -> None:
    """A run on *checkout* ends in a pull request that holds what it should and nothing else; *checkout* stays."""
    mill, url = working
    before = fingerprint(checkout)

    if not options:
        done = mill.run("init", "--json", at=checkout)
        assert done.returncode == 0, done.stderr
    model = ("--model", MODELS["anthropic"], "--base-url", url)
    done = mill.run("run", mill.folder / "SPEC.md", *model, *options, at=checkout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert fingerprint(checkout) == before, "the owner's checkout was touched"
    request = mill.json("prs", at=checkout)[0]
    hub = next(mill.home.glob(f"projects/{request['project']}/hub.git"))
    assert changed(hub, "main", request["branch"]) == {"calc.py", 'made\n"\udce8'}
    assert git(hub, "rev-parse", "main") == git(checkout, "rev-parse", "main")
    shown = mill.run("pr", "show", str(request["number"]), at=checkout)
    assert shown.returncode == 0, shown.stderr
    report = mill.run("show", request["run"], "--html", mill.folder / "report.html", at=checkout)
    assert report.returncode == 0, report.stderr


def changed(hub: Path, base: str, head: str) -> set[str]:
    return set(filter(None, git(hub, "diff", "--name-only", "-z", base, head).split("\0")))


def test_odd_names_and_broken_links_stay_as_they_are(working: tuple[Mill, str], tmp_path: Path) -> None:
    checkout = repository(tmp_path / "odd")
    for name in ODD:
        path = os.fsencode(checkout) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - its name is no text
        Path(os.fsdecode(path)).write_bytes(b"odd " + name)
    (checkout / "broken").symlink_to("nowhere")
    (checkout / "outside").symlink_to("/etc/hostname")
    os.symlink(b"caf\xe9.txt", os.fsencode(checkout) + b"/l\xe9")  # noqa: PTH211 - the same
    commit(checkout, "Odd names")

    works(working, checkout)


def test_a_dirty_tree_can_be_taken_in_and_is_not_touched(working: tuple[Mill, str], tmp_path: Path) -> None:
    checkout = repository(tmp_path / "dirty")
    (checkout / "calc.py").write_text("# not yet\n")
    (checkout / "new.txt").write_text("untracked\n")
    git(checkout, "add", "new.txt")
    before = fingerprint(checkout)

    done = working[0].run("init", "--json", at=checkout)

    assert done.returncode == 0, done.stderr
    assert fingerprint(checkout) == before


def test_submodules_stay_where_they_are(working: tuple[Mill, str], tmp_path: Path) -> None:
    part, checkout = repository(tmp_path / "part"), repository(tmp_path / "super")
    git(checkout, "submodule", "--quiet", "add", str(part), "vendor/part")
    commit(checkout, "A submodule")

    works(working, checkout)


def test_what_a_sandbox_will_not_hold_is_said_and_what_is_to_be_done_next(mill: Mill, tmp_path: Path) -> None:
    part, checkout = repository(tmp_path / "part"), repository(tmp_path / "super")
    git(checkout, "submodule", "--quiet", "add", str(part), "vendor/part")
    (checkout / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    commit(checkout, "A submodule and large files")

    said = mill.run("init", at=checkout).stderr

    assert "note: the submodule 'vendor/part' stays empty" in said
    assert "note: files that Git LFS keeps are pointers" in said
    assert said.endswith("\nnext: nightmill spec check SPEC.md, and nightmill run SPEC.md\n")
    assert "LFS" not in mill.run("init", at=part).stderr


def test_without_a_check_the_next_thing_is_to_write_one(mill: Mill, tmp_path: Path) -> None:
    checkout = repository(tmp_path / "plain", {"README": "A thing."})

    said = mill.run("init", at=checkout).stderr

    assert said.count("without one nothing can be proven") == 1
    assert said.endswith(
        "\nnext: write under `checks` in nightmill.yaml how it is tested, then again: nightmill init\n"
    )
    (checkout / "nightmill.yaml").unlink()
    git(checkout, "rm", "-q", "README")
    commit(repository(checkout, FILES), "Tests")
    (checkout / "nightmill.yaml").unlink()
    commit(checkout, "No file yet")
    assert (
        "next: read nightmill.yaml, correct it, and commit it: git add nightmill.yaml &&"
        in mill.run("init", at=checkout).stderr
    )


def test_a_submodule_that_was_never_fetched(working: tuple[Mill, str], tmp_path: Path) -> None:
    part, source = repository(tmp_path / "part"), repository(tmp_path / "super")
    git(source, "submodule", "--quiet", "add", str(part), "vendor/part")
    commit(source, "A submodule")
    git(tmp_path, "clone", "-q", str(source), "clone")

    works(working, tmp_path / "clone")


def test_a_detached_head_with_a_base(working: tuple[Mill, str], tmp_path: Path) -> None:
    checkout = repository(tmp_path / "detached")
    git(checkout, "checkout", "-q", "--detach")

    works(working, checkout, "--base", "main")
