"""A key is made once, whoever asks at the same moment."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from nightmill.errors import SettingsError
from nightmill.store.keyfile import made_once

CROWD = 8


@pytest.mark.parametrize("there", [True, False])
def test_all_who_ask_at_once_are_given_the_same_key_and_nothing_is_left_beside_it(
    tmp_path: Path, *, there: bool
) -> None:
    for number in range(30):
        path, together = tmp_path / f"{number}" / "secret.key", Barrier(CROWD)
        first = made_once(path, b"first") if there else None

        def ask(name: int, path: Path = path, together: Barrier = together) -> bytes:
            together.wait()
            return made_once(path, b"%d" % name)

        with ThreadPoolExecutor(CROWD) as crowd:
            given = set(crowd.map(ask, range(CROWD)))

        assert given == {first or path.read_bytes()}
        assert [each.name for each in path.parent.iterdir()] == ["secret.key"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(SettingsError, match=r"secret\.key"):
        made_once(tmp_path / "secret.key", b"x")
