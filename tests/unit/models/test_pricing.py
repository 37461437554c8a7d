from __future__ import annotations

import logging

import pytest

from motet.models.choice import ModelChoice
from motet.models.pricing import TokenCounts, cost_usd, warn_unpriced

MILLION = TokenCounts(input=1_000_000, output=1_000_000)


def test_a_local_model_costs_nothing() -> None:
    assert cost_usd(ModelChoice(provider="local", name="any"), MILLION, ["any"]) == 0


@pytest.mark.parametrize(
    "provider,name",
    [
        ("openai", "gpt-4.1-mini"),
        ("anthropic", "claude-haiku-4-5"),
        ("google_genai", "gemini-3.1-flash-lite"),
        ("azure_openai", "gpt-4.1-mini"),
    ],
)
def test_what_auto_takes_has_a_price(provider: str, name: str) -> None:
    cost = cost_usd(ModelChoice(provider=provider, name=name), MILLION, [name])
    assert cost is not None
    assert 0.1 < cost < 20


def test_tokens_from_the_providers_cache_are_cheaper() -> None:
    choice = ModelChoice(provider="openai", name="gpt-4.1-mini")
    cached = TokenCounts(input=1_000_000, output=1_000_000, cache_read=900_000)
    whole, part = (cost_usd(choice, counts, [choice.name]) for counts in (MILLION, cached))
    assert whole is not None
    assert part is not None
    assert part < whole


def test_a_deployment_is_priced_by_the_model_that_answered() -> None:
    choice = ModelChoice(provider="azure_openai", name="my-deployment")
    assert cost_usd(choice, MILLION, ["gpt-4.1-mini-2025-04-14", choice.name])


@pytest.mark.parametrize(
    "choice",
    [
        ModelChoice(provider="openai", name="not-a-model"),
        ModelChoice(provider="openai", name="gpt-4.1-mini", url="http://10.0.0.1:8000/v1"),
        ModelChoice(provider="nobody", name="gpt-4.1-mini"),
    ],
)
def test_a_price_that_is_not_known_is_said(
    choice: ModelChoice, caplog: pytest.LogCaptureFixture
) -> None:
    assert cost_usd(choice, MILLION, [choice.name]) is None
    warn_unpriced.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            warn_unpriced(choice.id)
    assert len(caplog.records) == 1
