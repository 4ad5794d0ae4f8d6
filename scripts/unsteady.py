"""A plugin of pytest: what failed beside other tests is run once more alone, and is called unsteady if it then passes.

At most `MOST` tests are: more is no bad luck. Nor is an error of collection, or a worker that crashed: then nothing is run
again. Each unsteady test is printed at the end with its first traceback; the run passes if all that failed were unsteady.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator

import pytest

__all__ = ["MOST", "Unsteady", "pytest_configure"]

MOST = 3
"""Failed tests that are run again."""

PHASES = {"setup", "call", "teardown"}
"""Of a test; what xdist says of a test whose worker crashed is of none."""


def pytest_configure(config: pytest.Config) -> None:
    """Listen where all that failed is told: not in a worker."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Unsteady(config))


class Unsteady:
    """What failed, as far as the run has come."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.failed: dict[str, str] = {}
        """By the id of a test: its first traceback."""
        self.broken = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed."""
        if report.failed:
            self.failed.setdefault(report.nodeid, report.longreprtext)
            self.broken |= report.when not in PHASES

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that a file could not be read."""
        self.broken |= report.failed

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Note that a worker crashed."""
        self.broken |= bool(error)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """When all workers have gone and all is said, run what failed once more."""
        yield
        if session.exitstatus != pytest.ExitCode.TESTS_FAILED or self.broken or not 0 < len(self.failed) <= MOST:
            return
        passed = [test for test in self.failed if self._alone(test)]
        for test in passed:
            self._say(
                f"unsteady: {test} failed beside others and passed alone; how it failed:\n\n{self.failed[test]}\n"
            )
        for test in self.failed.keys() - set(passed):
            self._say(f"fails alone, too: {test}")
        if len(passed) == len(self.failed):
            self._say(f"all that failed is unsteady ({len(passed)}): the run passes, the tests above need mending")
            session.exitstatus = pytest.ExitCode.OK

    def _alone(self, test: str) -> bool:
        self._say(f"\nonce more, alone: {test}")
        words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test]
        return subprocess.run(words, cwd=self.config.rootpath, check=False).returncode == 0

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
