"""What tokens cost, by the price table of the package `genai-prices`.

That table (https://github.com/pydantic/genai-prices, MIT) names its sources and the day on which
each price was checked, and is as new as the installed package; nothing is fetched at run time. A
model that runs on `local:` costs nothing. A model that the table does not know counts as costing
nothing, which its spans say by `motet.priced` and the log once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache

from motet.messages import Value
from motet.models.choice import LOCAL, ModelChoice

__all__ = ["TokenCounts", "cost_usd", "warn_unpriced"]

_PROVIDERS = {
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}
"""LangChain's names of providers, where the table's differ."""

_log = logging.getLogger(__name__)


class TokenCounts(Value):
    """Tokens of one request."""

    input: int = 0
    """All that were read, those from the provider's prompt cache included."""
    output: int = 0
    cache_read: int = 0
    """Of `input`, those that the provider's prompt cache served."""
    cache_write: int = 0
    """Of `input`, those that the provider's prompt cache took in."""


def cost_usd(choice: ModelChoice, counts: TokenCounts, names: Iterable[str]) -> float | None:
    """US dollars for one request, or None when no price is known.

    Args:
        choice: The model that was asked.
        counts: What it read and wrote.
        names: Names under which to look for it, best first: a deployment may be called anything,
            but its answers say which model wrote them.
    """
    if choice.provider == LOCAL:
        return 0.0
    from genai_prices import Usage, calc_price

    usage = Usage(
        input_tokens=counts.input,
        output_tokens=counts.output,
        cache_read_tokens=counts.cache_read,
        cache_write_tokens=counts.cache_write,
    )
    provider = _PROVIDERS.get(choice.provider, choice.provider)
    for name in names:
        try:
            found = (
                calc_price(usage, name, provider_api_url=choice.url)
                if choice.url
                else calc_price(usage, name, provider_id=provider)
            )
        except LookupError:
            continue
        return float(found.total_price)
    return None


@cache
def warn_unpriced(model: str) -> None:
    """Says, once a process, that a model's price is not known."""
    _log.warning("No price is known for %s: its tokens count, its cost does not.", model)
