"""The evaluator as an agent: what it opens when it starts, and closes when it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent
from motet.bus import Bus
from motet.models import chat_model
from motet.models import embedder as embedder_of
from motet.settings import Settings, load_settings
from motet_evaluator.evaluate import Evaluator
from motet_evaluator.judge import Judge
from motet_evaluator.settings import EvaluatorSettings
from motet_evaluator.skills import declare

__all__ = ["agent"]


@asynccontextmanager
async def resources(
    context: ContextRepo,
    settings: Annotated[Settings, Context()],
    bus: Annotated[Bus, Context()],
) -> AsyncGenerator[None]:
    """Makes the models; the embedding model is loaded with the first answer that needs it.

    A test may put an `embedder`, a `model` and `evaluator_settings` into the context beforehand.
    """
    own: EvaluatorSettings = context.get("evaluator_settings") or load_settings(EvaluatorSettings)
    async with AsyncExitStack() as stack:
        judge: Judge | None = None
        if own.judges(settings):
            model = context.get("model")
            if model is None:
                model = chat_model(settings)
                stack.push_async_callback(model.close)
            judge = Judge(model, timeout_s=own.judge_timeout_s, claims=own.judge_claims)
        evaluator = Evaluator(
            embedder=context.get("embedder") or embedder_of(settings),
            judge=judge,
            instruments=bus.instruments,
            timeout_s=own.timeout_s,
        )
        context.set_global("evaluator", evaluator)
        context.set_global("evaluator_settings", own)
        yield


agent = Agent(
    "evaluator",
    "Scores answers: whether their evidence supports them, and whether they answer the question.",
    lifespan=resources,
)
declare(agent)
