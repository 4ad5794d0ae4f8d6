"""What a reply costs, by the bundled table of `genai-prices`."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from nightmill.model.message import Usage

if TYPE_CHECKING:
    from genai_prices.types import AbstractUsage, ModelInfo, ModelPrice, Provider

__all__ = ["cost", "load", "window"]


def load() -> None:
    """Load the table, so that the first who asks does not wait for it."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - heavy, as `cost` says

    get_snapshot()


def cost(usage: Usage, *, model: str, provider: str, base_url: str = "") -> float | None:
    """US dollars at list price, None if the model's price is not known.

    With a *base_url* its own prices are looked for first, then those of *provider*: a gateway to a provider costs
    what the provider takes, and a model that nobody sells has no price. No network is used.
    """
    # The table costs 10 MB and a third of a second, which a command that asks no model need not pay.
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as above

    addresses = ((None, base_url), (provider, None)) if base_url else ((provider, None),)
    for seller, address in addresses:
        try:
            sold_by, sold = get_snapshot().find_provider_model(model, None, seller, address)
            return _total(usage, sold, sold_by)
        except (LookupError, ValueError):
            continue
    return None


def _total(usage: Usage, model: ModelInfo, provider: Provider) -> float:
    """What *usage* costs now.

    The table's own way of counting takes 0.1 ms, several times in a turn; as long as no price changes with the amount, the
    price of each kind of token says the same.

    Raises:
        ValueError: If the figures contradict each other.
    """
    now = datetime.now(tz=UTC)
    sheet = model.get_prices(now)
    if id(sheet) not in _RATES:
        _RATES[id(sheet)] = _rates(sheet)
    rates = _RATES[id(sheet)]
    counts = (usage.input - usage.cache_read - usage.cache_write, usage.cache_read, usage.cache_write, usage.output)
    if usage.input >= rates.below or min(counts) < 0:
        return float(model.calc_price(_priced(usage), provider, genai_request_timestamp=now).total_price)
    return float(sum((rate * count for rate, count in zip(rates.each, counts, strict=True)), start=Decimal()))


class _Rates(NamedTuple):
    """Dollars for each token of input, read from and written to the cache, and of output, in requests with input *below* that.

    The list that they are of is kept: its identity is what it is known by.
    """

    of: ModelPrice
    each: tuple[Decimal, ...]
    below: float


_RATES: dict[int, _Rates] = {}


def _rates(sheet: ModelPrice) -> _Rates:
    """What *sheet* says of small requests."""

    def asked(**counts: int) -> Decimal:
        return sheet.calc_price(_priced(Usage(**counts)))["total_price"]

    each = (asked(input=1), asked(input=1, cache_read=1), asked(input=1, cache_write=1), asked(output=1))
    linear = asked(input=3, cache_read=1, cache_write=1, output=1) == sum(each) and not asked()
    tiers = (tier for price in vars(sheet).values() for tier in getattr(price, "tiers", ()))
    return _Rates(sheet, each, min((tier.start for tier in tiers), default=math.inf) if linear else 0)


def _priced(usage: Usage) -> AbstractUsage:
    from genai_prices import Usage as Priced  # noqa: PLC0415 - as above

    return Priced(
        input_tokens=usage.input,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
    )


def window(*, model: str, provider: str) -> int | None:
    """Tokens that the model's context holds, None if the table does not say."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as above

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return found.context_window
