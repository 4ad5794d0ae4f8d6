"""Signs in Python files: tests that are skipped, hooks that change outcomes, ways out, forged reports, what looks for tests."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterator
from posixpath import basename

from nightmill.code import is_test
from nightmill.code.python import Names, parse, walk
from nightmill.review.bend.signs import Kind, Sign

__all__ = ["look"]

SKIPS = re.compile(
    r"^pytest\.(?:mark\.(?:skip|skipif|xfail)|skip|xfail|importorskip)\b|^unittest\.(?:case\.)?(?:skip|SkipTest|expectedFailure)\w*"
    r"|^self\.skipTest$|^_pytest\.(?:outcomes|skipping)\b"
)
HOOKS = re.compile(
    r"^pytest_(?:runtest_\w+|pyfunc_call|report_teststatus|collection\w*|ignore_collect|sessionfinish|collect_\w+|pycollect_\w+"
    r"|itemcollected|deselected|cmdline_\w+|load_initial_conftests|exception_interact|make_collect_report|unconfigure|generate_tests)$"
)
OUTCOMES = {
    "outcome",
    "exitstatus",
    "wasxfail",
    "testsfailed",
    "testscollected",
    "shouldfail",
    "shouldstop",
    "rep_call",
}
FRAMEWORKS = {"pytest", "_pytest", "unittest", "builtins", "pluggy", "doctest"}
LEAVES = {"os._exit", "os.abort", "posix._exit", "posix.abort"}
EXITS = {"sys.exit", "exit", "quit", "SystemExit", "builtins.exit", "builtins.quit"}
REPORTS = re.compile(r"junit_?xml|PYTEST_ADDOPTS|RUFF_OUTPUT_FILE|\.report-|<testsuite|\bxmlpath\b|_report\.xml")
TESTING = re.compile(r"^(?:PYTEST_(?:CURRENT_TEST|VERSION|XDIST_WORKER)|NIGHTMILL\w*)$")
MODULES = {"pytest", "_pytest", "unittest", "nose", "coverage", "_pytest.runner", "pytest_cov"}
SECRETS = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)(?:_|$)"
    r"|\.ssh/|\.aws/|\.netrc|/proc/[^/]*/environ|\.docker/config|/run/secrets|169\.254\.169\.254",
)
NETWORK = re.compile(
    r"^(?:socket\.(?:socket|create_connection|getaddrinfo|create_server)|urllib\.request\.\w+|urllib3\.\w+|http\.client\.\w+|ftplib\.\w+"
    r"|smtplib\.\w+|telnetlib\.\w+|requests\.(?:get|post|put|request|Session|session|head|delete|patch)"
    r"|httpx\.(?:get|post|put|request|Client|AsyncClient|stream)|aiohttp\.ClientSession|asyncio\.open_connection|paramiko\.\w+)$"
)
ENVIRONMENT = {"os.environ.get", "os.getenv", "os.environ.pop", "environ.get", "getenv"}
PROGRAMS = {"__main__.py", "setup.py"}
MADE_UP = {"exec", "eval", "builtins.exec", "builtins.eval"}
STARTS = re.compile(r"^(?:sitecustomize|usercustomize)\.py$|\.pth$")
TOOLS = {
    "pytest",
    "_pytest",
    "pluggy",
    "coverage",
    "mypy",
    "ruff",
    "tox",
    "nox",
    "hypothesis",
    "xdist",
    "pytest_cov",
    "iniconfig",
    "py",
}
NEVER_SHADOWED = {"test", "tests", "this", "antigravity", "distutils", "lib2to3", "asyncore", "asynchat", "imp"}
"""Names of the standard library that repositories have for folders of their own, or that nothing imports."""
TOOLS_OF_RUNS = (sys.stdlib_module_names - NEVER_SHADOWED) | TOOLS
QUOTED = 100
LONGEST = 2_000
LINES: tuple[tuple[re.Pattern[str], Kind, bool], ...] = (
    (re.compile(r"\bdef " + HOOKS.pattern[1:-1]), "outcome changed", True),
    (re.compile(r"\bmark\s*\.\s*(?:skip|skipif|xfail)\b|pytest\.skip\(|\bskipTest\("), "test skipped", False),
    (re.compile(r"\b_exit\b|\bcollect_ignore\w*\s*="), "check left", False),
    (REPORTS, "report forged", True),
    (re.compile(r"PYTEST_CURRENT_TEST|PYTEST_VERSION"), "test detected", True),
)
"""What is looked for line by line: a pattern, its kind, and whether outside of tests too."""


def look(path: str, text: str) -> Iterator[Sign]:
    """The signs in the Python file *path*."""
    yield from _named(path)
    if not path.endswith((".py", ".pyi")):
        return
    parsed = parse(text)
    tested = is_test(path)
    if parsed is None:
        yield from _unread(text, tested=tested)
        return
    tree, names = parsed
    for node in walk(tree):
        yield from _references(node, names, tested=tested)
        yield from _strings(node, names, tested=tested)
        yield from _definitions(node, path=path)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from _assigned(node, names, tested=tested)
    yield from _module(tree, names, path=path)


def _unread(text: str, *, tested: bool) -> Iterator[Sign]:
    """The signs in lines, where a file is no syntax of the Python that reads it, too large, or nested too deep."""
    for at, raw in enumerate(text.splitlines(), start=1):
        line = unicodedata.normalize("NFKC", raw[:LONGEST])
        for pattern, kind, anywhere in LINES:
            if (tested or anywhere) and (found := pattern.search(line)):
                yield Sign(kind, f"in a file that cannot be read as Python: {found[0][:QUOTED]}", at)


def _named(path: str) -> Iterator[Sign]:
    name = basename(path)
    if STARTS.search(name):
        yield Sign("startup code", f"{name} is run whenever Python starts", 0)
    root = path.partition("/")[0].removesuffix(".py")
    if root in TOOLS_OF_RUNS and path in {f"{root}.py", f"{root}/__init__.py"}:
        yield Sign("startup code", f"{path} is imported in place of the module {root!r}", 0)


def _references(node: ast.AST, names: Names, *, tested: bool) -> Iterator[Sign]:
    if not isinstance(node, ast.Name | ast.Attribute | ast.Call):
        return
    dotted = names.dotted(node)
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Call):
        called = names.dotted(node.func)
        yield from _calls(node, called, tested=tested)
    if not dotted:
        return
    if tested and SKIPS.match(dotted):
        yield Sign("test skipped", dotted, line)
    elif dotted in LEAVES:
        yield Sign("check left", f"{dotted} ends the run without a word", line)
    elif NETWORK.match(dotted):
        yield Sign("network used", dotted, line)
    elif dotted.startswith("_pytest.junitxml"):
        yield Sign("report forged", f"it reaches for pytest's writer of reports ({dotted})", line)


def _calls(node: ast.Call, called: str, *, tested: bool) -> Iterator[Sign]:
    if tested and called in {"atexit.register", "pytest.exit"}:
        kind: Kind = "check left" if called == "pytest.exit" else "report forged"
        yield Sign(kind, f"{called}: it acts after or instead of the tests", node.lineno)
    if called in ENVIRONMENT and node.args and isinstance(node.args[0], ast.Constant):
        name = str(node.args[0].value)
        if SECRETS.search(name.upper()):
            yield Sign("secret used", f"it reads the variable {name[:QUOTED]}", node.lineno)


def _strings(node: ast.AST, names: Names, *, tested: bool) -> Iterator[Sign]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < LONGEST:
        yield from _text(node.value, node.lineno)
    elif isinstance(node, ast.Subscript) and names.dotted(node.value) in {"os.environ", "environ"}:
        name = node.slice.value if isinstance(node.slice, ast.Constant) else ""
        if isinstance(name, str) and SECRETS.search(name.upper()):
            yield Sign("secret used", f"it reads the variable {name[:QUOTED]}", node.lineno)
    elif isinstance(node, ast.Compare) and not tested:
        left = node.left.value if isinstance(node.left, ast.Constant) else ""
        looked = {names.dotted(each).removesuffix(".keys") for each in node.comparators}
        if left in MODULES and "sys.modules" in looked:
            yield Sign("test detected", f"it asks whether {left!r} is loaded", node.lineno)


def _text(value: str, line: int) -> Iterator[Sign]:
    if "\n" not in value and REPORTS.search(value):
        yield Sign("report forged", f"it names what the engine's report is made by: {value[:QUOTED]!r}", line)
    if TESTING.match(value):
        yield Sign("test detected", f"it asks whether it is under test: {value!r}", line)
    if SECRETS.search(value) and "/" in value and " " not in value:
        yield Sign("secret used", f"it names {value[:QUOTED]!r}", line)


def _definitions(node: ast.AST, *, path: str) -> Iterator[Sign]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if HOOKS.match(node.name):
        # By what it does: a hook that is edited is a new one.
        digest = hashlib.sha256(ast.unparse(node).encode()).hexdigest()[:8]
        yield Sign("outcome changed", f"hook {node.name} ({digest}) decides on tests or their results", node.lineno)
    match [each for each in node.body if not isinstance(each, ast.Expr)]:
        case [ast.Return(value=ast.Constant(value=True))] if node.name in {"__eq__", "__contains__"}:
            yield Sign("outcome changed", f"{node.name} is always true in {path}", node.lineno)


def _assigned(node: ast.Assign | ast.AugAssign | ast.AnnAssign, names: Names, *, tested: bool) -> Iterator[Sign]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if isinstance(target, ast.Name) and tested and target.id in {"collect_ignore", "collect_ignore_glob"}:
            digest = hashlib.sha256(ast.unparse(node).encode()).hexdigest()[:8]
            yield Sign("check disabled", f"{target.id} leaves files out ({digest})", node.lineno)
        if isinstance(target, ast.Name) and tested and target.id == "pytest_plugins" and node.value:
            yield Sign("setup edited", f"pytest_plugins is {ast.unparse(node.value)[:QUOTED]}", node.lineno)
        if isinstance(target, ast.Name) and target.id == "__test__" and tested:
            yield Sign("test skipped", "__test__ is set", node.lineno)
        if isinstance(target, ast.Attribute):
            yield from _patched(target, names, tested=tested)


def _patched(target: ast.Attribute, names: Names, *, tested: bool) -> Iterator[Sign]:
    dotted = names.dotted(target)
    root = dotted.partition(".")[0]
    if tested and target.attr in OUTCOMES:
        yield Sign("outcome changed", f"it sets {dotted or target.attr}", target.lineno)
    elif root in FRAMEWORKS or (tested and target.attr.startswith("assert")):
        yield Sign("outcome changed", f"it replaces {dotted or target.attr}", target.lineno)


def _module(tree: ast.Module, names: Names, *, path: str) -> Iterator[Sign]:
    """What runs on import, and in conftest.py what its hooks run; `if __name__ == "__main__"` is left out."""
    tested, hooks = is_test(path), basename(path) == "conftest.py"
    guarded = {id(each) for statement in tree.body if _is_main(statement) for each in walk(statement)}
    inside = {id(each) for statement in tree.body if isinstance(statement, _SCOPES) for each in walk(statement)}
    for node in walk(tree):
        if not isinstance(node, ast.Call) or id(node) in guarded or (id(node) in inside and not hooks):
            continue
        called = names.dotted(node.func)
        zero = not node.args or (isinstance(node.args[0], ast.Constant) and not node.args[0].value)
        if called in EXITS and zero and basename(path) not in PROGRAMS:
            yield Sign("check left", f"{called} ends the run", node.lineno)
        elif tested and called in MADE_UP:
            yield Sign("outcome changed", f"{called} runs code that is not there to read", node.lineno)


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)
