"""Money."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from genai_prices import Usage as Priced
from genai_prices.data_snapshot import get_snapshot

from nightmill.model import Usage
from nightmill.model.price import cost

NOW = datetime.now(tz=UTC)
USAGE = Usage(input=106_000, cache_read=100_000, cache_write=1_000, output=2_000)


def test_cost_counts_cached_tokens_at_their_own_price() -> None:
    # 5,000 at 3 $, 100,000 at 0.3 $, 1,000 at 3.75 $, 2,000 at 15 $ per million.
    assert cost(USAGE, model="claude-sonnet-4-5", provider="anthropic") == pytest.approx(0.07875)


def test_unknown_models_and_odd_figures_have_no_price() -> None:
    assert cost(USAGE, model="our-own-7b", provider="openai") is None
    assert cost(USAGE, model="our-own-7b", provider="openai", base_url="http://127.0.0.1:8000/v1") is None
    assert cost(Usage(input=1, cache_read=9), model="gpt-4o", provider="openai") is None


def test_prices_are_those_of_the_table_for_every_model_and_amount() -> None:
    """Also where a long request is dearer by the token, and where a kind of token has no price of its own."""
    snapshot = get_snapshot()
    usages = [
        USAGE,
        Usage(input=1, output=1),
        Usage(input=199_999, cache_read=7, output=3),
        Usage(input=300_000, cache_write=11, output=900),
        Usage(input=12, cache_read=4, cache_write=8),
        Usage(),
    ]
    tiered = compared = 0
    for seller, model in ((each, model) for each in snapshot.providers for model in each.models):
        try:
            found_at, found = snapshot.find_provider_model(model.id, None, seller.id, None)
        except LookupError:
            continue  # one that only other names lead to
        for usage in usages:
            compared += 1
            ours = cost(usage, model=model.id, provider=seller.id)
            table = Priced(
                input_tokens=usage.input,
                cache_read_tokens=usage.cache_read,
                cache_write_tokens=usage.cache_write,
                output_tokens=usage.output,
            )
            assert ours == float(found.calc_price(table, found_at).total_price), (seller.id, model.id, usage)
        tiered += any(type(price).__name__ == "TieredPrices" for price in vars(found.get_prices(NOW)).values())
    assert (tiered > 10, compared > 1_000) == (True, True)


def test_table_of_prices_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, nightmill.model.connect; sys.exit('genai_prices' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
