"""The hub: what goes in, what comes out, and who may move what."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import EngineError, LimitReached, RepoError, SandboxError, SettingsError
from nightmill.repo import Git, Hub, suspicious
from nightmill.repo.git import Call
from tests.conftest import Python


@dataclass(frozen=True, kw_only=True)
class Someone:
    name: str = "nightmill developer"
    email: str = "developer@nightmill.invalid"
    key: Path | None = None


@pytest.fixture
def agent(tmp_path: Path, checkout: Path, owner: Callable[..., str]) -> Callable[..., Path]:
    """A clone in which an agent worked: commit it with agent(files) and get the bundle."""
    place = tmp_path / "agent"
    owner("clone", "-q", str(checkout), str(place), at=tmp_path)

    def work(**files: str) -> Path:
        for name, body in files.items():
            (place / name).write_text(body)
        owner("add", "-A", at=place)
        owner("commit", "-q", "--allow-empty", "-m", "work", at=place)
        bundle = tmp_path / "out.bundle"
        owner("bundle", "create", "-q", str(bundle), "HEAD", "^origin/main", at=place)
        return bundle

    return work


def signing_key(folder: Path) -> tuple[Path, Path]:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    signers = folder / "signers"
    signers.write_text(f'developer@nightmill.invalid namespaces="git" {key.with_suffix(".pub").read_text()}')
    return key, signers


def test_a_hub_takes_branches_and_commits_and_follows_the_owner_forwards_only(
    hub: Hub, checkout: Path, owner: Callable[..., str]
) -> None:
    first = hub.commit_of("main")
    (checkout / "app.py").write_text("print('second')\n")
    owner("commit", "-qam", "second")
    second = owner("rev-parse", "HEAD")
    assert hub.commit_of("main") == first
    assert hub.take(checkout, second) == second
    assert hub.advance("main", second) == second
    # the owner goes back: the hub is ahead, which is no quarrel
    assert hub.advance("main", first) == second
    owner("reset", "-q", "--hard", first)
    owner("commit", "-q", "--allow-empty", "-m", "another way")
    with pytest.raises(RepoError, match="gone different ways") as refused:
        hub.advance("main", hub.take(checkout, "main"))
    assert "git pull" in refused.value.hint
    with pytest.raises(RepoError, match="cannot be taken") as refused:
        hub.take(checkout, "nowhere")
    assert "branch" in refused.value.hint
    assert hub.take(checkout, "HEAD") == owner("rev-parse", "HEAD")


def test_creating_a_hub_twice_or_by_two_at_once_leaves_one(tmp_path: Path) -> None:
    made = [Hub(tmp_path / "p.git") for _ in range(4)]
    threads = [threading.Thread(target=each.create) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["p.git"]
    assert not (tmp_path / "p.git" / "hooks").exists()


def test_work_comes_back_as_a_bundle(hub: Hub, agent: Callable[..., Path], tmp_path: Path) -> None:
    base = hub.commit_of("main")
    hub.bundle(tmp_path / "in.bundle", tips={"refs/heads/main": base})
    subprocess.run(
        ["git", "clone", "-q", "-b", "main", str(tmp_path / "in.bundle"), str(tmp_path / "inside")], check=True
    )
    assert (tmp_path / "inside" / "app.py").exists()
    commit = hub.receive(
        agent(**{"new.py": "x = 1\n", ":100644 0": "a\n", "notes.txt": "one\ntwo\nthree\nfour\n"}),
        "refs/nightmill/incoming/r1",
        limit=1 << 20,
    )
    assert hub.resolve("refs/nightmill/incoming/r1") == commit
    seen = {change.path: change for change in hub.changes(base, commit)}
    assert {path: (each.status, each.added, each.removed) for path, each in seen.items()} == {
        ":100644 0": ("A", 1, 0),
        "new.py": ("A", 1, 0),
        "notes.txt": ("M", 1, 0),
    }
    assert hub.changes(commit, commit) == []
    assert hub.show(commit, "new.py") == b"x = 1\n"
    assert "+four" in hub.diff(base, commit).text
    assert hub.diff(base, commit, limit=40).cut
    assert [entry.message for entry in hub.log(commit, without=base)] == ["work"]
    assert hub.log(commit)[1].author == "Olga Owner"
    # what goes back in carries only what is new
    hub.bundle(tmp_path / "thin.bundle", tips={"refs/heads/work": commit}, exclude=[base])
    other = Hub(tmp_path / "other.git")
    other.create()
    with pytest.raises(SandboxError):
        other.receive(tmp_path / "thin.bundle", "refs/heads/x", limit=1 << 20)
    assert other.resolve("refs/heads/x") is None


def evil_bundle(owner: Callable[..., str], place: Path, tree_lines: str, *, target: Path) -> Path:
    tree = owner("mktree", "--missing", at=place, stdin=tree_lines.encode())
    commit = owner("commit-tree", tree, "-p", "origin/main", "-m", "evil", at=place)
    owner("update-ref", "refs/heads/evil", commit, at=place)
    owner("bundle", "create", "-q", str(target), "evil", "^origin/main", at=place)
    return target


@pytest.mark.parametrize("name", [".git", ".GIT", "..", "git~1", ".g\u200cit"])
def test_a_tree_that_would_write_into_gits_own_folder_never_enters_the_hub(
    name: str, hub: Hub, agent: Callable[..., Path], owner: Callable[..., str], tmp_path: Path
) -> None:
    agent()
    blob = owner("hash-object", "-w", "--stdin", at=tmp_path / "agent", stdin=b"#!/bin/sh\n")
    bundle = evil_bundle(owner, tmp_path / "agent", f"100755 blob {blob}\t{name}\n", target=tmp_path / "evil.bundle")
    before = sorted(hub.path.rglob("*"))
    with pytest.raises(SandboxError, match="git refuses"):
        hub.receive(bundle, "refs/nightmill/incoming/r1", limit=1 << 20)
    assert sorted(hub.path.rglob("*")) == before


def test_what_is_not_one_sound_bundle_is_refused(
    hub: Hub, agent: Callable[..., Path], owner: Callable[..., str], tmp_path: Path
) -> None:
    good = agent(new="x")
    link, pipe, junk, cut, two = (tmp_path / name for name in ("link", "pipe", "junk", "cut", "two"))
    link.symlink_to(good)
    os.mkfifo(pipe)
    junk.write_bytes(os.urandom(5000))
    cut.write_bytes(good.read_bytes()[:-30])
    owner("bundle", "create", "-q", str(two), "HEAD", "main", at=tmp_path / "agent")
    before = sorted(hub.path.rglob("*"))
    for refused in (link, pipe, junk, cut, two, tmp_path / "absent", tmp_path):
        with pytest.raises(SandboxError):
            hub.receive(refused, "refs/nightmill/incoming/r1", limit=1 << 20)
    with pytest.raises(LimitReached):
        hub.receive(good, "refs/nightmill/incoming/r1", limit=100)
    assert sorted(hub.path.rglob("*")) == before


def test_nothing_that_a_commit_brings_runs_or_hides_anything(
    hub: Hub, agent: Callable[..., Path], tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    evil = f"#!/bin/sh\ntouch {canary}\n"
    base = hub.commit_of("main")
    bundle = agent(
        **{
            ".gitattributes": "* filter=evil diff=evil merge=evil\n*.py -diff binary\n",
            ".gitconfig": f"[core]\n\tfsmonitor = touch {canary}\n",
            ".mailmap": "A Saint <saint@example.org> <olga@example.org>\n",
            "app.py": "print('backdoor')\n",
            "run.sh": evil,
        }
    )
    commit = hub.receive(bundle, "refs/heads/main", limit=1 << 20)
    assert "+print('backdoor')" in hub.diff(base, commit).text
    assert not any(change.binary for change in hub.changes(base, commit))
    assert hub.log(commit)[0].author == "Olga Owner"
    assert hub.merged_tree("main", commit).tree == hub.tree(commit)
    assert not canary.exists()


def test_the_same_commit_has_the_same_id_and_a_signature_that_holds(hub: Hub, tmp_path: Path) -> None:
    key, signers = signing_key(tmp_path)
    base = hub.commit_of("main")
    made = [
        hub.commit(
            hub.tree(base), parents=[base], message="Add: ü\n\nbody\n", author=Someone(key=key), when=1_700_000_000
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert hub.verify(made[0], signers=signers)
    assert not hub.verify(base, signers=signers)
    entry = hub.log(made[0])[0]
    assert (entry.email, entry.when, entry.message) == ("developer@nightmill.invalid", 1_700_000_000, "Add: ü\n\nbody")
    plain = hub.commit(hub.tree(base), parents=[base], message="m", author=Someone(name="x\n<y>"), when=1)
    assert hub.log(plain)[0].author == "x y"
    with pytest.raises(SettingsError, match="does not sign"):
        hub.commit(hub.tree(base), parents=[], message="m", author=Someone(key=tmp_path / "none"), when=1)


def test_a_branch_moves_only_from_where_it_was_seen(hub: Hub) -> None:
    base = hub.commit_of("main")
    other = hub.commit(hub.tree(base), parents=[base], message="m", author=Someone(), when=1)
    hub.branch("work", base, expected_old="")
    with pytest.raises(RepoError, match="is at"):
        hub.branch("work", other, expected_old="")
    with pytest.raises(RepoError, match="is at"):
        hub.branch("work", other, expected_old=other)
    hub.branch("work", other, expected_old=base)
    assert hub.commit_of("work") == other
    for name in ("-x", "a..b", "a b", "a~1", "x.lock", "", "@{-1}", "a\nb", "work/deeper"):
        with pytest.raises(RepoError):
            hub.branch(name, base, expected_old="")


def test_a_merge_is_foreseen_without_a_checkout(hub: Hub) -> None:
    base = hub.commit_of("main")

    def edited(old: str, new: str) -> str:
        body = hub.show(base, "notes.txt").replace(old.encode(), new.encode())
        blob = hub.must("hash-object", "-w", "--stdin", stdin=body).out.decode().strip()
        lines = [f"{f.mode} blob {blob if f.path == 'notes.txt' else f.sha}\t{f.path}\n" for f in hub.files(base)]
        tree = hub.must("mktree", stdin="".join(lines).encode()).out.decode().strip()
        return hub.commit(tree, parents=[base], message="m", author=Someone(), when=1)

    ours, theirs = edited("one", "uno"), edited("three", "tre")
    merge = hub.merged_tree(ours, theirs)
    assert merge.conflicts == ()
    assert hub.show(merge.tree, "notes.txt") == b"uno\ntwo\ntre\n"
    assert hub.merged_tree(base, ours).tree == hub.tree(ours)
    assert hub.merged_tree(ours, edited("one", "eins")).conflicts == ("notes.txt",)


def _grab(path: str, taken: Any, release: Any) -> None:
    with Hub(Path(path)).locked():
        taken.set()
        release.wait()


def test_a_second_writer_waits_and_a_killed_one_leaves_nothing_in_the_way(hub: Hub) -> None:
    context = multiprocessing.get_context("spawn")
    taken, release = context.Event(), context.Event()
    other = context.Process(target=_grab, args=(str(hub.path), taken, release))
    other.start()
    try:
        assert taken.wait(60)
        with pytest.raises(EngineError, match="another process"), hub.locked(seconds=0.05):
            pass
        (hub.path / "refs/heads/main.lock").touch()
        (hub.path / "packed-refs.lock").touch()
        (hub.path / "objects/incoming-x").mkdir()
    finally:
        other.kill()
        other.join()
    base = hub.commit_of("main")
    hub.branch("work", base, expected_old="")
    assert not list(hub.path.rglob("*.lock"))
    assert not (hub.path / "objects/incoming-x").exists()


def test_the_lock_outlives_a_killed_worker_as_long_as_its_git_runs(hub: Hub, tmp_path: Path, python: Python) -> None:
    fifo, started = tmp_path / "fifo", tmp_path / "started"
    os.mkfifo(fifo)
    os.mkfifo(started)
    slow = tmp_path / "git"
    slow.write_text(f"#!/bin/sh\necho now > {started}\nread line < {fifo}\n")
    slow.chmod(0o755)
    program = (
        "import sys; from pathlib import Path; from nightmill.repo import Git, Hub\n"
        "hub = Hub(Path(sys.argv[1]), git=Git(program=sys.argv[2]))\n"
        "with hub.locked(): hub.run('version')\n"
    )
    worker = python(program, hub.path, slow)
    assert started.read_text() == "now\n"
    worker.kill()
    worker.wait()
    with pytest.raises(EngineError, match="another process"), hub.locked(seconds=0.05):
        pass
    fifo.write_text("go\n")
    with hub.locked():
        pass


def test_git_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    slow, child = tmp_path / "git", tmp_path / "child"
    slow.write_text(f"#!/bin/sh\nsleep 1000 & echo $! > {child}\nwait\n")
    slow.chmod(0o755)
    with pytest.raises(EngineError, match="did not end within"):
        Git(program=str(slow)).run(Call(args=("status",), seconds=0.5))
    pid = int(child.read_text())
    stat = Path(f"/proc/{pid}/stat")
    while stat.exists() and stat.read_text().split(")")[-1].split()[0] != "Z":
        time.sleep(0.001)


def test_a_canary_in_environment_and_home_never_reaches_git(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    spy = tmp_path / "git"
    spy.write_text(f"#!/bin/sh\nenv > {seen}\n")
    spy.chmod(0o755)
    monkeypatch.setenv("CANARY", "secret-canary")
    monkeypatch.setenv("GIT_DIR", "/secret-canary")
    Hub(hub.path, git=Git(program=str(spy))).run("status")
    assert "secret-canary" not in seen.read_text()
    assert "HOME=/nonexistent" in seen.read_text()


def test_what_deserves_a_second_look_is_found(hub: Hub, agent: Callable[..., Path], tmp_path: Path) -> None:
    place = tmp_path / "agent"
    agent()
    (place / ".github/workflows").mkdir(parents=True)
    (place / "deep").mkdir()
    (place / "deep/out").symlink_to("../../secret")
    (place / "deep/in").symlink_to("../app.py")
    (place / "abs").symlink_to("/etc/passwd")
    (place / "config").symlink_to(".git/config")
    bundle = agent(
        **{
            ".github/workflows/ci.yml": "on: push\n",
            ".gitattributes": "*.bin filter=lfs\n",
            "nightmill.yaml": "checks: []\n",
            "big.bin": "x" * 2000,
            "fine.py": "x = 1\n",
            "evil\u202egpj.py": "",
        }
    )
    commit = hub.receive(bundle, "refs/nightmill/incoming/r1", limit=1 << 20)
    found = dict(suspicious(hub, "main", commit, limit=1000))
    assert set(found) == {
        ".gitattributes",
        ".github/workflows/ci.yml",
        "abs",
        "big.bin",
        "config",
        "deep/out",
        "evil\u202egpj.py",
        "nightmill.yaml",
    }
    assert "absolute" in found["abs"]
    assert "outside" in found["deep/out"]
    assert "2,000 bytes" in found["big.bin"]


def test_a_submodule_and_its_origin_are_found(
    hub: Hub, agent: Callable[..., Path], owner: Callable[..., str], tmp_path: Path
) -> None:
    agent()
    blob = owner(
        "hash-object", "-w", "--stdin", at=tmp_path / "agent", stdin=b'[submodule "a"]\n\tpath = a\n\turl = ./a\n'
    )
    lines = f"100644 blob {blob}\t.gitmodules\n160000 commit {'1' * 40}\ta\n"
    bundle = evil_bundle(owner, tmp_path / "agent", lines, target=tmp_path / "sub.bundle")
    commit = hub.receive(bundle, "refs/nightmill/incoming/r1", limit=1 << 20)
    assert dict(suspicious(hub, "main", commit)) == {
        ".gitmodules": "says where submodules come from",
        "a": "changes a submodule",
    }
