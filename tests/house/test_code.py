"""The plan of the code holds: what ruff, mypy and import-linter cannot say."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/nightmill"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(each.parent for each in PACKAGE.glob("*/__init__.py"))
NOUNS = sorted(each for each in PACKAGE.glob("*.py") if not each.stem.startswith("_"))
OURS = sorted(each for folder in ("src", "tests", "bench", "scripts") for each in (ROOT / folder).rglob("*.py"))

LONGEST = 400
VAGUE = re.compile(r"(Manager|Helper|Util|Utils|Helpers|Handler|Processor|Service|Impl|Info|Misc)$|^Base[A-Z]")
EXCEPTIONS = {
    "Service": "a program that tests need beside them: the word of compose and devcontainer files",
}
"""Names that end as no name should, each with its reason."""

ALONE = {"versions", "inside"}
"""Folders of programs that nobody imports: migrations, which Alembic reads by name, and what runs in the sandbox."""

OWN = {"/work/home", "/work/repo", "/work/env"}
"""What every sandbox shows, whatever this machine has by these names."""

FOREIGN = re.compile(
    r"/home/(?!you\b|agent\b)\w+/|/Users/\w+/"  # somebody's machine
    + "".join(
        rf"|{re.escape(str(each))}\b" for each in sorted(ROOT.parent.iterdir()) if str(each) not in OWN
    )  # and this one: what lies beside us
)
REGISTRY = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def tracked() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_migrations_follow_each_other_to_the_one_that_the_store_stands_at() -> None:
    """Two that were made at once, of one number, are found here and not by whoever opens a store."""
    versions = sorted((PACKAGE / "store/migrations/versions").glob("r*.py"))
    found = [re.findall(r'^(?:down_)?revision = "(\d+)"', each.read_text(), re.MULTILINE) for each in versions]
    numbers = [each.name[1:5] for each in versions]

    assert numbers == [f"{number:04}" for number in range(1, len(versions) + 1)]
    assert [each[0] for each in found] == numbers
    assert [each[1:] for each in found] == [[], *([each] for each in numbers[:-1])]
    assert f'HEAD = "{numbers[-1]}"' in (PACKAGE / "store/database.py").read_text()


def test_a_file_holds_one_idea() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in OURS}

    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST}, "which two ideas does it hold?"


def test_a_room_says_what_it_takes_and_gives() -> None:
    words = {room.name: " ".join((ast.get_docstring(tree(room / "__init__.py")) or "").split()) for room in ROOMS}

    assert not {room: text for room, text in words.items() if not re.fullmatch(r"\S.*\. Takes: .+\. Gives: .+\.", text)}


def test_the_layers_are_the_rooms_on_disk() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(each["layers"] for each in settings["contracts"] if each["type"] == "layers")
    listed = [name for layer in layers for name in layer.split(" | ")]

    assert sorted(listed) == sorted([each.name for each in ROOMS] + [each.stem for each in NOUNS])


def test_no_room_is_empty() -> None:
    code = {room: [node for path in room.rglob("*.py") for node in tree(path).body] for room in ROOMS}
    empty = [room.name for room, nodes in code.items() if all(isinstance(node, ast.Expr) for node in nodes)]

    assert not empty, "a room that holds nothing yet is not created"


def test_all_is_true() -> None:
    wrong = {}
    for path in MODULES:
        module = tree(path)
        promised = [ast.literal_eval(node.value) for node in module.body if assigns(node, "__all__")]
        if not promised and defines(module) and not ALONE & set(path.parts):
            wrong[name_of(path)] = "says in no __all__ what is for others"
        for names in promised:
            untrue = set(names) - bound(module)
            if untrue or len(set(names)) < len(names):
                wrong[name_of(path)] = f"promises what it does not hold, or twice: {sorted(untrue)}"

    assert not wrong


def assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)


def defines(module: ast.Module) -> bool:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return any(isinstance(node, kinds) and not node.name.startswith("_") for node in module.body)


def bound(module: ast.Module) -> set[str]:
    """Names that the top level of *module* binds, below `if` and `try` too."""
    names: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names |= {(each.asname or each.name).split(".")[0] for each in node.names}
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
    return names


def test_a_name_says_what_a_thing_is() -> None:
    bad = {
        (name_of(path), node.name)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and VAGUE.search(node.name) and node.name not in EXCEPTIONS
    }

    assert not bad
    assert not [name_of(path) for path in MODULES if VAGUE.search(path.stem.title())]


def test_no_table_has_a_key_twice() -> None:
    """ruff sees it of texts and of names, and not of `module.Name`: the first of the two is dead."""
    tables = [(path, each) for path in MODULES for each in ast.walk(tree(path)) if isinstance(each, ast.Dict)]
    for path, table in tables:
        keys = [ast.unparse(key) for key in table.keys if key is not None]

        assert not {key for key in keys if keys.count(key) > 1}, f"{name_of(path)}:{table.lineno}"


def test_nothing_is_mocked() -> None:
    imported = {
        (name_of(path), name)
        for path in OURS
        if "mock" in path.read_text(encoding="utf-8")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(each.name for each in node.names)]
    }

    assert not {(path, name) for path, name in imported if {"mock", "pytest_mock"} & set(name.split("."))}


def test_no_task_is_left_in_the_code() -> None:
    marks = re.compile(r"(?:#|//|/\*).*\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    found = [
        f"{name}:{number}"
        for name, text in tracked()
        if name.endswith((".py", ".sh", ".css", ".js", ".toml")) and not name.startswith("tests/")
        for number, line in enumerate(text.splitlines(), 1)
        if marks.search(line)
    ]

    assert not found, "a task that is left is an issue"


def test_no_tracked_file_knows_the_machine_it_was_written_on() -> None:
    found = [
        f"{name}:{number}: {hit[0]}"
        for name, text in tracked()
        if name != name_of(Path(__file__))
        for number, line in enumerate(text.splitlines(), 1)
        if (hit := FOREIGN.search(line))
    ]

    assert not found


@pytest.mark.parametrize("name", ["runtime", "dev", "uv"])
def test_a_lock_names_no_registry_and_hashes_everything(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", text)

    assert not REGISTRY.search(text)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_locks_agree_with_each_other_and_with_the_version() -> None:
    pins = {
        name: set(
            re.findall(r"^(\S+==\S+)", (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8"), re.MULTILINE)
        )
        for name in ("runtime", "dev", "uv")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = (PACKAGE / "__init__.py").read_text(encoding="utf-8")

    assert pins["uv"] <= pins["runtime"] <= pins["dev"]
    assert f'__version__ = "{project["version"]}"' in code


def test_what_the_code_imports_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    declared = {re.split(r"[^\w-]", name)[0].lower() for name in [*project["dependencies"], *extras]}
    owners = packages_distributions()
    imported = {
        name.split(".")[0]
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    foreign = imported - set(sys.stdlib_module_names) - {"nightmill", ""}

    assert not {name for name in foreign if not {owner.lower() for owner in owners.get(name, [])} & declared}
