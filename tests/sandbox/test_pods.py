"""Sandboxes in pods. Their place is taken by a podman container, entered as a pod is: no cluster is asked."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.backends.cargo import union
from nightmill.sandbox.backends.client import Client
from nightmill.sandbox.backends.kubernetes import pod_name
from nightmill.sandbox.backends.manifests import Cluster
from nightmill.sandbox.backends.mirror import Mirror
from nightmill.sandbox.backends.pod import KubernetesPod
from tests.sandbox.box import Box, Within
from tests.sandbox.engines import working
from tests.sandbox.pods import pods
from tests.sandbox.programs import CHURN


def test_a_command_runs_and_its_files_come_and_go(within: Within, tmp_path: Path) -> None:
    tool, file = tmp_path / "tool", tmp_path / "file"
    tool.write_text("#!/bin/sh\necho worked\n")
    tool.chmod(0o755)
    file.write_text("shown\n")

    async def scenario(box: Box) -> None:
        ran = await box.sh("cat repo/kept.txt; echo new > repo/new.txt; tool; cat /mnt/nightmill/file")
        assert ran.text == "kept\nworked\nshown\n"
        assert await box.sandbox.read("/work/repo/new.txt", limit=10) == b"new\n"

    within(scenario, sandboxes=pods(), tools={"tool": tool}, files={"/mnt/nightmill/file": file})


def test_a_snapshot_of_a_pod_is_one_of_any_sandbox(within: Within) -> None:
    async def first(box: Box) -> str:
        await box.sh(
            "rm -r repo/gone; echo new > repo/new.txt; ln -s kept.txt repo/link; chmod 750 repo; mkdir -p a/b/c"
        )
        return await box.sandbox.snapshot()

    async def second(box: Box) -> str:
        return (await box.sh("cd repo; ls; cat new.txt link; stat -c %a .; ls -d ../a/b/c")).text

    snapshot = within(first, sandboxes=pods())

    expected = "kept.txt\nlink\nnew.txt\nnew\nkept\n750\n../a/b/c\n"
    assert within(second, snapshot=snapshot) == expected  # bubblewrap
    assert within(second, sandboxes=pods(), snapshot=snapshot) == expected


def test_what_came_back_after_it_was_gone_hides_what_lies_below(within: Within) -> None:
    async def first(box: Box) -> str:
        await box.sh("rm -r repo/gone")
        await box.sandbox.snapshot()
        await box.sh("mkdir repo/gone; echo other > repo/gone/other")
        return await box.sandbox.snapshot()

    async def second(box: Box) -> str:
        return (await box.sh("ls repo/gone")).text

    assert within(second, snapshot=within(first, sandboxes=pods())) == "other\n"


def test_a_pod_is_rolled_back(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("echo one > repo/turn")
        first = await box.sandbox.snapshot()
        await box.sh("echo two > repo/turn; rm repo/kept.txt")
        await box.sandbox.snapshot()
        await box.sandbox.roll_back(first)
        assert (await box.sh("cat repo/turn repo/kept.txt")).text == "one\nkept\n"

    within(scenario, sandboxes=pods())


def test_what_a_command_leaves_behind_is_ended_though_the_runner_is_not_the_first_process(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("(setsid setsid sleep 987658 &); setsid sleep 987658 & sleep 0.1")
        assert (await box.sh("ps -e -o args | grep -c '^sleep 987658'")).text == "0\n"

    within(scenario, sandboxes=pods())


def test_a_closed_sandbox_leaves_no_pod(within: Within, place: Place) -> None:
    async def scenario(_: Box) -> None:
        return

    within(scenario, sandboxes=pods())

    assert asyncio.run(working("podman").ask("container", "exists", pod_name(place.directory)))[0] == 1


def test_a_file_for_etc_is_refused(within: Within, tmp_path: Path) -> None:
    async def scenario(_: Box) -> None:
        return

    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match="cannot be shown in a pod"):
        within(scenario, sandboxes=pods(), files={"/etc/own": tmp_path / "file"})


def test_kubectl_is_asked_for_one_pod_by_name_and_namespace() -> None:
    cluster = Cluster(namespace="agents", image=f"i@sha256:{'a' * 64}", runtime_class="")
    pod = KubernetesPod(client=Client(program="kubectl", environment={}), cluster=cluster, name="nightmill-1")

    command = pod.enter("python3", "-c", "x; rm -rf /")

    assert command[: command.index("--")] == [
        "kubectl",
        "exec",
        "--stdin",
        "--namespace",
        "agents",
        "nightmill-1",
        "--container",
        "agent",
    ]
    assert command[command.index("--") + 1 :] == ["python3", "-c", "x; rm -rf /"]


# What a pod tells is hostile


def told(changed: Any, *, links: Any = None, gone: Any = (), bodies: bytes = b"") -> io.BytesIO:
    """What `LOOK` would say."""
    plain = json.dumps({"set": changed, "links": links or {}, "gone": list(gone)}).encode()
    return io.BytesIO(struct.pack(">Q", len(plain)) + plain + bodies)


FILE, FOLDER, LINK = (
    [stat.S_IFREG | 0o644, 1, 1, 1, 1],
    [stat.S_IFDIR | 0o755, 1, 1, 1, 1],
    [stat.S_IFLNK | 0o777, 1, 1, 1, 1],
)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """An empty upper over nothing, beside a file of the host."""
    (tmp_path / "upper").mkdir()
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").write_text("host")
    return Mirror(tmp_path / "upper", {}, owner=None, most=1000)


@pytest.mark.parametrize(
    "changed",
    [
        {"../host/file": FILE},
        {"/etc/x": FILE},
        {"a/../../x": FILE},
        {"": FILE},
        {"a\0": FILE},
        {"a/b": FILE},
        {"a": LINK, "a/file": FILE},
        {"a": FILE, "a/file": FILE},
        {"a": [1, 2]},
        {"a": [stat.S_IFREG, -1, 0, 0, 0]},
        {"a": [stat.S_IFREG, 1 << 40, 0, 0, 0]},
        {"a": ["x"] * 5},
        {"a": None},
        [],
        None,
    ],
)
def test_what_leads_elsewhere_or_is_nonsense_is_refused(mirror: Mirror, tmp_path: Path, changed: Any) -> None:
    with pytest.raises(SandboxError):
        mirror.take(told(changed, links={"a": str(tmp_path / "host")}, bodies=b"xx"))

    assert (tmp_path / "host" / "file").read_text() == "host"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["host", "upper"]


def test_nothing_is_written_or_removed_through_a_link(mirror: Mirror, tmp_path: Path) -> None:
    mirror.take(told({"a": LINK}, links={"a": str(tmp_path / "host")}))
    mirror.take(told({}, gone=["a/file"]))
    mirror.facts["a/file"] = FILE
    mirror.take(told({}, gone=["a/file"]))
    mirror.take(told({"a": FOLDER, "a/file": FILE}, bodies=b"x"))

    assert (tmp_path / "host" / "file").read_text() == "host"
    assert (tmp_path / "upper" / "a" / "file").read_text() == "x"


@pytest.mark.parametrize("cut", [0, 4, 8, 20])
def test_a_pod_that_ends_while_it_tells_is_an_error(mirror: Mirror, cut: int) -> None:
    whole = told({"a": FILE}, bodies=b"x").getvalue()

    with pytest.raises(SandboxError):
        mirror.take(io.BytesIO(whole[:cut]))


def test_a_set_user_id_bit_stays_in_the_pod(mirror: Mirror, tmp_path: Path) -> None:
    mirror.take(told({"a": [stat.S_IFREG | 0o6755, 1, 1, 1, 1]}, bodies=b"x"))

    assert stat.S_IMODE((tmp_path / "upper" / "a").stat().st_mode) == 0o755


def test_random_turns_in_a_pod_are_restored_as_they_were(within: Within) -> None:
    """Names, kinds, modes, contents and targets; times of files, too. Hard links become files, sockets go."""
    seen: list[tuple[str, str]] = []

    async def churn(box: Box) -> None:
        for turn in range(6):
            await box.python(CHURN, str(turn), "pods", seconds=60)
            await box.sh("find repo -perm -0400 -prune -o -exec chmod u+rwX {} +; find repo -type s -delete")
            listed = (await box.python(LISTED)).text
            seen.append((await box.sandbox.snapshot(), listed))

    within(churn, sandboxes=pods())

    async def listing(box: Box) -> str:
        return (await box.python(LISTED)).text

    for snapshot, listed in seen[1::2]:
        assert within(listing, snapshot=snapshot) == listed


LISTED = """
import hashlib, os, stat
for top, folders, names in sorted(os.walk("repo")):
    for name in sorted(folders + names):
        path = os.path.join(top, name)
        found = os.lstat(path)
        kind = stat.S_IFMT(found.st_mode)
        body = ""
        if stat.S_ISREG(kind):
            body = hashlib.sha256(open(path, "rb").read()).hexdigest()[:12] + " " + str(found.st_mtime_ns)
        elif stat.S_ISLNK(kind):
            body = repr(os.readlink(path))
        print(repr(path), oct(found.st_mode & 0o171777), body)
"""


def test_the_union_of_layers_is_what_an_overlay_shows(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    for path in ("kept", "gone", "folder/a", "opaque/a", "file/a"):
        (low / path).parent.mkdir(parents=True, exist_ok=True)
        (low / path).write_text(path)
    for path in ("folder/b", "opaque/b"):
        (high / path).parent.mkdir(parents=True, exist_ok=True)
        (high / path).write_text(path)
    os.setxattr(high / "opaque", "user.overlay.opaque", b"y")
    os.mknod(high / "gone", stat.S_IFCHR, 0)
    (high / "file").write_text("now a file")

    found = union((low, high))

    assert sorted(found) == ["file", "folder", "folder/a", "folder/b", "kept", "opaque", "opaque/b"]
    assert found["folder/a"] == low / "folder" / "a"
    assert found["file"] == high / "file"
