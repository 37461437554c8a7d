"""Permissions: what each user of the NATS server may publish and hear, derived from the topology.

Each agent has a user of its own, and so has each other role. `motet nats users` writes this down
for the server. What a user may not, the server refuses, whatever the process does that has its key.

Invariants:

- Nothing is allowed with a wildcard that a name could stand for: an agent's queues are named one by
  one.
- An inbox below `Topology.inbox` is heard by its user alone, and only the server publishes there.
- Only the provisioner creates or changes a stream, and nobody deletes one. A backup may bring one
  back that is not there.

What a user may do to a bucket it may do to each key that it may write: a server knows subjects, and
not what a value means. docs/how-to/secure-nats.md says what follows from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from motet.bus.backups import QUEUES, stream_names
from motet.bus.intake import SUBMISSIONS
from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.messages import (
    CallFinished,
    CallRetried,
    CallStarted,
    PersonAsked,
    PersonReplied,
    Progress,
    StateChanged,
    Streamed,
    TaskScored,
)

__all__ = ["AGENTS", "OTHERS", "SYSTEM", "AgentRole", "Permissions", "own_agents", "permissions"]

SYSTEM = "sys"
"""The user of the system account, which sees the server and none of the mesh."""

OTHERS = ("provision", "client", "operator", "gateway", "backup")
"""Users that are no agents."""

ANY = "*.*"
"""Every skill."""

_API = "$JS.API"
_TELLS = (CallStarted, CallRetried, CallFinished, Progress, Streamed, PersonAsked)
"""Events that any agent writes of its own calls."""


@dataclass(frozen=True, slots=True)
class AgentRole:
    """What of an agent decides what its user may do."""

    name: str
    skills: tuple[str, ...] = ()
    """What it answers."""
    calls: tuple[str, ...] = ()
    """What it may delegate to, each as `agent.skill`; `*.*` is every skill."""
    tasks: bool = False
    """Whether it handles tasks."""
    finished: bool = False
    """Whether it handles finished tasks."""


AGENTS = (
    AgentRole("planner", calls=(ANY,), tasks=True),
    AgentRole(
        "retriever",
        (
            *("search", "read", "ingest", "documents", "delete", "erase"),
            *("remember", "recall", "forget", "conversation"),
        ),
        ("speech.transcribe", "graph.ingest", "graph.forget", "graph.search"),
    ),
    AgentRole("graph", ("search", "entity", "paths", "neighbourhood", "query", "ingest", "forget")),
    AgentRole(
        "tool_executor", ("calculate", "convert", "dates", "table_lookup", "table_aggregate")
    ),
    AgentRole("speech", ("transcribe", "speak")),
    AgentRole("evaluator", ("evaluate", "score_task"), finished=True),
)
"""Motet's own agents."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a user may; nothing else."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def own_agents(skills: Iterable[str], calls: Iterable[str] = ()) -> tuple[AgentRole, ...]:
    """Agents that are not Motet's.

    Args:
        skills: What they answer, each as `agent.skill`.
        calls: What they may delegate to, each as `agent=other.skill`.

    Raises:
        SetupError: One is not of that form, or is of an agent that has no skill here.
    """
    answers: dict[str, list[str]] = {}
    delegates: dict[str, list[str]] = {}
    for each in skills:
        agent, _, skill = each.partition(".")
        if not agent or not skill or "." in skill:
            raise SetupError(f"{each!r} is not of the form agent.skill, such as weather.forecast.")
        answers.setdefault(agent, []).append(skill)
    for each in calls:
        agent, _, skill = each.partition("=")
        if agent not in answers or skill.count(".") != 1:
            raise SetupError(
                f"{each!r} is not of the form agent=other.skill, of an agent with a skill here."
            )
        delegates.setdefault(agent, []).append(skill)
    taken = {role.name for role in AGENTS} | {*OTHERS, SYSTEM}
    for agent in answers:
        if agent in taken:
            raise SetupError(f"{agent!r} is one of Motet's own users: give the agent another name.")
    return tuple(
        AgentRole(agent, tuple(names), tuple(delegates.get(agent, ())))
        for agent, names in answers.items()
    )


def permissions(topology: Topology, agents: Iterable[AgentRole] = AGENTS) -> dict[str, Permissions]:
    """What each user of a namespace may, by the role's name."""
    rules = _Rules(topology)
    made = {agent.name: rules.agent(agent) for agent in agents}
    made["provision"] = rules.provision()
    made["client"] = rules.client("client")
    made["operator"] = rules.operator()
    made["gateway"] = rules.client("gateway")
    made["backup"] = rules.backup()
    return made


class _Rules:
    """The permissions of each role."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._streams = [stream.name or "" for stream in topology.streams()]

    def agent(self, role: AgentRole) -> Permissions:
        publish = [*self._everybody(), *self._answering(role), *self._calling(role.calls)]
        subscribe = [
            *self._inboxes(role.name),
            self._topology.event("*", "state"),
            self._key("agents", ">"),
        ]
        if role.tasks:
            publish += self._tasks()
            subscribe += [
                self._topology.task_awake("*", "*"),
                self._key("approvals", ">"),
                self._key("schedules", ">"),
            ]
        if role.finished:
            publish += self._finished(role.name)
        return _sorted(publish, subscribe)

    def client(self, name: str) -> Permissions:
        topology = self._topology
        publish = [
            *self._everybody(),
            topology.task_submit,
            topology.task_submit_by("*"),
            topology.task_cancel,
            topology.task_resume,
            topology.event("*", _kind(PersonReplied)),
            *self._reads("tasks", pages=True),
            *self._reads("approvals", pages=True),
            self._key("approvals", "*.*.reply"),
            f"{_API}.DIRECT.GET.{topology.stream('EVENTS')}",
        ]
        subscribe = [
            *self._inboxes(name),
            topology.event("*", "*"),
            topology.result("*", "*"),
            self._key("agents", ">"),
        ]
        return _sorted(publish, subscribe)

    def operator(self) -> Permissions:
        topology, dead = self._topology, self._topology.stream("DEAD")
        client = self.client("operator")
        publish = [
            *client.publish,
            *self._calling((ANY,)),
            *self._reads("schedules", pages=True),
            self._key("schedules", "*"),
            f"{_API}.STREAM.MSG.GET.{dead}",
            f"{_API}.STREAM.MSG.DELETE.{dead}",
            # What is replayed goes where it came from.
            f"{topology.task_submit}.>",
            topology.event("*", _kind(StateChanged)),
        ]
        return _sorted(publish, client.subscribe)

    def provision(self) -> Permissions:
        topology = self._topology
        publish = [*self._everybody(at_work=False)]
        for stream in self._streams:
            publish += [f"{_API}.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE")]
            # It waits until each has its copies, and so has each consumer.
            publish.append(f"{_API}.CONSUMER.LIST.{stream}")
        for name, subject in (
            ("CALLS", topology.call("*", "*")),
            ("TASKS", f"{topology.namespace}.task.>"),
            ("EVENTS", topology.event("*", _kind(StateChanged))),
        ):
            stream = topology.stream(name)
            publish.append(f"{_API}.CONSUMER.CREATE.{stream}.*.{subject}")
            publish.append(f"{_API}.CONSUMER.INFO.{stream}.*")
        return _sorted(publish, self._inboxes("provision"))

    def backup(self) -> Permissions:
        publish: list[str] = []
        for short, stream in stream_names(self._topology).items():
            verbs = ["INFO", "SNAPSHOT", "RESTORE"]
            if short not in QUEUES:
                # What a stream was given while its snapshot was made.
                verbs.append("MSG.GET")
                publish.append(f"{_API}.DIRECT.GET.{stream}")
            publish += [f"{_API}.STREAM.{verb}.{stream}" for verb in verbs]
            publish += [f"$JS.SNAPSHOT.{way}.{stream}.>" for way in ("ACK", "RESTORE")]
            # It waits until each has its copies, and so has each consumer.
            publish.append(f"{_API}.CONSUMER.LIST.{stream}")
        return _sorted(publish, self._inboxes("backup"))

    # Parts

    def _inboxes(self, role: str) -> Iterator[str]:
        user = self._topology.user(role)
        yield f"{self._topology.inbox(user)}.>"
        yield f"{self._topology.outcomes(user)}.>"

    def _everybody(self, *, at_work: bool = True) -> Iterator[str]:
        """What every process does: it sees what there is, knows who lives, moves large bodies."""
        for stream in self._streams:
            yield f"{_API}.STREAM.INFO.{stream}"
        if at_work:
            yield from self._reads("agents", pages=True)
            yield from self._blobs()

    def _answering(self, role: AgentRole) -> Iterator[str]:
        """What answering calls takes."""
        topology, calls = self._topology, self._topology.stream("CALLS")
        for skill in role.skills:
            consumer = topology.consumer(role.name, skill)
            name = consumer.durable_name or ""
            yield from self._pulls(calls, name)
            yield f"{_API}.CONSUMER.CREATE.{calls}.{name}.{consumer.filter_subject}"
        yield f"{_API}.STREAM.MSG.GET.{calls}"
        yield self._key("agents", f"{role.name}.*")
        yield from (topology.event("*", _kind(event)) for event in _TELLS)
        yield topology.dead(role.name, "*")
        yield "_INBOX.>"
        for bucket in ("results", "budgets", "approvals"):
            yield from self._reads(bucket)
            yield self._key(bucket, "*.*")
        yield from self._reads("tasks")

    def _calling(self, skills: Iterable[str]) -> Iterator[str]:
        """What delegating takes, and knowing whether a skill has a queue."""
        topology, calls = self._topology, self._topology.stream("CALLS")
        for skill in skills:
            agent, _, name = skill.partition(".")
            consumer = "*" if skill == ANY else topology.consumer(agent, name).durable_name
            yield topology.call(agent, name)
            yield f"{_API}.CONSUMER.INFO.{calls}.{consumer}"
            yield from self._reads("results")

    def _tasks(self) -> Iterator[str]:
        """What doing tasks takes, and sweeping up what others have left."""
        topology = self._topology
        tasks, calls = topology.stream("TASKS"), topology.stream("CALLS")
        for kind in (*SUBMISSIONS, "cancel", "resume"):
            consumer = topology.task_consumer(kind)
            yield (
                f"{_API}.CONSUMER.CREATE.{tasks}.{consumer.durable_name}.{consumer.filter_subject}"
            )
        # A queue a tenant, made when its first task comes.
        yield f"{_API}.CONSUMER.CREATE.{tasks}.*.{topology.task_ready('*', '*')}"
        yield from self._pulls(tasks, "*")
        for stream in (tasks, calls):
            yield f"{_API}.STREAM.MSG.GET.{stream}"
            yield f"{_API}.STREAM.MSG.DELETE.{stream}"
        yield topology.task_ready("*", "*")
        yield topology.task_awake("*", "*")
        yield topology.task_submit
        yield topology.task_submit_by("*")
        yield topology.task_resume
        yield topology.event("*", "*")
        yield f"{_API}.DIRECT.GET.{topology.stream('EVENTS')}"
        yield f"{topology.namespace}.dead.>"
        for bucket, key in (
            ("tasks", "*"),
            ("approvals", "*.*.reply"),
            ("checkpoints", ">"),
            ("schedules", "*"),
            ("files", ">"),
            ("sessions", "*.*"),
        ):
            yield from self._reads(bucket, pages=True)
            yield self._key(bucket, key)
        yield f"{_API}.STREAM.PURGE.KV_{topology.bucket('checkpoints')}"

    def _finished(self, agent: str) -> Iterator[str]:
        """What handling finished tasks takes, and adding what was found to their records."""
        topology, events = self._topology, self._topology.stream("EVENTS")
        consumer = topology.finished_consumer(agent)
        name = consumer.durable_name or ""
        yield from self._pulls(events, name)
        yield f"{_API}.CONSUMER.CREATE.{events}.{name}.{consumer.filter_subject}"
        yield topology.event("*", _kind(TaskScored))
        yield from self._reads("results", pages=True)
        yield self._key("tasks", "*")

    def _pulls(self, stream: str, consumer: str) -> Iterator[str]:
        yield f"{_API}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        yield f"{_API}.CONSUMER.INFO.{stream}.{consumer}"
        yield f"$JS.ACK.{stream}.{consumer}.>"

    def _reads(self, bucket: str, *, pages: bool = False) -> Iterator[str]:
        """What reading a bucket takes: any key of it, and with pages all of them at once."""
        name = self._topology.bucket(bucket)
        yield f"{_API}.DIRECT.GET.KV_{name}.$KV.{name}.>"
        # In a cluster, of the leader.
        yield f"{_API}.STREAM.MSG.GET.KV_{name}"
        if pages:
            yield f"{_API}.DIRECT.GET.KV_{name}"

    def _key(self, bucket: str, key: str) -> str:
        return f"$KV.{self._topology.bucket(bucket)}.{key}"

    def _blobs(self) -> Iterator[str]:
        stream = f"OBJ_{self._topology.blobs}"
        yield f"$O.{self._topology.blobs}.C.*"
        yield f"$O.{self._topology.blobs}.M.*"
        yield f"{_API}.DIRECT.GET.{stream}"
        yield f"{_API}.STREAM.MSG.GET.{stream}"
        yield f"{_API}.STREAM.PURGE.{stream}"


def _kind(event: type[BaseModel]) -> str:
    """The kind of an event, which is the last token of its subject."""
    return str(event.model_fields["kind"].default)


def _sorted(publish: Iterable[str], subscribe: Iterable[str]) -> Permissions:
    return Permissions(tuple(sorted(set(publish))), tuple(sorted(set(subscribe))))
