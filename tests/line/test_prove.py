"""What differs between base and work is read as text, so that nothing in it hides behind a link, a size or a kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightmill.line.prove import LARGEST, look_twice, read
from nightmill.repo import Hub
from nightmill.review.bend import find
from tests import whole

HOOK = "def pytest_runtest_makereport(item, call):\n    return None\n"
TEST = "def test_a():\n    assert 1 + 1 == 2\n"


def hub(tmp_path: Path, root: Path) -> tuple[Hub, str, str]:
    made = Hub(tmp_path / "hub.git")
    made.create()
    head = made.take(root, "main")
    return made, whole.git(root, "rev-parse", "HEAD~1"), head


def test_change_is_read_with_its_links_and_what_is_too_large_counts_as_gone_and_is_named(tmp_path: Path) -> None:
    root = whole.repository(
        tmp_path / "root", {"tests/test_a.py": TEST, "tests/test_b.py": TEST.replace("_a", "_b"), "c.txt": "c"}
    )
    (root / "notes.txt").write_text(HOOK)
    (root / "tests/conftest.py").symlink_to("../notes.txt")
    (root / "tests/outside.py").symlink_to("/etc/passwd")
    (root / "tests/test_a.py").write_text(TEST + "#" * LARGEST)
    (root / "tests/test_b.py").unlink()
    (root / "tests/plugin.py").write_text(HOOK + "#" * LARGEST)
    (root / "c.txt").write_bytes(b"\0\xff")
    whole.commit(root, "work")
    found, base, head = hub(tmp_path, root)

    seen = read(found, base, head)
    changes = {each.path: each for each in seen.changes}
    assert seen.large == ("tests/plugin.py", "tests/test_a.py")
    assert set(changes) == {
        "notes.txt",
        "tests/conftest.py",
        "tests/outside.py",
        "tests/plugin.py",
        "tests/test_a.py",
        "tests/test_b.py",
        "c.txt",
    }
    assert changes["tests/conftest.py"].after == HOOK
    assert changes["tests/outside.py"].after is None
    assert (changes["tests/test_a.py"].before, changes["tests/test_a.py"].after) == (TEST, None)
    assert changes["tests/test_b.py"].after is None

    findings = find(tuple(changes.values()), (), large=seen.large)
    told = {(each.kind, each.path) for each in findings}
    assert [(each.path, each.blocks) for each in findings if each.kind == "not read"] == [
        ("tests/plugin.py", True),
        ("tests/test_a.py", True),
    ]
    assert {
        ("outcome changed", "tests/conftest.py"),
        ("test deleted", "tests/test_a.py"),
        ("test deleted", "tests/test_b.py"),
    } <= told


@pytest.mark.parametrize(("files", "characters", "left"), [(3, 100, 0), (2, 100, 1), (3, 4, 1), (3, 1, 3)])
def test_what_is_left_unread_of_a_change_is_counted(tmp_path: Path, files: int, characters: int, left: int) -> None:
    root = whole.repository(tmp_path / "root", {"a.txt": "a"})
    for name in "bcd":
        (root / f"{name}.txt").write_text(name * 2)
    whole.commit(root, "work")
    found, base, head = hub(tmp_path, root)

    assert read(found, base, head, files=files, characters=characters).left == left


def test_what_is_outside_the_footprint_is_looked_at_twice_whoever_wrote_it(tmp_path: Path) -> None:
    root = whole.repository(tmp_path / "root", {"src/a.py": "a = 1\n", "setup/install.sh": "true\n"})
    for path in ("src/a.py", "src/new.py", "setup/install.sh", "setup/new.sh", "tests/test_a.py", "NOTES.md"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("b = 2\n")
    whole.commit(root, "by a command: no tool of ours wrote any of these")
    found, base, head = hub(tmp_path, root)

    told = look_twice(found, base, head, seen=(), footprint=("src/a.py",))
    assert [path for path, what in told if "outside" in what] == ["setup/install.sh", "setup/new.sh"]
    assert not [what for _, what in look_twice(found, base, head, seen=()) if "outside" in what]
