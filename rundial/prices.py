"""What models cost: a table that users give, and what tokens come to by it.

A table holds US dollars for a million tokens, by the name of a model as requests or answers spell it:

    {"gpt-4o": {"input": 2.5, "cached": 1.25, "output": 10.0}}

`input` and `output` are needed. `cached` (input that the provider had in its cache) and `cache_write` (input
that it put there) are `input` where they are not given. A model that is not in the table has no cost: nothing
is guessed from names that look alike.
"""

from __future__ import annotations

from collections.abc import Mapping

MILLION = 1_000_000
NAMES = ("input", "output", "cached", "cache_write")
Prices = Mapping[str, Mapping[str, float]]


def read(given: object) -> Prices:
    """Return a table, each of its prices filled in.

    Args:
        given: A mapping, or its JSON text.

    Raises:
        ValueError: It is no such table; says which model and price.
    """
    if isinstance(given, str):
        import json

        given = json.loads(given)
    if not isinstance(given, Mapping):
        raise ValueError("must be a mapping of models to prices")
    return {str(model): _of_model(model, prices) for model, prices in given.items()}


def cost_usd(
    prices: Mapping[str, float], *, input_tokens: int, output_tokens: int, cached: int = 0, written: int = 0
) -> float:
    """Return what tokens cost.

    Args:
        prices: A model's, from the table.
        input_tokens: All of the input, cached tokens included.
        output_tokens: All of the output.
        cached: How much of the input was read from the provider's cache.
        written: How much of the input was written to it.
    """
    plain = max(0, input_tokens - cached - written)
    parts = (
        plain * prices["input"],
        cached * prices["cached"],
        written * prices["cache_write"],
        output_tokens * prices["output"],
    )
    return sum(parts) / MILLION


def _of_model(model: object, given: object) -> Mapping[str, float]:
    if not isinstance(given, Mapping) or not {"input", "output"} <= set(given):
        raise ValueError(f"must have an input and an output price for {model!r}, in USD per million tokens")
    found: dict[str, float] = {}
    for name, price in given.items():
        is_number = isinstance(price, (int, float)) and not isinstance(price, bool)
        if name not in NAMES:
            raise ValueError(f"must not price {name!r} of {model!r}; there are {', '.join(NAMES)}")
        if not is_number or not 0 <= price < float("inf"):
            raise ValueError(f"must be a number from 0 for {name!r} of {model!r}, not {price!r}")
        found[name] = float(price)
    return {"cached": found["input"], "cache_write": found["input"], **found}
