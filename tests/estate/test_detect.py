"""What is found in a repository, with its reason; hostile repositories do no harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nightmill.estate import detect
from nightmill.estate.file import parse
from nightmill.estate.presets import find
from nightmill.estate.write import render
from tests.estate.conftest import look

PROJECT = '[build-system]\nrequires=["hatchling"]\n[project]\nname="x"\ndependencies=["attrs"]\n'


UV = "uv pip install --no-cache"


@pytest.mark.parametrize(
    ("files", "install"),
    [
        (
            {"pyproject.toml": PROJECT + '[project.optional-dependencies]\ntest=["x"]\ndocs=["y"]'},
            f"{UV} -e '.[test]' pytest",
        ),
        ({"pyproject.toml": PROJECT + '[dependency-groups]\ntest=["x"]\ndev=["y"]'}, f"{UV} -e . --group test pytest"),
        (
            {"pyproject.toml": PROJECT + "[dependency-groups]\ndev=['y']", "uv.lock": ""},
            "uv sync --frozen --no-cache --group dev",
        ),
        ({"pyproject.toml": PROJECT, "requirements-dev.txt": "pytest"}, f"{UV} -e . -r requirements-dev.txt pytest"),
        ({"requirements.txt": "flask", "app.py": ""}, f"{UV} -r requirements.txt pytest"),
        ({"setup.py": "setup(extras_require={'testing': ['a'], 'docs': []})"}, f"{UV} -e '.[testing]' pytest"),
        (
            {"setup.py": "", "tox.ini": "[testenv]\ndeps =\n  pytest-mock>=3\n  -r x\n  {a}"},
            f"{UV} -e . 'pytest-mock>=3' pytest",
        ),
        (
            {"setup.py": "", "tox.ini": "[testenv]\nextras = unit: diagrams\ndeps =\n  unit-!py315: m\n  mypy: mypy"},
            f"{UV} -e '.[diagrams]' m pytest",
        ),
        (
            {
                "pyproject.toml": '[build-system]\nrequires=[]\n[tool.poetry.group.dev.dependencies]\npytest="^8.1"\nx={git="u"}'
            },
            f"{UV} -e . 'pytest>=8.1,<9' pytest",
        ),
        (
            {"pyproject.toml": PROJECT + '[tool.pytest.ini_options]\naddopts="--cov=x -n auto"'},
            f"{UV} -e . pytest pytest-cov pytest-xdist",
        ),
    ],
    ids=["extra", "group", "lock", "file", "plain", "setup", "tox", "factors", "poetry", "plugins"],
)
def test_python_is_installed_with_what_its_tests_need(tmp_path: Path, files: dict[str, str], install: str) -> None:
    found = look(tmp_path, {**files, "tests/test_x.py": "def test_x(): pass"})
    assert found.language == "python"
    assert found.install[0] == "uv venv /work/env"
    assert install in found.install
    assert found.hosts == ("pypi",)
    assert [check.command for check in found.checks] == ["python -m pytest"]
    assert found.findings[0].because


def test_what_decides_an_installation_is_a_lock_included_files_too(tmp_path: Path) -> None:
    files = {
        "setup.py": "",
        "requirements-test.txt": "-r reqs/base.txt\n-c constraints.txt # why\n--requirement=../../etc/passwd\n",
        "reqs/base.txt": "x\n-r more.txt\n-r ../requirements-test.txt\n",
        "reqs/more.txt": "y\n-r gone.txt\n",
        "constraints.txt": "y<2\n",
    }
    found = look(tmp_path, files)
    assert found.locks == (
        "setup.py",
        "requirements-test.txt",
        "reqs/base.txt",
        "constraints.txt",
        "reqs/more.txt",
    )
    node = look(tmp_path, {"package.json": "{}", ".npmrc": "save-exact=true", "pnpm-lock.yaml": ""})
    assert node.locks == ("package.json", "pnpm-lock.yaml", ".npmrc")


def test_requirements_with_hashes_are_installed_apart(tmp_path: Path) -> None:
    found = look(tmp_path, {"setup.py": "", "requirements-test.txt": "a==1 --hash=sha256:00", "test_a.py": ""})
    assert found.install[1:] == (f"{UV} -r requirements-test.txt", f"{UV} -e . pytest")


def test_version_from_tags_comes_from_the_source_archive(tmp_path: Path) -> None:
    built = '[build-system]\nrequires=["setuptools-scm"]\n'
    found = look(tmp_path, {"pyproject.toml": built, "PKG-INFO": "Name: x\nVersion: 1.2.3\n", "test_a.py": ""})
    assert found.env["SETUPTOOLS_SCM_PRETEND_VERSION"] == "1.2.3"


@pytest.mark.parametrize(
    ("files", "language", "command"),
    [
        ({"package.json": '{"scripts": {"test": "jest"}}', "pnpm-lock.yaml": ""}, "javascript", "corepack pnpm test"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}'}, "javascript", None),
        ({"go.mod": "module x"}, "go", "go test -json ./..."),
        ({"Cargo.toml": "", "package.json": "{}"}, "rust", "cargo test --offline --no-fail-fast"),
        ({"main.c": "", "Makefile": "all:\n\ncheck: all\n\tx"}, "other", "make check"),
        ({"main.c": ""}, "other", None),
        ({"manage.py": "", "a/tests.py": ""}, "python", "python manage.py test"),
    ],
)
def test_other_languages_are_told_apart(
    tmp_path: Path, files: dict[str, str], language: str, command: str | None
) -> None:
    found = look(tmp_path, files)
    assert found.language == language
    assert [check.command for check in found.checks] == ([command] if command else [])
    assert bool(found.checks) or found.advice


def test_a_test_alone_says_that_it_is_python_where_nothing_says_otherwise(tmp_path: Path) -> None:
    bare = {"add.py": "", "test_add.py": "def test_add(): pass", **{f"data/{number}.csv": "" for number in range(9)}}
    web = {"package.json": '{"scripts": {"test": "vitest"}}', "package-lock.json": "{}", **bare}
    found, other = look(tmp_path / "bare", bare), look(tmp_path / "web", web)

    assert (found.language, [check.command for check in found.checks]) == ("python", ["python -m pytest"])
    assert other.language == "javascript"


def test_services_and_instructions_are_found_with_their_reason(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services:\n  db:\n    image: 'postgis/postgis:16'\n",
        ".env.example": "CACHE_URL=redis://localhost:6379/0\nDATABASE_URL=mysql+pymysql://u:p@h/d\n",
        "pyproject.toml": '[project]\nname="x"\ndependencies = ["pymongo>=4", "redistribute"]\n',
        "AGENTS.md": "be kind",
        "CLAUDE.md": " ",
    }
    found = look(tmp_path, files)
    named = [finding.value for finding in found.findings if finding.what == "service"]
    assert named == ["postgres", "redis", "mysql", "mongo"]
    assert [record["use"] for record in found.services] == [name for name in ("postgres", "redis") if find(name)]
    assert any(line.startswith("mysql seems to be needed (an address in .env.example)") for line in found.advice)
    assert found.instructions == ("AGENTS.md",)
    assert "an image in compose.yaml" in {finding.because for finding in found.findings}


def test_hostile_repository_is_looked_at_without_harm(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("[project]\nname='leak'\n")
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "pyproject.toml").symlink_to(secret)
    (root / "linked").symlink_to(tmp_path)
    os.mkfifo(root / "package.json")
    (root / "go.mod").mkdir()
    (root / "setup.cfg").write_bytes(b"\xff\xfe[[[\0")
    (root / "tox.ini").write_text("[testenv\n%(x)s")
    (root / "AGENTS.md").write_text("x" * (2 << 20))
    (root / "Makefile").write_text("test:\n")
    names = ["pyproject.toml", "package.json", "go.mod", "setup.cfg", "tox.ini", "AGENTS.md", "Makefile", "gone.py"]
    names += ["linked/secret", "../secret", "/etc/passwd", "a\nb.py", "\udcff.py", "x/" * 500 + "test_x.py"]
    found = detect(root, names)
    assert found.instructions == ()
    assert "leak" not in str(found)
    parse(render(found).encode(), root=root)


def test_package_json_nested_beyond_reason_is_no_crash(tmp_path: Path) -> None:
    assert look(tmp_path, {"package.json": "[" * 100_000}).language == "javascript"
    assert look(tmp_path, {"pyproject.toml": "a=" + "[" * 5_000}).language == "python"


def test_accounts_of_a_repositorys_own_containers_are_seeded(tmp_path: Path) -> None:
    if not find("postgres"):
        pytest.skip("this machine has no PostgreSQL")
    container = (
        "        image: postgres:17\n        env:\n          POSTGRES_DB: 'shop'\n          POSTGRES_USER: ada\n"
    )
    workflow = f"jobs:\n  test:\n    services:\n      db:\n{container}"
    found = look(tmp_path, {".github/workflows/test.yml": workflow, ".gitlab-ci.yml": "services:\n  - redis:7\n"})
    (postgres,) = [record for record in found.services if record["use"] == "postgres"]
    assert postgres["seed"] == [
        "psql -qc 'CREATE ROLE \"ada\" SUPERUSER LOGIN'",
        'psql -qc \'CREATE DATABASE "shop" OWNER "ada"\'',
    ]
    assert found.env["DATABASE_URL"] == "postgresql://ada@127.0.0.1:5432/shop"
    assert "an image in .gitlab-ci.yml" in {finding.because for finding in found.findings}
    (project,) = parse(render(found).encode(), root=tmp_path).services[:1]
    assert project.seed == tuple(postgres["seed"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("compose.yaml", "\n" * 1_000_000),
        ("compose.yaml", "POSTGRES_USER:" + " " * 1_000_000),
        (".env.example", "\n" * 1_000_000),
        (".env.example", "URL" * 300_000),
        (".github/workflows/x.yml", "\n" * 1_000_000),
        ("requirements-test.txt", "\n" * 1_000_000),
        ("Makefile", "test\n" * 200_000),
        ("go.mod", "go 1." + "1." * 400_000),
        ("mise.toml", "[tools]\n" + "".join(f"a{number} = '1'\n" for number in range(60_000))),
    ],
)
def test_a_file_made_to_take_hours_takes_none(tmp_path: Path, name: str, text: str) -> None:
    found = look(tmp_path, {"setup.py": "", name: text})
    assert found.language in {"python", "go"}
    assert len(found.wishes) <= 40


def test_tools_that_are_configured_become_checks_whose_problems_are_read(tmp_path: Path) -> None:
    pyproject = (
        '[project]\nname = "a"\nversion = "1"\n[tool.ruff]\n[tool.mypy]\nstrict = true\n[tool.pytest.ini_options]\n'
        "[tool.coverage.report]\nfail_under = 87.5\n"
    )
    found = look(tmp_path, {"pyproject.toml": pyproject, "tests/test_a.py": "def test_a(): pass\n"})
    assert [(check.name, check.format) for check in found.checks] == [
        ("tests", "pytest"),
        ("ruff", "ruff"),
        ("mypy", "mypy"),
        ("coverage", "coverage"),
    ]
    assert found.checks[2].command == "python -m mypy --output json ."
    assert (found.checks[3].least, found.checks[3].report) == (87.5, "coverage.json")
    assert all(f" {package}" in found.install[-1] for package in ("pytest", "ruff", "mypy", "coverage"))
    project = parse(render(found).encode(), root=tmp_path)
    assert project.checks == found.checks


def test_eslint_is_a_check_where_it_is_installed_and_configured(tmp_path: Path) -> None:
    package = '{"scripts": {"test": "node --test"}, "devDependencies": {"eslint": "^9"}}'
    found = look(tmp_path, {"package.json": package, "eslint.config.mjs": "export default [];"})
    assert [(check.name, check.format) for check in found.checks] == [("tests", "exit"), ("eslint", "eslint")]
