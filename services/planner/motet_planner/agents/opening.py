"""Opening: the conversation that an agent begins with."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage

from motet_planner.brief import Brief
from motet_planner.evidence import mark_of, shown_passages
from motet_planner.inputs import Blobs, pictures

__all__ = ["opening"]


async def opening(strategy: str, brief: Brief, blobs: Blobs) -> dict[str, Any]:
    """The first messages of a task, and the passages that the task itself brings.

    Args:
        strategy: Whose prompt it is.
        brief: The task.
        blobs: Where its pictures are.
    """
    given = brief.passages
    shown = shown_passages((mark_of(each["id"]), each) for each in given) if given else ""
    goal = "\n\n".join(part for part in (brief.context, shown, brief.goal) if part)
    (_, instructions), (_, asked) = brief.run.prompt(strategy, goal=goal, form=brief.run.form)
    content: Any = asked
    if brief.inputs.pictures:
        content = [{"type": "text", "text": asked}, *await pictures(brief.inputs, blobs)]
    return {
        "messages": [SystemMessage(instructions), HumanMessage(content)],
        "passages": {each["id"]: each for each in given},
    }
