"""What goes wrong is written down without secrets."""

from __future__ import annotations

import subprocess
import sys

KNOWN, LOOKS = "correct-horse-battery", "ghp_" + "a1B2c3D4e5" * 4
PROGRAM = f"""
import logging
from nightmill.cli import logs
from nightmill.store.redaction import Redaction

logs.begin(Redaction(lambda: ["{KNOWN}"]).text)
log = logging.getLogger("nightmill.some")
log.warning("it said %s and %s", "{KNOWN}", "{LOOKS}")
try:
    raise ValueError("no {KNOWN} at https://ada:{KNOWN}@example.org")
except ValueError:
    log.exception("it failed")
"""


def test_no_line_of_the_log_and_no_traceback_holds_a_secret() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert "WARNING nightmill.some: it said ******** and ********" in done.stderr
    assert "ValueError: no ******** at https://ada:********@example.org" in done.stderr
    assert KNOWN not in done.stderr
    assert LOOKS not in done.stderr
