"""Recordings of a task become a part of its goal."""

from __future__ import annotations

from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import BlobRef, FaultType
from motet.testing import ScriptedModel
from tests.unit.planner.scripted import SEARCH, TRANSCRIBE, Bench, FakeCall, passage, step

CALL = BlobRef(name="call", size=1, sha256="0" * 64, media_type="audio/wav", filename="call.wav")
PICTURE = BlobRef(name="picture", size=1, sha256="1" * 64, media_type="image/png")
TOWER = passage("The tower is 38 metres high.", title="The tower")


def spoken(text: str) -> FakeCall:
    skills: dict[str, Any] = {
        "speech.transcribe": lambda _: {"text": text},
        "retriever.search": lambda _: {"passages": [TOWER]},
    }
    return FakeCall(skills, agents=[SEARCH, TRANSCRIBE])


def script(**replies: Any) -> ScriptedModel:
    return ScriptedModel(
        {
            "plan": {"steps": [step("retriever.search", "height of the tower")]},
            "read": {"lines": [1], "answer": "38 metres"},
            "text": "It is 38 metres high [1].",
            **replies,
        }
    )


async def test_a_question_that_was_asked_aloud_is_answered() -> None:
    call = spoken("Hello, how high is the tower?")
    model = script(goal={"goal": "How high is the tower?"})

    answer = await Bench(inputs=(CALL,)).answer("Do what the caller asks for.", call, model)

    assert answer.answered
    assert answer.data["goal"] == "How high is the tower?"
    assert [(made[0], made[1]) for made in call.made] == [
        ("hear1", "speech.transcribe"),
        ("s1", "retriever.search"),
    ]
    assert call.made[0][2]["audio"]["name"] == "call"
    (asked,) = [each for each in model.asked if each.name == "goal"]
    assert "Hello, how high is the tower?" in asked.last
    (planned,) = [each for each in model.asked if each.name == "plan"]
    assert "How high is the tower?" in planned.last


async def test_a_plain_question_is_taken_as_it_was_asked() -> None:
    call = spoken("Hello there. How high is the tower?")
    model = script(goal=AssertionError("the model is not needed"))

    answer = await Bench(inputs=(CALL,)).answer("Answer the question.", call, model)

    assert answer.data["goal"] == "How high is the tower?"


async def test_other_files_are_left_alone() -> None:
    call = spoken("never heard")
    await Bench(inputs=(PICTURE,)).answer("How high is the tower?", call, script())
    assert [made[0] for made in call.made] == ["s1"]


async def test_silence_is_a_fault() -> None:
    with pytest.raises(FaultError) as raised:
        await Bench(inputs=(CALL,)).answer("Answer the question.", spoken(" "), script())
    assert raised.value.fault.type == FaultType.INVALID_INPUT


async def test_without_ears_the_task_waits_for_another_attempt() -> None:
    call = spoken("never heard")
    call.agents = [SEARCH]
    with pytest.raises(FaultError) as raised:
        await Bench(inputs=(CALL,)).answer("Answer the question.", call, script())
    assert raised.value.fault.type == FaultType.UNAVAILABLE
    assert raised.value.fault.retryable
