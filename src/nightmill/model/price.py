"""What a reply costs, by the bundled table of `genai-prices`."""

from __future__ import annotations

from nightmill.model.message import Usage

__all__ = ["cost", "window"]


def cost(usage: Usage, *, model: str, provider: str, base_url: str = "") -> float | None:
    """US dollars at list price, None if the model's price is not known.

    With a *base_url* its own prices are looked for first, then those of *provider*: a gateway to a provider costs
    what the provider takes, and a model that nobody sells has no price. No network is used.
    """
    # The table costs 10 MB and a third of a second, which a command that asks no model need not pay.
    from genai_prices import Usage as Priced  # noqa: PLC0415
    from genai_prices import calc_price  # noqa: PLC0415

    priced = Priced(
        input_tokens=usage.input,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
    )
    if base_url:
        try:
            return float(calc_price(priced, model, provider_api_url=base_url).total_price)
        except (LookupError, ValueError):
            pass
    try:
        return float(calc_price(priced, model, provider_id=provider).total_price)
    except (LookupError, ValueError):
        return None


def window(*, model: str, provider: str) -> int | None:
    """Tokens that the model's context holds, None if the table does not say."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as above

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return found.context_window
