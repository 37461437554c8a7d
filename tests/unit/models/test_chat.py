from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, Field

from motet.bus.budgets import Reservation
from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models import ChatModel, chat_model
from motet.models.metering import Room, meter
from motet.settings import Settings
from tests.unit.models.fake_server import FakeServer, completion, failure

ModelOf = Callable[..., ChatModel]
QUESTION = [("system", "Be short."), ("user", "What is a motet?")]
CITY = '{"name": "Lyon", "people": 522250}'
CITY_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["name", "people"],
    "additionalProperties": False,
}


class City(BaseModel):
    name: str
    people: int = Field(ge=0)


class Payer:
    """A meter that notes what it hears, and has `budget` tokens."""

    agent = "planner"
    skill = "submit"

    def __init__(self, budget: int = 1_000_000) -> None:
        self.budget = budget
        self.reserved: list[int] = []
        self.spent: list[Usage] = []

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        if least.tokens > self.budget:
            raise FaultError.of(FaultType.BUDGET_EXCEEDED, "The budget is used up.")
        self.reserved.append(min(most.tokens, self.budget))
        room = Reservation(min(most.output_tokens, self.budget - least.input_tokens))
        yield room
        self.spent.append(room.spent)


@pytest.fixture
async def model_of(
    fake: FakeServer, settings_of: Callable[..., Settings]
) -> AsyncIterator[ModelOf]:
    made: list[ChatModel] = []

    def model(**values: Any) -> ChatModel:
        given = {"model": "local:fake", "model_url": fake.url, **values}
        made.append(chat_model(settings_of(**given)))
        return made[-1]

    yield model
    for each in made:
        await each.close()


@pytest.fixture
def payer() -> Payer:
    return Payer()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


async def test_text_is_asked_for_with_a_limit_a_stop_and_no_chance(
    fake: FakeServer, model_of: ModelOf
) -> None:
    answer = await model_of().text(QUESTION, max_tokens=50, stop=["\n"])
    assert answer == "an answer"
    (asked,) = fake.requests
    assert asked["model"] == "fake"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["max_completion_tokens"] == 50
    assert asked["stop"] == ["\n"]
    assert asked["temperature"] == 0
    assert "seed" in asked
    assert fake.paths == ["/v1/chat/completions"]


async def test_a_local_server_is_sent_no_key(
    fake: FakeServer, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    await model_of().text(QUESTION, max_tokens=5)
    assert "secret" not in json.dumps(fake.headers)
    await model_of(model="openai:fake").text(QUESTION, max_tokens=5)
    assert fake.headers[-1]["authorization"] == "Bearer a secret"


@pytest.mark.parametrize("schema", [City, CITY_SCHEMA])
async def test_an_answer_in_a_form(schema: Any, fake: FakeServer, model_of: ModelOf) -> None:
    fake.answer(completion(CITY))
    city = await model_of().structured(QUESTION, schema, name="city", max_tokens=50)
    assert city == (City.model_validate_json(CITY) if schema is City else json.loads(CITY))
    form = fake.requests[0]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "city"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["required"] == ["name", "people"]


@pytest.mark.parametrize("schema", [City, CITY_SCHEMA])
@pytest.mark.parametrize(
    "wrong,complaint",
    [('{"name": "Lyon", "people": -1}', "people"), ("Lyon, half a million", "JSON")],
)
async def test_an_answer_that_does_not_fit_is_repaired(
    wrong: str, complaint: str, schema: Any, fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(completion(wrong), completion(CITY))
    await model_of().structured(QUESTION, schema, name="city", max_tokens=50)
    first, second = fake.requests
    assert second["messages"][:2] == first["messages"]
    assert second["messages"][2] == {"role": "assistant", "content": wrong}
    assert complaint in second["messages"][3]["content"]


async def test_three_answers_that_do_not_fit_are_a_fault(
    fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(completion("{}"))
    model = model_of()
    with pytest.raises(FaultError) as error:
        await model.structured(QUESTION, City, name="city", max_tokens=50)
    assert error.value.fault.type == FaultType.MODEL_OUTPUT_INVALID
    assert not error.value.fault.retryable
    assert "name: Field required" in error.value.fault.message
    assert len(fake.requests) == 3


async def test_an_answer_that_was_cut_off_is_told_from_a_wrong_one(
    fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(completion('{"name": "Ly', finish="length"), completion(CITY))
    await model_of().structured(QUESTION, City, name="city", max_tokens=7)
    assert "cut off after 7 tokens" in fake.requests[1]["messages"][-1]["content"]


async def test_what_is_spent_is_asked_before_and_told_after(
    fake: FakeServer, model_of: ModelOf, payer: Payer
) -> None:
    fake.answer(completion("{}"), completion(CITY))
    meter.set(payer)
    await model_of().structured(QUESTION, City, name="city", max_tokens=50)
    assert payer.spent == [Usage(input_tokens=11, output_tokens=7, model_calls=1)] * 2
    assert [50 < tokens < 120 for tokens in payer.reserved] == [True, True]


async def test_a_server_that_counts_no_tokens_is_estimated(
    fake: FakeServer, model_of: ModelOf, payer: Payer
) -> None:
    fake.answer(completion("four words of answer", usage=False))
    meter.set(payer)
    await model_of().text(QUESTION, max_tokens=50)
    (usage,) = payer.spent
    assert 3 < usage.input_tokens < 15
    assert 3 < usage.output_tokens < 10


async def test_nothing_is_sent_over_the_budget_and_no_fallback_steps_in(
    fake: FakeServer, second_fake: FakeServer, model_of: ModelOf
) -> None:
    meter.set(Payer(budget=3))
    model = model_of(model_fallbacks="local:other")
    with pytest.raises(FaultError) as error:
        await model.text(QUESTION, max_tokens=50)
    assert error.value.fault.type == FaultType.BUDGET_EXCEEDED
    assert fake.requests == []


async def test_an_answer_has_room_for_what_is_left_and_is_not_cut_off_silently(
    fake: FakeServer, model_of: ModelOf
) -> None:
    payer = Payer(budget=30)
    meter.set(payer)
    fake.answer(completion("short"), completion("cut", finish="length"), completion("whole"))
    assert await model_of().text(QUESTION, max_tokens=50) == "short"
    with pytest.raises(FaultError, match="tokens for its answer, which has more") as error:
        await model_of().text([*QUESTION, ("user", "More!")], max_tokens=50)
    assert error.value.fault.type == FaultType.BUDGET_EXCEEDED
    assert [request["max_completion_tokens"] < 30 for request in fake.requests] == [True, True]
    # Nothing of it was kept as the answer.
    payer.budget = 1000
    assert await model_of().text([*QUESTION, ("user", "More!")], max_tokens=50) == "whole"


async def test_an_equal_request_is_answered_from_the_cache_and_costs_nothing(
    fake: FakeServer, model_of: ModelOf, payer: Payer
) -> None:
    fake.answer(completion("{}"), completion(CITY))
    first = await model_of().structured(QUESTION, City, name="city", max_tokens=50)
    meter.set(payer)
    again = await model_of().structured(QUESTION, City, name="city", max_tokens=50)
    assert again == first
    assert len(fake.requests) == 2
    assert payer.spent == []


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [("user", "What else?")]},
        {"max_tokens": 51},
        {"name": "town"},
        {"schema": CITY_SCHEMA},
    ],
)
async def test_another_request_is_not(
    change: dict[str, Any], fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(completion(CITY))
    request: dict[str, Any] = {
        "messages": QUESTION,
        "schema": City,
        "name": "city",
        "max_tokens": 50,
    }
    model = model_of()
    await model.structured(**request)
    await model.structured(**{**request, **change})
    assert len(fake.requests) == 2


async def test_answers_that_never_fitted_are_not_kept(fake: FakeServer, model_of: ModelOf) -> None:
    fake.answer(completion("{}"), completion("{}"), completion("{}"), completion(CITY))
    model = model_of()
    with pytest.raises(FaultError):
        await model.structured(QUESTION, City, name="city", max_tokens=50)
    city = await model.structured(QUESTION, City, name="city", max_tokens=50)
    assert city.name == "Lyon"


async def test_the_cache_can_be_switched_off(fake: FakeServer, model_of: ModelOf) -> None:
    for _ in range(2):
        await model_of(model_cache=False).text(QUESTION, max_tokens=5)
    assert len(fake.requests) == 2


async def test_a_server_that_recovers_is_asked_again(
    fake: FakeServer, model_of: ModelOf, payer: Payer
) -> None:
    fake.answer(failure(503, "loading"), failure(429, "slower"), completion("at last"))
    meter.set(payer)
    assert await model_of().text(QUESTION, max_tokens=5) == "at last"
    assert len(payer.spent) == 1


@pytest.mark.parametrize(
    "status,retryable", [(500, True), (429, True), (400, False), (401, False), (404, False)]
)
async def test_a_server_that_refuses_is_a_fault(
    status: int, retryable: bool, fake: FakeServer, model_of: ModelOf
) -> None:
    fake.answer(failure(status, "no such luck"))
    model = model_of()
    with pytest.raises(FaultError) as error:
        await model.text(QUESTION, max_tokens=5)
    fault = error.value.fault
    assert (fault.type, fault.retryable) == (FaultType.MODEL_FAILED, retryable)
    assert "no such luck" in fault.message
    assert f"local:fake at {fake.url}" in fault.message


async def test_a_server_that_is_not_there_is_a_fault_to_retry(model_of: ModelOf) -> None:
    model = model_of(model_url="http://127.0.0.1:9/v1")
    with pytest.raises(FaultError) as error:
        await model.text(QUESTION, max_tokens=5)
    assert error.value.fault.type == FaultType.MODEL_FAILED
    assert error.value.fault.retryable
    assert "local:fake at http://127.0.0.1:9/v1" in error.value.fault.message


async def test_a_server_that_does_not_answer_is_a_fault_to_retry(
    fake: FakeServer, model_of: ModelOf
) -> None:
    fake.hold.clear()
    model = model_of(model_timeout_s=0.2)
    with pytest.raises(FaultError) as error:
        await model.text(QUESTION, max_tokens=5)
    assert error.value.fault.retryable
    assert "within 0.2 s" in error.value.fault.message


async def test_a_fallback_answers_when_the_model_fails_or_never_fits(
    fake: FakeServer,
    second_fake: FakeServer,
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
    spans: InMemorySpanExporter,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", second_fake.url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    model = model_of(model_fallbacks="openai:gpt-4.1-mini", model_cache=False)
    fake.answer(failure(400, "no"))
    assert await model.text(QUESTION, max_tokens=5) == "from the second"
    fake.answer(completion("{}"))
    second_fake.answer(completion(CITY))
    with trace.get_tracer("test").start_as_current_span("caller"):
        city = await model.structured(QUESTION, City, name="city", max_tokens=50)
    assert city.name == "Lyon"
    *chats, caller = spans.get_finished_spans()[-5:]
    assert {span.name for span in chats} == {"chat fake", "chat gpt-4.1-mini"}
    assert caller.context is not None
    assert {span.parent.span_id for span in chats if span.parent} == {caller.context.span_id}


async def test_openai_is_given_strict_schemas_where_they_can_be(
    fake: FakeServer, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", fake.url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    model = model_of(model="openai:gpt-4.1-mini", model_url=None)
    fake.answer(completion(CITY))
    await model.structured(QUESTION, City, name="city", max_tokens=50)
    assert fake.requests[-1]["response_format"]["json_schema"]["strict"] is True
    await model.structured(QUESTION, {"type": "object"}, name="any", max_tokens=50)
    assert fake.requests[-1]["response_format"]["json_schema"]["strict"] is False


async def test_a_model_that_takes_no_temperature_is_sent_none(
    fake: FakeServer, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", fake.url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    await model_of(model="openai:gpt-5-mini", model_url=None).text(QUESTION, max_tokens=50)
    assert "temperature" not in fake.requests[0]
    assert fake.requests[0]["max_completion_tokens"] > 1000  # it thinks before it answers


async def test_a_request_is_one_span(
    fake: FakeServer, model_of: ModelOf, spans: InMemorySpanExporter
) -> None:
    model = model_of(record_content=True)
    for _ in range(2):
        await model.text(QUESTION, max_tokens=5)
    asked, cached = spans.get_finished_spans()
    assert asked.name == cached.name == "chat fake"
    assert asked.kind is trace.SpanKind.CLIENT
    attributes = dict(asked.attributes or {})
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "local"
    assert attributes["gen_ai.request.model"] == "fake"
    assert attributes["gen_ai.response.model"] == "fake-model"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.input_tokens"] == 11
    assert attributes["gen_ai.usage.output_tokens"] == 7
    assert attributes["motet.cost_usd"] == 0
    assert attributes["motet.priced"] is True
    assert "What is a motet?" in str(attributes["gen_ai.input.messages"])
    assert "an answer" in str(attributes["gen_ai.output.messages"])
    assert dict(cached.attributes or {})["motet.cached"] is True
    assert "gen_ai.usage.input_tokens" not in dict(cached.attributes or {})


async def test_contents_stay_out_of_spans_unless_asked_for(
    model_of: ModelOf, spans: InMemorySpanExporter
) -> None:
    await model_of().text(QUESTION, max_tokens=5)
    assert "motet?" not in spans.get_finished_spans()[0].to_json()


async def test_a_failure_is_on_its_span(
    fake: FakeServer, model_of: ModelOf, spans: InMemorySpanExporter
) -> None:
    fake.answer(failure(401, "wrong key"))
    model = model_of()
    with pytest.raises(FaultError):
        await model.text(QUESTION, max_tokens=5)
    (span,) = spans.get_finished_spans()
    assert dict(span.attributes or {})["error.type"] == "model_failed"
    assert span.status.status_code is trace.StatusCode.ERROR
