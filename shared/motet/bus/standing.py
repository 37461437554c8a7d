"""Standing consumers: those that are there before the service that pulls from them.

An autoscaler that asks how much waits in a consumer must find it, also before the first process of
the service has started: KEDA takes a missing one for an error. Services make the same ones, so
that nothing here is needed to run.
"""

from __future__ import annotations

from collections.abc import Iterable

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from pydantic_settings import SettingsConfigDict

from motet.bus.intake import SUBMISSIONS
from motet.bus.provisioning import ensure_consumer
from motet.bus.ready import PRIORITIES
from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.settings import ServiceSettings

__all__ = ["StandingSettings", "ensure_standing_consumers", "standing_consumers"]


class StandingSettings(ServiceSettings):
    """What `python -m motet.bus.provision` makes beside streams."""

    model_config = SettingsConfigDict(env_prefix="MOTET_PROVISION_")

    skills: str = ""
    """Skills whose consumers are made, `agent.skill` separated by commas."""
    finished: str = ""
    """Agents that hear of tasks that have ended, whose consumers are made, separated by commas."""


def standing_consumers(
    topology: Topology, settings: StandingSettings
) -> list[tuple[str, ConsumerConfig]]:
    """Streams, and what is to stand on them: intake, the queues of known tenants, skills.

    Raises:
        SetupError: A skill is not of the form `agent.skill`.
    """
    tasks, calls, events = (topology.stream(name) for name in ("TASKS", "CALLS", "EVENTS"))
    wanted = [(tasks, topology.task_consumer(kind)) for kind in (*SUBMISSIONS, "cancel", "resume")]
    wanted += [
        (tasks, topology.ready_consumer(priority, tenant))
        for tenant in topology.standing_tenants
        for priority in PRIORITIES
    ]
    for skill in _parts(settings.skills):
        agent, dot, name = skill.partition(".")
        if not (agent and dot and name) or "." in name:
            raise SetupError(
                f"MOTET_PROVISION_SKILLS has {skill!r}, which is not of the form agent.skill, "
                "such as retriever.search."
            )
        wanted.append((calls, topology.consumer(agent, name)))
    wanted += [(events, topology.finished_consumer(agent)) for agent in _parts(settings.finished)]
    return wanted


async def ensure_standing_consumers(
    js: JetStreamContext, topology: Topology, settings: StandingSettings
) -> list[str]:
    """Makes them; returns their names.

    Raises:
        SetupError: As `standing_consumers`, and one cannot be made.
    """
    wanted = standing_consumers(topology, settings)
    for stream, consumer in wanted:
        await ensure_consumer(js, stream, consumer)
    return [consumer.durable_name or "" for _, consumer in wanted]


def _parts(text: str) -> Iterable[str]:
    return filter(None, (part.strip() for part in text.split(",")))
