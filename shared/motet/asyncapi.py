"""The mesh as AsyncAPI 3.0, from the agents' own declarations.

`python -m motet.asyncapi FILE` writes the document for every installed agent (entry point group
`motet.agents`). It is made by FastStream from the same types that the agents run with; nothing is
connected.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from faststream import AsyncAPI
from faststream.nats import JStream, NatsBroker, PullSub
from pydantic import BaseModel

from motet.agent import Agent, Skill
from motet.bus import Topology
from motet.messages import (
    CallFinished,
    CallResult,
    CallRetried,
    CallStarted,
    CancelRequest,
    DeadLetter,
    PersonAsked,
    PersonReplied,
    PlanMade,
    Progress,
    Reply,
    StateChanged,
    Streamed,
    Task,
    TaskReady,
    TaskScored,
)
from motet.settings import Settings

__all__ = ["document", "installed_agents"]

_EVENTS = (
    StateChanged,
    Streamed,
    PlanMade,
    CallStarted,
    CallRetried,
    CallFinished,
    Progress,
    PersonAsked,
    PersonReplied,
    TaskScored,
)


def installed_agents() -> list[Agent]:
    """The agents that are installed in this environment, by name."""
    found: list[Agent] = [entry.load() for entry in entry_points(group="motet.agents")]
    return sorted(found, key=lambda agent: agent.name)


def document(agents: Iterable[Agent]) -> dict[str, Any]:
    """The AsyncAPI document of a mesh in which these agents live."""
    topology = Topology(Settings(namespace="motet", nats_url="nats://localhost:4222"))
    broker = NatsBroker("nats://localhost:4222", description="NATS with JetStream")
    tasks = JStream(topology.stream("TASKS"), declare=False)
    calls = JStream(topology.stream("CALLS"), declare=False)
    _receives(broker, topology.task_submit, tasks, Task, "A task is submitted.")
    _receives(
        broker, topology.task_ready("{priority}", "{tenant}"), tasks, TaskReady, "A task is queued."
    )
    _receives(broker, topology.task_cancel, tasks, CancelRequest, "A task is cancelled.")
    _receives(broker, topology.task_resume, tasks, Reply, "A person has replied to a question.")
    for agent in agents:
        for name, skill in sorted(agent.skills.items()):
            _serves(broker, topology.call(agent.name, name), calls, skill)
    for event in _EVENTS:
        kind = event.model_fields["kind"].default
        subject = topology.event("{task}", kind)
        broker.publisher(subject, schema=event, title=subject, description=event.__doc__)
    for subject, kind, text in (
        (topology.result("{task}", "{call}"), CallResult, "A call has its outcome."),
        (topology.dead("{agent}", "{skill}"), DeadLetter, "A message could not be handled."),
    ):
        broker.publisher(subject, schema=kind, title=subject, description=text)
    made = AsyncAPI(broker, title="Motet", version="1", description="The mesh, seen from the bus.")
    exported: dict[str, Any] = json.loads(made.to_specification().to_json())
    return exported


def _receives(
    broker: NatsBroker, subject: str, stream: JStream, body: type[BaseModel], text: str
) -> None:
    async def receive(message: Any) -> None: ...

    receive.__annotations__["message"] = body
    broker.subscriber(
        subject, stream=stream, pull_sub=PullSub(), durable="-", title=subject, description=text
    )(receive)


def _serves(broker: NatsBroker, subject: str, stream: JStream, skill: Skill) -> None:
    async def serve(request: Any) -> Any: ...

    serve.__annotations__.update({"request": skill.request, "return": skill.response})
    broker.subscriber(
        subject,
        stream=stream,
        pull_sub=PullSub(),
        durable="-",
        title=subject,
        description=skill.card.description,
    )(serve)


def main(arguments: list[str]) -> None:
    """Writes the document of the installed agents."""
    text = (
        json.dumps(document(installed_agents()), indent=2, ensure_ascii=False, sort_keys=True)
        + "\n"
    )
    Path(arguments[0]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
