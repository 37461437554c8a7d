"""Conversations: whose they are, what they keep, and that nobody's turn is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import Answer, Citation, FaultType, Principal
from motet_planner.sessions import MAX_BYTES, MAX_TURNS, Sessions, Turn, recalled, shown_turns
from tests.unit.planner.taking_in import Buckets, TaskCall

ANNA = Principal(tenant="red", access=("staff", "hr"))


def sessions(store: Buckets, task: str = "t1", principal: Principal = ANNA) -> Sessions:
    return Sessions(store, principal=principal, task=task, max_age_s=3600)


def turn(task: str, goal: str = "How high is the tower?", answer: str = "38 m [1].") -> Turn:
    return Turn.of(task, goal, Answer(text=answer))


async def test_a_conversation_is_kept_in_order() -> None:
    store = Buckets()
    assert await sessions(store).turns("talk") == []
    await sessions(store, "t1").add("talk", turn("t1", "How high is it?"))
    await sessions(store, "t2").add("talk", turn("t2", "And how old?"))
    kept = await sessions(store, "t3").turns("talk")
    assert [each.goal for each in kept] == ["How high is it?", "And how old?"]
    assert await sessions(store, "t3").turns("other") == []
    assert store.ages == [3600] * len(store.ages)


async def test_a_task_that_is_delivered_again_has_one_turn() -> None:
    store = Buckets()
    await sessions(store).add("talk", turn("t1"))
    await sessions(store).add("talk", turn("t1", answer="something else"))
    assert await sessions(store).turns("talk") == []  # its own is no earlier one
    (only,) = await sessions(store, "t2").turns("talk")
    assert only.answer == "38 m [1]."


@pytest.mark.parametrize(
    "other",
    [
        Principal(tenant="red"),
        Principal(tenant="red", access=("staff",)),
        Principal(tenant="red", access=("staff", "hr", "board")),
    ],
)
async def test_a_session_of_somebody_elses_is_a_fault(other: Principal) -> None:
    store = Buckets()
    await sessions(store).add("talk", turn("t1", "What does Bo earn?"))
    for asked in (
        sessions(store, "t2", other).turns("talk"),
        sessions(store, "t2", other).add("talk", turn("t2")),
    ):
        with pytest.raises(FaultError) as raised:
            await asked
        assert raised.value.fault.type == FaultType.NOT_FOUND
        assert "Bo" not in raised.value.fault.model_dump_json()
    assert len(await sessions(store, "t3").turns("talk")) == 1


async def test_another_tenants_session_is_another() -> None:
    store = Buckets()
    await sessions(store).add("talk", turn("t1"))
    blue = Principal(tenant="blue", access=ANNA.access)
    assert await sessions(store, "t2", blue).turns("talk") == []


async def test_labels_in_another_order_are_the_same_principal() -> None:
    store = Buckets()
    await sessions(store).add("talk", turn("t1"))
    same = Principal(tenant="red", access=("hr", "staff", "hr"))
    assert len(await sessions(store, "t2", same).turns("talk")) == 1


async def test_of_two_who_begin_a_session_one_has_it() -> None:
    store = Buckets()
    bo = Principal(tenant="red", access=("guest",))

    async def first() -> None:
        await sessions(store, "t2", bo).add("talk", turn("t2"))

    store.rivals.append(first)
    with pytest.raises(FaultError, match="There is no session"):
        await sessions(store).turns("talk")
    assert len(await sessions(store, "t3", bo).turns("talk")) == 1


async def test_turns_of_the_same_moment_are_all_kept() -> None:
    store = Buckets()
    for number in range(3):

        async def other(number: int = number) -> None:
            await sessions(store, f"o{number}").add("talk", turn(f"o{number}"))

        store.rivals.append(other)
    await sessions(store).add("talk", turn("t1"))
    kept = {each.task for each in await sessions(store, "t9").turns("talk")}
    assert kept == {"t1", "o0", "o1", "o2"}


async def test_a_session_is_bounded() -> None:
    store = Buckets()
    for number in range(MAX_TURNS + 5):
        await sessions(store, f"t{number}").add("talk", turn(f"t{number}"))
    kept = await sessions(store, "last").turns("talk")
    assert [each.task for each in kept] == [f"t{n}" for n in range(5, MAX_TURNS + 5)]
    for number in range(30):
        long = Turn.of(f"l{number}", "ü" * 20_000, Answer(text="€" * 300_000))
        await sessions(store, long.task).add("talk", long)
    (value,) = (item.value for item in store.values.values())
    assert len(value) < MAX_BYTES + 1000
    kept = await sessions(store, "last").turns("talk")
    assert kept[-1].task == "l29"
    assert kept[-1].answer.endswith("…")


async def test_a_turn_keeps_where_its_answer_comes_from() -> None:
    citation = Citation(number=1, passage_id="p", source="a.md", title="A", quote="38 m " * 500)
    made = Turn.of("t1", "How high?", Answer(text="38 m [1].", citations=(citation,)))
    assert made.citations[0].source == "a.md"
    assert len(made.citations[0].quote) <= 300


async def test_a_value_of_something_else_is_a_fault() -> None:
    store = Buckets()
    await store.put("red.talk", json.dumps({"turns": 7}).encode())
    with pytest.raises(FaultError, match="cannot be read"):
        await sessions(store).turns("talk")


def test_the_newest_turns_are_shown_as_data() -> None:
    turns = [turn(f"t{n}", f"Question {n}?", f"Answer {n}.") for n in range(9)]
    shown = shown_turns(turns, 100)
    assert "Question 8?" in shown
    assert "Question 2?" not in shown
    assert shown.index("Question 7?") < shown.index("Question 8?")
    assert 'label="conversation"' in shown
    assert shown_turns([], 100) == ""
    assert "Ques" in shown_turns(turns, 15)


async def test_what_agents_remember_of_a_session_is_recalled() -> None:
    def recall(request: Any) -> dict[str, Any]:
        assert request == {"query": "How old?", "session": "talk", "limit": 5}
        return {"memories": [{"text": "The tower is meant."}]}

    call = TaskCall({"retriever.recall": recall})
    assert await recalled("talk", "How old?", call) == ["The tower is meant."]
    assert await recalled("talk", "How old?", TaskCall()) == []
