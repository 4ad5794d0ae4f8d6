"""Money."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nightmill.model import Usage
from nightmill.model.price import cost

USAGE = Usage(input=106_000, cache_read=100_000, cache_write=1_000, output=2_000)


def test_cost_counts_cached_tokens_at_their_own_price() -> None:
    # 5,000 at 3 $, 100,000 at 0.3 $, 1,000 at 3.75 $, 2,000 at 15 $ per million.
    assert cost(USAGE, model="claude-sonnet-4-5", provider="anthropic") == pytest.approx(0.07875)


def test_unknown_models_and_odd_figures_have_no_price() -> None:
    assert cost(USAGE, model="our-own-7b", provider="openai") is None
    assert cost(USAGE, model="our-own-7b", provider="openai", base_url="http://127.0.0.1:8000/v1") is None
    assert cost(Usage(input=1, cache_read=9), model="gpt-4o", provider="openai") is None


def test_table_of_prices_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, nightmill.model.connect; sys.exit('genai_prices' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
