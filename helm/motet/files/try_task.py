# ruff: noqa: INP001 - a script, run by `helm test` in the image of the command
"""Submits a task and checks that it ends as it should.

EXPECTED_AGENTS   names of agents that must be there, separated by commas
EXPECTED_END      `succeeded`, or `failed` where there is no model: the planner then says so, which
                  also shows that the task came to it and its end came back
"""

import asyncio
import os
import sys

from motet.client import Motet
from motet.messages import TaskState

GOAL = "What is 17.5% of 2,340?"
ANSWER = "409.5"
AGENTS_WITHIN_S = 60.0
DONE_WITHIN_S = 300.0


async def problem(agents: set[str], end: str) -> str | None:
    """What is wrong with the mesh at MOTET_NATS_URL; None when nothing is."""
    async with Motet.open() as motet:
        if missing := await motet.wait_for_agents(agents, AGENTS_WITHIN_S):
            return f"these agents are not there: {', '.join(sorted(missing))}"
        task = await motet.submit(GOAL)
        print(f"task {task.id}: {GOAL}", flush=True)  # noqa: T201
        record = await task.result(DONE_WITHIN_S)
    fault = None if record.fault is None else f"{record.fault.type}: {record.fault.message}"
    print(f"{record.state}: {fault or (record.answer and record.answer.text)}")  # noqa: T201
    if end == TaskState.FAILED:
        if record.fault is None or record.fault.type != "model_failed":
            return "without a model it should have failed, and named the model"
        return None
    if record.state != end:
        return f"it should have {end}"
    if record.answer is None or ANSWER not in record.answer.text.replace(",", ""):
        return f"its answer should have been {ANSWER}"
    return None


if __name__ == "__main__":
    wanted = {name for name in os.environ.get("EXPECTED_AGENTS", "").split(",") if name}
    said = asyncio.run(problem(wanted, os.environ.get("EXPECTED_END", "succeeded")))
    if said is not None:
        sys.exit(said)
    print("The mesh works.")  # noqa: T201
