"""What a run that failed leaves to the next one on the same spec: less to read, less to try."""

from __future__ import annotations

from pathlib import Path

from bench.retried import FILES, retried


def test_a_spec_that_is_tried_again_takes_fewer_turns_and_tokens_for_the_notes_of_the_first(tmp_path: Path) -> None:
    failed, alone, noted = retried(tmp_path)

    assert (failed.done, alone.done, noted.done) == (False, True, True)
    assert alone.turns > failed.turns > FILES, "without notes all is read and tried as at first"
    assert noted.turns * 3 < alone.turns
    assert noted.sent * 4 < alone.sent
