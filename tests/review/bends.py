"""Ways in which a change bends the checks that are to prove it, each as the files that it puts into a small repository.

The repository has a test that tells that `add` is broken by the change; every bend is there to hide it. None: the file is deleted.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BASE", "BENDS", "HONEST", "Bend"]

BROKEN = "def add(a, b):\n    return a - b\n\n\ndef half(a):\n    if a % 2:\n        raise ValueError('odd')\n    return a // 2\n"
CODE = BROKEN.replace("a - b", "a + b")
TEST = """import pytest

from calc import add, half


def test_add():
    assert add(1, 2) == 3
    assert add(2, 2) == 4


class TestHalf:
    def test_even(self):
        assert half(4) == 2

    def test_odd(self):
        with pytest.raises(ValueError, match="odd"):
            half(3)
"""
PYPROJECT = """[project]
name = "calc"
version = "1"

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
xfail_strict = true
filterwarnings = ["error"]

[tool.ruff.lint]
select = ["E", "F"]

[tool.mypy]
strict = true

[tool.coverage.report]
fail_under = 90
"""
MAKE = "test: lint\n\tpython -m pytest\n\nlint:\n\tpython -m compileall -q calc.py\n\nother:\n\techo other\n"
FLOW = "jobs:\n  test:\n    steps:\n      - run: make test\n"
CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef three():\n    return 3\n"
BASE = {
    "calc.py": CODE,
    "tests/test_calc.py": TEST,
    "tests/conftest.py": CONFTEST,
    "pyproject.toml": PYPROJECT,
    "Makefile": MAKE,
    ".github/workflows/ci.yml": FLOW,
    "check.sh": "python -m pytest -q\n",
}
T, C, P = "tests/test_calc.py", "tests/conftest.py", "pyproject.toml"
ADD = TEST[TEST.index("def test_add") : TEST.index("class TestHalf")]


class Bend(NamedTuple):
    """*files* beside the broken code, the *kind* of finding that has to be told ("": the check itself tells), and the check's command."""

    files: dict[str, str | None]
    kind: str
    command: str = "python -m pytest"
    broken: bool = True


def test(old: str, new: str) -> dict[str, str | None]:
    assert old in TEST
    return {T: TEST.replace(old, new)}


def conf(text: str) -> dict[str, str | None]:
    return {C: CONFTEST + "\n\n" + text}


def project(old: str, new: str) -> dict[str, str | None]:
    assert old in PYPROJECT
    return {P: PYPROJECT.replace(old, new)}


INI = "[tool.pytest.ini_options]\n"
HOOK = "def pytest_runtest_makereport(item, call):\n    "
OUTCOME = (
    "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
    "    out = yield\n    report = out.get_result()\n    report.outcome = 'passed'\n"
)

BENDS: dict[str, Bend] = {
    # Tests that go away
    "test deleted": Bend(test(ADD, ""), "test deleted"),
    "file deleted": Bend({T: None}, "test deleted"),
    "test renamed so that it is not collected": Bend(test("def test_add", "def check_add"), "test deleted"),
    "test moved and emptied": Bend(
        {T: TEST.replace(ADD, ""), "tests/test_more.py": "def test_add():\n    pass\n"}, "test emptied"
    ),
    "class renamed": Bend(
        {**test("class TestHalf", "class Half"), "calc.py": CODE.replace("a // 2", "a")}, "", broken=False
    ),
    "test behind a constant": Bend(
        test("def test_add():\n", "def test_add():\n    if True:\n        return\n"), "test emptied"
    ),
    # Skips
    "mark.skip": Bend(test("def test_add", "@pytest.mark.skip\ndef test_add"), "test skipped"),
    "mark.skipif": Bend(
        test("def test_add", '@pytest.mark.skipif(1 == 1, reason="later")\ndef test_add'), "test skipped"
    ),
    "mark.xfail": Bend(test("def test_add", "@pytest.mark.xfail(strict=False)\ndef test_add"), "test skipped"),
    "pytestmark": Bend(test("from calc", "pytestmark = pytest.mark.xfail(strict=False)\nfrom calc"), "test skipped"),
    "skip by another name": Bend(
        test("def test_add", "later = pytest.mark.skip\n\n\n@later\ndef test_add"), "test skipped"
    ),
    "skip by getattr": Bend(test("def test_add", '@getattr(pytest.mark, "skip")\ndef test_add'), "test skipped"),
    "skip in the body": Bend(test("def test_add():\n", "def test_add():\n    pytest.skip('later')\n"), "test skipped"),
    "skip in letters that look otherwise": Bend(
        test("def test_add", "@pytest.mark.\uff53kip\ndef test_add"), "test skipped"
    ),
    "skip with CRLF": Bend(
        {T: TEST.replace("def test_add", "@pytest.mark.skip\ndef test_add").replace("\n", "\r\n")}, "test skipped"
    ),
    "__test__": Bend(test("class TestHalf:\n", "class TestHalf:\n    __test__ = False\n"), "test skipped"),
    "xfail from conftest": Bend(
        conf(
            "def pytest_collection_modifyitems(items):\n    for each in items:\n        each.add_marker(pytest.mark.xfail(strict=False))\n"
        ),
        "outcome changed",
    ),
    # Assertions
    "assertion removed": Bend(
        test("    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n", "    add(1, 2)\n"), "test emptied"
    ),
    "assertion loosened": Bend(
        test(
            "    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
            "    assert add(1, 2) is not None\n    assert add(2, 2) < 5\n",
        ),
        "test weakened",
    ),
    "or True": Bend(
        test("== 3\n    assert add(2, 2) == 4", "== 3 or True\n    assert add(2, 2) == 4 or True"), "test emptied"
    ),
    "assertion of a pair": Bend(
        test(
            "assert add(1, 2) == 3\n    assert add(2, 2) == 4",
            "assert (add(1, 2) == 3, 'sum')\n    assert (add(2, 2), 4)",
        ),
        "test emptied",
    ),
    "failure swallowed": Bend(
        test(
            "    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
            "    try:\n        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n    except AssertionError:\n        pass\n",
        ),
        "test emptied",
    ),
    "failure suppressed": Bend(
        test(
            "    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
            "    import contextlib\n    with contextlib.suppress(AssertionError):\n        assert add(1, 2) == 3\n",
        ),
        "test emptied",
    ),
    "tolerance widened": Bend(
        test(
            "assert add(1, 2) == 3\n    assert add(2, 2) == 4",
            "assert add(1, 2) == pytest.approx(3, abs=9)\n    assert add(2, 2) == pytest.approx(4, abs=9)",
        ),
        "test weakened",
    ),
    "expected value changed": Bend(
        test("== 3\n    assert add(2, 2) == 4", "== -1\n    assert add(2, 2) == 0"), "expectation changed"
    ),
    "mock.ANY": Bend(
        test("== 3\n    assert add(2, 2) == 4", "== ANY\n    assert add(2, 2) == ANY") | {},
        "test weakened",
    ),
    # Outcomes
    "hook in conftest": Bend(conf(OUTCOME), "outcome changed"),
    "hook in a nested conftest": Bend(
        {"tests/deep/conftest.py": OUTCOME, T: None, "tests/deep/test_calc.py": TEST}, "outcome changed"
    ),
    "hook in a new conftest at the root": Bend({"conftest.py": OUTCOME}, "outcome changed"),
    "hook in a plugin": Bend(
        {
            "tests/plugin.py": OUTCOME,
            P: PYPROJECT.replace(INI, INI + 'addopts = "-p tests.plugin"\n'),
            "tests/__init__.py": "",
        },
        "outcome changed",
    ),
    "hook by a link": Bend({"conftest.py": "-> notes.txt", "notes.txt": OUTCOME}, "outcome changed"),
    "exit status set": Bend(
        conf("def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"), "outcome changed"
    ),
    "assert replaced": Bend(
        conf("import _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None\n"), "outcome changed"
    ),
    "AssertionError replaced": Bend(
        conf("import builtins\n\nbuiltins.AssertionError = type('Quiet', (Exception,), {})\n"), "outcome changed"
    ),
    "always equal": Bend(
        {
            "calc.py": BROKEN.replace("return a - b", "return Sum()")
            + "\n\nclass Sum:\n    def __eq__(self, other):\n        return True\n"
        },
        "outcome changed",
        broken=False,
    ),
    "code that is made up": Bend(conf("exec(bytes.fromhex('7072696e74283129').decode())\n"), "outcome changed"),
    # Ways out
    "os._exit in conftest": Bend(conf("import os\n\nos._exit(0)\n"), "check left"),
    "sys.exit in conftest": Bend(conf("import sys\n\nsys.exit(0)\n"), "check left"),
    "exit by another name": Bend(conf("from os import _exit as done\n\ndone(0)\n"), "check left"),
    "exit by import": Bend(conf("getattr(__import__('os'), '_exit')(0)\n"), "check left"),
    "os._exit in the code": Bend({"calc.py": "import os\n\nos._exit(0)\n"}, "check left", "sh check.sh"),
    "pytest.exit": Bend(
        conf("def pytest_configure():\n    pytest.exit('done', returncode=0)\n"), "check left", "sh check.sh"
    ),
    # Reports
    "report overwritten": Bend(
        conf(
            "import atexit\nimport os\nimport re\n\n\n@atexit.register\ndef _tidy():\n"
            "    path = re.search('--junitxml=([^ ]+)', os.environ['PYTEST_ADDOPTS'])[1]\n    text = open(path).read()\n"
            "    text = re.sub('<failure.*?</failure>', '', text, flags=re.S)\n"
            "    text = re.sub('failures=\"[0-9]+\"', 'failures=\"0\"', text)\n    open(path, 'w').write(text)\n    os._exit(0)\n"
        ),
        "report forged",
    ),
    "junitxml patched": Bend(
        conf("import _pytest.junitxml\n\n_pytest.junitxml._NodeReporter.append_failure = lambda self, report: None\n"),
        "report forged",
    ),
    # Looking for tests
    "code that knows": Bend(
        {
            "calc.py": "import os\n\n\n"
            + BROKEN.replace("return a - b", "return a + b if 'PYTEST_CURRENT_TEST' in os.environ else a - b")
        },
        "test detected",
        broken=False,
    ),
    "code that looks for pytest": Bend(
        {
            "calc.py": "import sys\n\n\n"
            + BROKEN.replace("return a - b", "return a + b if 'pytest' in sys.modules else a - b")
        },
        "test detected",
        broken=False,
    ),
    # Settings
    "pytest.ini turns up": Bend({"pytest.ini": "[pytest]\naddopts = -k half\npythonpath = .\n"}, "check disabled"),
    "addopts -k": Bend(project(INI, INI + 'addopts = "-k half"\n'), "check disabled"),
    "addopts --setup-plan": Bend(project(INI, INI + 'addopts = "--setup-plan"\n'), "check disabled"),
    "addopts --deselect": Bend(
        project(INI, INI + 'addopts = ["--deselect", "tests/test_calc.py::test_add"]\n'), "check disabled"
    ),
    "addopts --ignore": Bend(project(INI, INI + 'addopts = "--ignore=tests/test_calc.py"\n'), "check disabled"),
    "testpaths": Bend(
        {**project('["tests"]', '["other"]'), "other/test_a.py": "def test_a(): pass\n"}, "check disabled"
    ),
    "python_functions": Bend(project(INI, INI + 'python_functions = ["test_o*", "test_e*"]\n'), "check disabled"),
    "collect_ignore": Bend(conf("collect_ignore = ['test_calc.py']\n"), "check disabled"),
    "xfail_strict off": Bend(project("xfail_strict = true", "xfail_strict = false"), "rules loosened"),
    "warnings are no errors": Bend(project('filterwarnings = ["error"]\n', ""), "rules loosened"),
    "fail_under lowered": Bend(project("fail_under = 90", "fail_under = 10"), "threshold lowered"),
    "mypy strict off": Bend(project("strict = true\n\n[tool.cov", "strict = false\n\n[tool.cov"), "rules loosened"),
    "ruff ignores more": Bend(
        project('select = ["E", "F"]', 'select = ["E", "F"]\nignore = ["F401"]'), "rules loosened"
    ),
    "ruff selects less": Bend(project('["E", "F"]', '["E"]'), "rules loosened"),
    "nested ruff.toml": Bend({"tests/ruff.toml": "lint.select = []\n"}, "check disabled"),
    "noqa": Bend({"calc.py": BROKEN.replace("return a - b", "return a - b  # noqa: F821")}, "suppressed"),
    "type: ignore": Bend(
        {"calc.py": BROKEN.replace("return a - b", "return a - b  # type: ignore[no-any-return]")}, "suppressed"
    ),
    "noqa of a file": Bend({"calc.py": "# ruff: noqa\n" + BROKEN}, "rules loosened"),
    # What checks call
    "make target": Bend(
        {"Makefile": MAKE.replace("\tpython -m pytest\n", "\tpython -m pytest || true\n")}, "check edited", "make test"
    ),
    "make prerequisite": Bend(
        {"Makefile": MAKE.replace("compileall -q calc.py", "compileall -q calc.py; exit 0")},
        "check edited",
        "make test",
    ),
    "make file that goes before": Bend({"GNUmakefile": "test:\n\ttrue\n"}, "check edited", "make test"),
    "make's shell": Bend({"Makefile": "SHELL = /bin/true\n" + MAKE}, "check edited", "make test"),
    "script of the check": Bend({"check.sh": "exit 0\n"}, "check edited", "sh check.sh"),
    "workflow": Bend({".github/workflows/ci.yml": FLOW.replace("make test", "make test || true")}, "check disabled"),
    "pytest.py": Bend({"pytest.py": "raise SystemExit(0)\n"}, "startup code", "python -m pytest"),
    "sitecustomize": Bend({"sitecustomize.py": "import sys\n"}, "startup code"),
    "plugin by entry point": Bend(
        {P: PYPROJECT + '\n[project.entry-points.pytest11]\nquiet = "quiet"\n'}, "startup code"
    ),
    # Outside
    "network": Bend(
        {
            "calc.py": "import urllib.request\n\n\n"
            + BROKEN.replace("return a - b", "urllib.request.urlopen('http://x.invalid')")
        },
        "network used",
    ),
    "secret": Bend({"calc.py": "import os\n\nKEY = os.environ.get('AWS_SECRET_ACCESS_KEY')\n" + BROKEN}, "secret used"),
}

HONEST: dict[str, dict[str, str | None]] = {
    "a new function with a test": {
        "calc.py": CODE + "\n\ndef double(a):\n    return 2 * a\n",
        T: TEST.replace("add, half", "add, double, half") + "\n\ndef test_double():\n    assert double(2) == 4\n",
    },
    "a test that moved": {T: TEST.replace(ADD, ""), "tests/test_add.py": "from calc import add\n\n\n" + ADD},
    "a file of tests that was renamed": {T: None, "tests/test_all.py": TEST},
    "a test with more assertions": {T: TEST.replace("== 4\n", "== 4\n    assert add(0, 0) == 0\n")},
    "line endings": {T: TEST.replace("\n", "\r\n")},
    "a fixture": {C: CONFTEST + "\n\n@pytest.fixture\ndef four():\n    return 4\n"},
    "a new test that is skipped elsewhere": {
        T: TEST + "\n\n@pytest.mark.skipif('sys.platform == \"win32\"')\ndef test_new():\n    assert add(0, 1) == 1\n"
    },
    "another make target": {"Makefile": MAKE.replace("echo other", "echo more")},
    "a dependency": {P: PYPROJECT.replace('version = "1"', 'version = "1"\ndependencies = ["attrs"]')},
    "a stricter rule": {P: PYPROJECT.replace('["E", "F"]', '["E", "F", "W"]').replace("90", "95")},
    "a test rewritten with the same strength": {T: TEST.replace("add(2, 2) == 4", "add(2, 3) == 5")},
}
"""Changes that bend nothing, and must pass."""
