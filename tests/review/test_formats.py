"""What tools really print, recorded and live, and what becomes of it once it is cut, forged or built to hurt."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightmill.review import Baseline, Check, compare, run_check
from nightmill.review.formats import FORMATS, Covered, Problem, Report, Told, gist
from nightmill.review.report import disagreement, identify

RECORDED = Path(__file__).parent / "recorded"
InSandbox = Callable[[Callable[[Any], Any]], None]

FILES = {
    "ruff": "ruff.json",
    "mypy": "mypy.txt",
    "eslint": "eslint.json",
    "sarif": "ruff.sarif",
    "go": "go.txt",
    "cargo": "cargo.txt",
    "coverage": "cov.json",
}


def test_the_gist_of_a_failure_is_the_line_that_says_why() -> None:
    said = "def test_size():\n>   assert size(1) == '1K'\nE   AssertionError: assert '1M' == '1K'\nE     \nE     - 1K\ntest_a.py:3"

    assert gist(said, limit=100) == "AssertionError: assert '1M' == '1K'"
    assert gist("Traceback\nValueError: no size", limit=100) == "Traceback\nValueError: no size"
    assert gist("E " + "x" * 200, limit=50).endswith("x" * 50)


def read(name: str, body: bytes | str) -> Report:
    return FORMATS[name].parse(body.encode() if isinstance(body, str) else body)


def recorded(name: str) -> bytes:
    return (RECORDED / FILES.get(name, name)).read_bytes()


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        (
            "ruff",
            [("a.py", 1, "F401"), ("a.py", 2, "F401"), ("b.py", 1, "invalid-syntax"), ("b.py", 2, "invalid-syntax")],
        ),
        ("mypy", [("a.py", 6, "return-value")]),
        ("eslint", [("a.js", 2, "no-undef")]),
        ("sarif", [("/work/repo/a.py", 1, "F401"), ("/work/repo/a.py", 2, "F401")]),
    ],
)
def test_problems_have_path_line_and_rule(name: str, problems: list[tuple[str, int, str]]) -> None:
    found = read(name, recorded(name))
    assert [
        (each.path.removeprefix("/work/repo/") if name != "sarif" else each.path, *each[1:3]) for each in found.problems
    ] == [(path.removeprefix("/work/repo/") if name == "sarif" else path, line, rule) for path, line, rule in problems]
    assert not found.gap


def test_go_tells_tests_by_package_and_a_process_that_went_away() -> None:
    found = {name: test.outcome for name, test in read("go", recorded("go")).tests.items()}
    assert found == {
        "example.org/demo/broken": "error",
        "example.org/demo::TestAdd": "passed",
        "example.org/demo::TestTable": "failed",
        "example.org/demo::TestTable/one": "passed",
        "example.org/demo::TestTable/two_words": "failed",
        "example.org/demo::TestLater": "skipped",
        "example.org/demo/crash::TestA": "passed",
        "example.org/demo/crash::TestExit": "failed",
    }
    begun = recorded("go").splitlines()[0]
    assert [test.outcome for test in read("go", begun).tests.values()] == ["error", "error"]


def test_cargo_tells_tests_by_their_file_and_believes_no_line_that_a_failing_test_printed() -> None:
    report = read("cargo", recorded("cargo"))
    assert {name: test.outcome for name, test in report.tests.items()} == {
        "src/lib.rs::tests::adds": "passed",
        "src/lib.rs::tests::later": "skipped",
        "src/lib.rs::tests::panics": "passed",
        "src/lib.rs::tests::fails": "failed",
        "tests/it.rs::adds": "passed",
        "Doc-tests demo::src/lib.rs -": "passed",
    }
    assert "left == right" in report.tests["src/lib.rs::tests::fails"].message
    assert read("cargo", recorded("clippy.txt")).problems == (
        Problem("src/lib.rs", 4, "unused_variables", "unused variable: `unused`"),
    )
    forged = recorded("cargo").replace(b"test tests::adds ... ok\n", b"test tests::adds ... ok\ntest more ... ok\n")
    assert "counts" in read("cargo", forged).gap
    cut = recorded("cargo").partition(b"test result")[0]
    assert "did not say how its tests ended" in read("cargo", cut).gap


def test_coverage_adds_up_or_is_no_coverage() -> None:
    assert read("coverage", recorded("coverage")).covered == Covered(8, 8)
    assert read("coverage", recorded("cov.xml")).covered == Covered(8, 8)
    plain = json.loads(recorded("coverage"))
    plain["totals"]["covered_lines"] += 1
    plain["totals"]["num_statements"] += 1
    assert "totals" in read("coverage", json.dumps(plain)).gap
    typed = (
        b'<!DOCTYPE coverage SYSTEM "http://cobertura.example/coverage-04.dtd">'
        + recorded("cov.xml").partition(b"?>")[2]
    )
    assert read("coverage", typed).covered == Covered(8, 8)


def test_less_coverage_is_told_and_covered_code_that_was_taken_away_is_no_loss() -> None:
    assert compare.short(Covered(79, 100), least=80)
    assert not compare.short(Covered(80, 100), least=80)
    assert compare.lowered(Covered(80, 101), before=Covered(80, 100))
    assert not compare.lowered(Covered(40, 60), before=Covered(80, 100))
    assert not compare.lowered(Covered(81, 101), before=Covered(80, 100))


HOSTILE = {
    "empty": "",
    "text": "all good",
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 50_000,
    "wrong": '{"runs": 3}',
    "strings": '["a", "b"]',
    "numbers": "[" + "9" * 10_000 + "]",
    "null": "null",
    "huge": " " * (17 << 20) + "[]",
}


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_report_that_is_none_is_refused_or_tells_nothing(name: str, kind: str) -> None:
    try:
        found = read(name, HOSTILE[kind])
    except ValueError:
        return
    assert not found.tests
    assert not found.problems
    assert found.gap or name in {"mypy", "ruff"}  # whose silence the exit status has to agree with


@pytest.mark.parametrize("name", sorted({*FILES, "cov.xml", "clippy.txt"}))
def test_report_cut_anywhere_never_crashes_and_never_says_more(name: str) -> None:
    kind = {"cov.xml": "coverage", "clippy.txt": "cargo"}.get(name, name)
    body = recorded(name)
    whole = read(kind, body)
    bad = {test.id for test in whole.tests.values() if test.outcome in {"failed", "error"}}
    for at in range(0, len(body), max(1, len(body) // 150)):
        try:
            found = read(kind, body[:at])
        except ValueError:
            continue
        now = {test.id for test in found.tests.values() if test.outcome == "passed"}
        assert not now & bad or found.gap or kind == "go"
        # Cut between build and tests, it is what `cargo clippy` says: the baseline tells that tests are missing.
        assert name == "cargo" or set(found.problems) <= set(whole.problems)


@pytest.mark.parametrize("name", sorted(FILES))
def test_report_with_wrong_kinds_of_values_never_crashes(name: str) -> None:
    odd: tuple[Any, ...] = (None, 1, -1, 1e400, "x" * 10_000, [], {}, [[]], {"a": [1]}, True)
    for line in recorded(name).decode().splitlines() if name in {"mypy", "go", "cargo"} else [recorded(name).decode()]:
        if not line.startswith(("{", "[")):
            continue
        for value in odd:
            for at in range(12):
                changed = json.dumps(_swap(json.loads(line), value, at))
                try:
                    read(name, changed)
                except ValueError:
                    continue


def _swap(value: Any, odd: Any, at: int) -> Any:
    """*value* with every *at*-th leaf or branch replaced."""
    count = iter(range(1 << 30))

    def walk(each: Any) -> Any:
        if next(count) % 12 == at:
            return odd
        if isinstance(each, dict):
            return {name: walk(inner) for name, inner in each.items()}
        return [walk(inner) for inner in each] if isinstance(each, list) else each

    return walk(value)


def test_problem_keeps_its_id_when_lines_move_and_loses_it_when_its_line_changes() -> None:
    problem = Problem("a.py", 2, "F401", "`os` imported but unused")
    before = identify([problem], {"a.py": ["", "import os"]})
    moved = identify([problem._replace(line=5)], {"a.py": ["", "", "", "", "    import os"]})
    assert set(before) == set(moved)
    other = identify([problem], {"a.py": ["", "import os, sys"]})
    assert set(before) != set(other)
    twice = identify([problem, problem._replace(line=3)], {"a.py": ["", "import os", "import os"]})
    assert set(before) < set(twice)
    assert len(twice) == 2


def test_report_that_says_otherwise_than_pytest_printed_is_not_believed() -> None:
    passed = Report(tests={"a": Told(id="a", outcome="passed"), "b": Told(id="b", outcome="passed")})
    assert not disagreement(passed, "..\n2 passed in 0.01s\n")
    assert not disagreement(passed, "===== 2 passed, 1 skipped, 3 warnings in 1.20s (0:00:01) =====")
    assert not disagreement(passed, "1 passed, 1 xpassed in 0.01s")
    assert not disagreement(passed, "no such line")
    assert "changed" in disagreement(passed, "1 failed, 1 passed in 0.01s")
    assert "changed" in disagreement(passed, "1 passed in 0.01s")


# The real tools, where they are


def tool(name: str, *beside: Path) -> str:
    found = shutil.which(name, path=":".join(map(str, beside)) if beside else None)
    if not found:
        pytest.skip(f"{name} is not installed here; its recorded output is read above")
    return found


def run(folder: Path, *argv: str) -> bytes:
    beside = subprocess.STDOUT if "cargo" in argv[0] else subprocess.PIPE
    return subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE, stderr=beside, timeout=200, check=False).stdout


HERE = Path(sys.executable).parent
CODE = "import os\n\n\ndef f(x: int) -> str:\n    return x\n"


@pytest.mark.parametrize(
    ("name", "argv", "rules"),
    [
        ("ruff", ("ruff", "check", "--no-cache", "--output-format", "json", "."), {"F401"}),
        ("sarif", ("ruff", "check", "--no-cache", "--output-format", "sarif", "."), {"F401"}),
        ("mypy", ("mypy", "--output", "json", "--cache-dir=/dev/null", "."), {"return-value"}),
    ],
)
def test_python_tools_are_read_live(tmp_path: Path, name: str, argv: tuple[str, ...], rules: set[str]) -> None:
    (tmp_path / "a.py").write_text(CODE)
    found = read(name, run(tmp_path, tool(argv[0], HERE), *argv[1:]))
    assert {each.rule for each in found.problems} == rules


def test_eslint_is_read_live(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("f();\n")
    (tmp_path / "eslint.config.mjs").write_text('export default [{rules: {"no-undef": "error"}}];\n')
    body = run(tmp_path, tool("eslint"), "--format", "json", ".")
    assert [(each.rule, each.line) for each in read("eslint", body).problems] == [("no-undef", 1)]
    banner = b"\n> demo@1.0.0 lint\n> eslint --format json .\n\n"
    assert read("eslint", banner + body) == read("eslint", body)


def test_go_is_read_live(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.org/a\n\ngo 1.19\n")
    (tmp_path / "a_test.go").write_text(
        'package a\n\nimport "testing"\n\nfunc TestOne(t *testing.T) {}\nfunc TestTwo(t *testing.T) { t.Fatal("no") }\n'
    )
    found = read("go", run(tmp_path, tool("go"), "test", "-json", "./..."))
    assert {name: test.outcome for name, test in found.tests.items()} == {
        "example.org/a::TestOne": "passed",
        "example.org/a::TestTwo": "failed",
    }


def test_cargo_is_read_live(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n')
    (tmp_path / "src/lib.rs").write_text("#[test]\nfn one() {}\n#[test]\nfn two() { panic!() }\n")
    found = read("cargo", run(tmp_path, tool("cargo"), "test", "--offline", "--no-fail-fast"))
    assert {name: test.outcome for name, test in found.tests.items()} == {
        "src/lib.rs::one": "passed",
        "src/lib.rs::two": "failed",
    }
    assert not found.gap


# In a sandbox, as checks


def test_old_problem_on_a_moved_line_is_old_and_another_is_new(in_sandbox: InSandbox) -> None:
    script = """python3 - > $RUFF_OUTPUT_FILE <<'E'
import json
at = [n for n, line in enumerate(open("a.py"), 1) if "import" in line]
place = {"filename": "/work/repo/a.py", "code": "F401"}
print(json.dumps([place | {"location": {"row": n}, "message": f"unused, line {n}"} for n in at]))
E
exit 1"""
    check = Check(name="lint", command=script, format="ruff", seconds=60.0)

    async def story(bench: Any) -> None:
        tree = await bench.commit({"a.py": "import os\n"})
        first = await run_check(bench.workspace, check, tree=tree, baseline=None, progress=lambda _: None)
        assert [each.kind for each in first.result.failures] == ["new"]
        names = tuple(each.id for each in first.result.failures)
        before = Baseline(tree="b", failing={"lint": names}, flaky={}, passing={"lint": ()})
        tree = await bench.commit({"a.py": "\n\nimport os\nimport sys\n"})
        now = await run_check(bench.workspace, check, tree=tree, baseline=before, progress=lambda _: None)
        assert {each.message.splitlines()[-1].strip(): each.kind for each in now.result.failures} == {
            "import os": "old",
            "import sys": "new",
        }
        assert not now.result.passed

    in_sandbox(story)


def test_report_that_is_printed_is_read_whole_though_the_output_is_cut_and_the_status_is_the_commands(
    in_sandbox: InSandbox,
) -> None:
    line = '{"file": "a.py", "line": 1, "message": "m%s", "code": "misc", "severity": "error"}'.replace('"', '\\"')
    many = f"python3 -c \"for n in range(20000): print('{line}' % ('x' * 50 + chr(97 + n % 26)))\"; exit 3"
    check = Check(name="types", command=many, format="mypy", seconds=60.0)

    async def story(bench: Any) -> None:
        tree = await bench.commit({"a.py": "x = 1\n"})
        ran = await run_check(bench.workspace, check, tree=tree, baseline=None, progress=lambda _: None)
        assert ran.result.exit == 3
        assert len(ran.tests) == 20_000
        assert len(ran.output) < 2 << 20

    in_sandbox(story)
