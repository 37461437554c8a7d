"""What is remembered is recalled, replaced, forgotten, and summarised within a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from motet.messages import (
    ANYBODY,
    ConversationRequest,
    ForgetMemoriesRequest,
    Principal,
    RecallRequest,
    RememberRequest,
)
from motet_retriever import tokens
from motet_retriever.fusion import Fusion
from motet_retriever.memory import Memories
from motet_retriever.stores.port import HiddenError, PassageStore

STAFF = Principal(access=("staff",))
RED = Principal(tenant="red", access=("staff",))
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def memories(store: PassageStore, embedder: Any) -> Memories:
    return Memories(store, embedder, Fusion())


async def remember(
    memories: Memories, text: str, by: Principal = ANYBODY, day: int = 0, **more: Any
) -> str:
    request = RememberRequest(text=text, time=START + timedelta(days=day), **more)
    return (await memories.remember(by, request, f"key of {text}")).id


async def recalled(memories: Memories, by: Principal = ANYBODY, **more: Any) -> list[str]:
    return [each.text for each in (await memories.recall(by, RecallRequest(**more))).memories]


async def test_what_is_remembered_is_found_by_its_words(memories: Memories) -> None:
    await remember(memories, "Ann likes green tea", user="ann")
    await remember(memories, "Bob plays the cello", user="bob")
    assert (await recalled(memories, query="green tea"))[0] == "Ann likes green tea"
    assert await recalled(memories, query="green tea", user="bob") == ["Bob plays the cello"]
    assert await recalled(memories, query="tea", user="carol") == []


async def test_without_a_question_the_newest_come_first(memories: Memories) -> None:
    for day, text in enumerate(("one", "two", "three")):
        await remember(memories, text, day=day, agent="planner")
    assert await recalled(memories, agent="planner", limit=2) == ["three", "two"]
    since = START + timedelta(days=1)
    assert await recalled(memories, since=since) == ["three", "two"]
    assert await recalled(memories, until=since) == ["one"]


async def test_age_halves_the_score(memories: Memories) -> None:
    await remember(memories, "tea is at four", day=0)
    await remember(memories, "tea is at five", day=200)
    found = await recalled(memories, query="tea is at four", half_life_days=10)
    assert found[0] == "tea is at five"


async def test_what_is_remembered_again_replaces(memories: Memories) -> None:
    first = RememberRequest(text="tea", id="drink", time=START)
    assert (await memories.remember(ANYBODY, first, "")).status == "added"
    assert (await memories.remember(ANYBODY, first, "")).status == "unchanged"
    other = RememberRequest(text="coffee", id="drink", time=START)
    assert (await memories.remember(ANYBODY, other, "")).status == "replaced"
    assert await recalled(memories) == ["coffee"]


async def test_nobody_has_what_is_hidden_from_them(memories: Memories) -> None:
    await remember(memories, "the code is 1234", by=STAFF, id="code", labels=("staff",))
    for who in (ANYBODY, RED):
        assert await recalled(memories, who) == []
        assert await recalled(memories, who, query="the code is 1234") == []
        forgotten = await memories.forget(who, ForgetMemoriesRequest(ids=("code",)))
        assert forgotten.count == 0
    with pytest.raises(HiddenError):
        await remember(memories, "the code is 0000", id="code")
    assert await recalled(memories, STAFF) == ["the code is 1234"]


async def test_what_is_forgotten_is_gone(memories: Memories) -> None:
    for number in range(5):
        await remember(memories, f"note {number}", user="ann" if number % 2 else "bob", day=number)
    told = await memories.forget(ANYBODY, ForgetMemoriesRequest(user="ann"))
    assert (told.count, len(told.ids)) == (2, 2)
    assert set(await recalled(memories, query="note")) == {"note 0", "note 2", "note 4"}
    until = START + timedelta(days=3)
    assert (await memories.forget(ANYBODY, ForgetMemoriesRequest(until=until))).count == 2
    assert await recalled(memories) == ["note 4"]


async def talk(memories: Memories, turns: int) -> None:
    for number in range(turns):
        role = "assistant" if number % 2 else "user"
        await remember(
            memories,
            f"Turn {number} says this. And more of it follows here.",
            day=number,
            session="s",
            role=role,
        )


async def test_a_short_conversation_is_given_whole(memories: Memories) -> None:
    await talk(memories, 3)
    await remember(memories, "no turn of it", session="s")
    read = await memories.conversation(ANYBODY, ConversationRequest(session="s"), None)
    assert [each.text[:6] for each in read.turns] == ["Turn 0", "Turn 1", "Turn 2"]
    assert [each.role for each in read.turns] == ["user", "assistant", "user"]
    assert (read.summary, read.summarised) == ("", 0)


async def test_a_long_conversation_fits_its_window(memories: Memories) -> None:
    await talk(memories, 30)
    request = ConversationRequest(session="s", tokens=120)
    read = await memories.conversation(ANYBODY, request, None)
    assert read.turns[-1].text.startswith("Turn 29")
    assert read.summarised == 30 - len(read.turns)
    assert read.summary.splitlines()[-1].endswith(f"Turn {read.summarised - 1} says this.")
    size = tokens.count(read.summary) + sum(tokens.count(each.text) for each in read.turns)
    assert size <= 120


async def test_a_model_summarises_what_is_older(memories: Memories) -> None:
    await talk(memories, 30)
    shown: list[str] = []

    async def summarise(text: str) -> str:
        shown.append(text)
        return "They talked. " * 100

    request = ConversationRequest(session="s", tokens=120)
    read = await memories.conversation(ANYBODY, request, summarise)
    assert shown[0].startswith("user: Turn 0")
    assert read.turns[0].text not in shown[0]
    assert 0 < tokens.count(read.summary) <= 30
