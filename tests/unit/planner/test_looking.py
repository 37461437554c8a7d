"""How a search looks: by the task's wish, the model's word, or the question's own words."""

from __future__ import annotations

from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import STRATEGIES, AgentCard, Budget, SearchRequest, SearchResult, SkillCard
from motet.testing import ScriptedModel
from motet_planner.catalogue import catalogue_of
from motet_planner.looking import ABOUT, choose
from motet_planner.state import StepData
from tests.unit.planner.scripted import SEARCH, Bench, FakeCall, passage, skill_card, step

FULL = AgentCard(
    name="retriever",
    description="Finds passages.",
    version="1",
    instance="1",
    skills=(
        SkillCard(
            name="search",
            description="Finds passages.",
            input_schema=SearchRequest.model_json_schema(),
            output_schema=SearchResult.model_json_schema(),
        ),
    ),
)
GRAPH = skill_card("graph.search", "Finds by connections.", {"query": "string"}, "found")
TOWER = passage("The tower is 38 metres high.", title="The tower")
GOAL = "How high is the tower?"


def chosen(*whats: str, goal: str = "", graph: bool = True, wanted: str | None = None) -> list[Any]:
    cards = [FULL, GRAPH] if graph else [FULL]
    steps = [
        StepData(id=f"s{n}", skill="retriever.search", what=what, needs=[], revision=1)
        for n, what in enumerate(whats, 1)
    ]
    choose(steps, goal, catalogue_of(cards, own="planner"), cards, wanted)
    return [each.get("strategy") for each in steps]


@pytest.mark.parametrize(
    "what, strategy",
    [
        ("Who heads the institute that owns the ship Alba?", "multi_hop"),
        ("head of the institute that owns the ship Alba", "multi_hop"),
        ("When was the founder of the owner of the Alba born?", "multi_hop"),
        ("What is Alba's owner's address?", "multi_hop"),
        ("How is Ana Roth connected with the Norr Institute?", "hybrid_graph"),
        ("What do Ana Roth and Jon Ferris have in common?", "hybrid_graph"),
        ("Give me an overview of the annual reports", "hierarchical"),
        ("Summarise the report of 2023", "hierarchical"),
        ("What is the handbook about?", "hierarchical"),
        ("Which institute owns the ship Alba?", None),
        ("What is the institute that owns the ship Alba?", None),
        ("institute that owns the ship Alba", None),
        ("How high is the tower?", None),
        ("how is the pump connected to the tank", None),
        ("number of visitors in 2023", None),
        ("rent of the dairy in Dorf", None),
        ("the lamp of the kettle that hums", None),
    ],
)
def test_what_a_question_calls_for(what: str, strategy: str | None) -> None:
    assert chosen(what) == [strategy]


def test_without_a_graph_nothing_is_looked_up_there() -> None:
    assert chosen("How is Ana Roth connected with the Norr Institute?", graph=False) == [None]


def test_the_only_step_asks_the_goal_and_one_of_several_only_its_part() -> None:
    goal = "Who heads the institute that owns the ship Alba?"

    assert chosen("head of it", goal=goal) == ["multi_hop"]
    assert chosen("institute that owns the Alba", "head of it", goal=goal) == [None, None]


def test_all_that_there_is_has_a_line_for_the_model() -> None:
    assert tuple(ABOUT) == STRATEGIES


def answers(**planned: Any) -> ScriptedModel:
    return ScriptedModel(
        {
            "plan": {"steps": [{**step("retriever.search", "height of the tower"), **planned}]},
            "read": {"lines": [1], "answer": "38 metres"},
            "judge": {"asked": "a", "told": "a", "same": "yes"},
            "text": "The tower is 38 metres high [1].",
        }
    )


def mesh(card: AgentCard = FULL, **options: Any) -> FakeCall:
    skills = {"retriever.search": lambda _: {"passages": [TOWER]}}
    return FakeCall(skills, agents=[card], **options)


@pytest.mark.parametrize(
    "said, wish, strategy",
    [
        ("hyde", None, "hyde"),
        ("default", None, None),
        ("hyde", "multi_query", "multi_query"),
        (None, "basic", "basic"),
        (None, None, None),
    ],
)
async def test_the_task_comes_before_the_model(
    said: str | None, wish: str | None, strategy: str | None
) -> None:
    call = mesh()
    model = answers(**({} if said is None else {"strategy": said}))

    answer = await Bench(retrieval=wish).answer(GOAL, call, model)

    assert answer.answered
    assert call.made[0][2].get("strategy") == strategy
    assert call.plans[0].steps[0].strategy == strategy


async def test_a_remote_model_is_told_of_the_strategies_and_the_local_one_is_not() -> None:
    remote, local = answers(), answers()
    local.provider = "local"
    for model in (remote, local):
        await Bench().answer(GOAL, mesh(), model)

    assert "multi_hop: goes on from" in remote.asked[0].messages[0][1]
    assert "multi_hop" not in str(local.asked[0].messages)
    assert "multi_hop" not in str(local.asked[0].schema)


async def test_an_agent_without_strategies_is_told_of_none_and_a_wish_it_lacks_is_a_fault() -> None:
    call, model = mesh(SEARCH), answers()
    await Bench().answer(GOAL, call, model)

    assert call.made[0][2] == {"query": "height of the tower"}
    assert "strategy" not in str(model.asked[0].schema)
    with pytest.raises(FaultError, match="retrieval strategy 'hyde'") as raised:
        await Bench(retrieval="hyde").answer(GOAL, mesh(SEARCH), answers())
    assert raised.value.fault.type == "unknown_skill"


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_search_that_asks_a_model_gets_a_share_of_what_is_left(strategy: str) -> None:
    limited, free = mesh(budget=Budget(tokens=1000, cost_usd=0.4)), mesh()
    for call in (limited, free):
        await Bench(retrieval=strategy).answer(GOAL, call, answers())

    asks = strategy in {"multi_query", "hyde", "multi_hop"}
    assert limited.shares == [Budget(tokens=250, cost_usd=0.1) if asks else None]
    assert free.shares == [None]
