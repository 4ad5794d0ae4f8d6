"""The owner's checkout in every state in which people leave theirs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nightmill.errors import RepoError, SettingsError
from nightmill.repo import Git, Hub, inspect, shown


def test_a_clean_checkout_is_described_from_any_folder_inside(checkout: Path, owner: Callable[..., str]) -> None:
    (checkout / "deep").mkdir()
    seen = inspect(checkout / "deep")
    assert seen.root == checkout.resolve()
    assert (seen.branch, seen.detached, seen.dirty, seen.submodules) == ("main", False, (), ())
    assert seen.head == owner("rev-parse", "HEAD")
    assert (seen.remote, seen.format) == ("", "sha1")


def test_dirty_names_tracked_changes_only_whatever_their_names_hold(checkout: Path, owner: Callable[..., str]) -> None:
    odd = 'new\nline "quoted" \udcff.txt'
    names = [odd, "-dash", "täg.txt", " space ", "app.py"]
    for name in names:
        (checkout / name).write_text("1")
    (checkout / "broken").symlink_to("nowhere")
    owner("add", ".")
    owner("commit", "-q", "-m", "odd names")
    for name in names:
        (checkout / name).write_text("22")
    (checkout / "broken").unlink()
    (checkout / "untracked").write_text("not looked at")
    seen = inspect(checkout)
    assert sorted(seen.dirty) == sorted([*names, "broken"])
    assert shown(odd) == 'new\\nline "quoted" \\xff.txt'


def test_a_detached_head_is_reported_and_a_staged_change_is_dirty(checkout: Path, owner: Callable[..., str]) -> None:
    owner("checkout", "-q", "--detach")
    (checkout / "app.py").write_text("staged")
    owner("add", "app.py")
    seen = inspect(checkout)
    assert (seen.detached, seen.branch, seen.dirty) == (True, "", ("app.py",))


@pytest.mark.parametrize(
    ("state", "message", "hint"),
    [
        ("missing", "there is no folder", "name a folder"),
        ("plain", "not in a git repository", "git init"),
        ("bare", "bare repository", "git clone"),
        ("inside", "inside a .git folder", "beside .git"),
        ("empty", "has no commits", "git commit"),
        ("unborn", "'fresh' of .* has no commit yet", "check out a branch"),
        ("shallow", "shallow clone", "git fetch --unshallow"),
        ("partial", "partial clone", "without --filter"),
        ("damaged", "HEAD of .* names no commit|cannot read", "git fsck"),
    ],
)
def test_a_checkout_from_which_no_work_can_start_is_refused_with_a_way_out(
    state: str, message: str, hint: str, checkout: Path, owner: Callable[..., str], tmp_path: Path
) -> None:
    place = {"inside": checkout / ".git", "missing": tmp_path / "no"}.get(state, tmp_path / state)
    if state in {"plain", "bare", "empty"}:
        place.mkdir()
    if state == "bare":
        owner("init", "-q", "--bare", at=place)
    if state == "empty":
        owner("init", "-q", at=place)
    if state == "unborn":
        place = checkout
        owner("checkout", "-q", "--orphan", "fresh")
    if state in {"shallow", "partial"}:
        owner("config", "uploadpack.allowFilter", "true")
        owner("commit", "-q", "--allow-empty", "-m", "second")
        how = "--depth=1" if state == "shallow" else "--filter=blob:none"
        owner("clone", "-q", how, f"file://{checkout}", str(place), at=tmp_path)
    if state == "damaged":
        place = checkout
        (checkout / ".git" / "HEAD").write_text("0" * 39 + "1\n")
    with pytest.raises(RepoError, match=message) as refused:
        inspect(place)
    assert hint in refused.value.hint


def test_submodules_sparse_trees_and_linked_worktrees_are_read_as_they_are(
    checkout: Path, owner: Callable[..., str], tmp_path: Path
) -> None:
    owner("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(checkout), "vendor/lib")
    owner("commit", "-q", "-m", "a submodule")
    (checkout / "vendor/lib/app.py").write_text("changed inside the submodule")
    assert inspect(checkout).submodules == ("vendor/lib",)
    assert inspect(checkout).dirty == ()
    owner("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    beside = inspect(tmp_path / "side")
    assert (beside.root, beside.branch) == ((tmp_path / "side").resolve(), "side")
    owner("sparse-checkout", "set", "--no-cone", "notes.txt")
    assert not (checkout / "app.py").exists()
    assert inspect(checkout).dirty == ()
    hub = Hub(tmp_path / "hub.git")
    hub.create()
    assert hub.take(tmp_path / "side", "HEAD") == beside.head
    assert "app.py" in [file.path for file in hub.files(beside.head)]


def test_nothing_the_repository_configures_runs_and_nothing_in_it_changes(
    checkout: Path, owner: Callable[..., str], tmp_path: Path
) -> None:
    canary, script = tmp_path / "canary", tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    script.chmod(0o755)
    (checkout / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    owner("add", ".")
    owner("commit", "-q", "-m", "attributes")
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (checkout / ".git/hooks").mkdir(exist_ok=True)
        (checkout / ".git/hooks" / hook).symlink_to(script)
    (checkout / ".git/more").write_text(
        f"[core]\n\tfsmonitor = {script}\n"
        f'[filter "evil"]\n\tclean = {script}\n\tprocess = {script}\n\trequired = true\n'
        f'[diff "evil"]\n\tcommand = {script}\n\ttextconv = {script}\n'
        f"[uploadpack]\n\tpackObjectsHook = {script}\n"
        f"[core]\n\tsshCommand = {script}\n\talternateRefsCommand = {script}\n"
    )
    owner("config", "include.path", "more")
    # The same size and another time: git has to read the file, through its filter if it has one.
    (checkout / "app.py").write_text("print('HELLO')\n")
    old = time.time() - 1000
    os.utime(checkout / "notes.txt", (old, old))
    before = {path: path.stat().st_mtime_ns for path in (checkout / ".git").rglob("*") if path.is_file()}
    seen = inspect(checkout)
    hub = Hub(tmp_path / "hub.git")
    hub.create()
    hub.take(checkout, "main")
    assert seen.dirty == ("app.py",)
    assert not canary.exists()
    after = {path: path.stat().st_mtime_ns for path in (checkout / ".git").rglob("*") if path.is_file()}
    assert before == after


def test_the_users_own_configuration_counts_only_where_a_home_is_given(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\n\tfilemode = nonsense\n")
    assert inspect(checkout).dirty == ()
    with pytest.raises(RepoError, match=r"cannot read|not in a git"):
        inspect(checkout, home=home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused_until_its_owner_is_trusted(checkout: Path, tmp_path: Path) -> None:
    subprocess.run(["chown", "-R", "12345", str(checkout)], check=True)
    with pytest.raises(RepoError, match="belongs to another user") as refused:
        inspect(checkout)
    assert "safe.directory" in refused.value.hint
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {checkout}\n")
    seen = inspect(checkout, home=home)
    hub = Hub(tmp_path / "hub.git")
    hub.create()
    assert hub.take(checkout, "main") == seen.head


def test_a_machine_without_git_or_with_an_old_one_is_told_so(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no git program"):
        inspect(checkout, git=Git(program=str(tmp_path / "git")))
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.30.2\n")
    old.chmod(0o755)
    with pytest.raises(SettingsError, match=r"2\.30\.2 is too old"):
        Git(program=str(old)).version()
