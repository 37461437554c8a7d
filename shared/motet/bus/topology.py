"""Topology: every subject, stream, consumer, bucket and header of the mesh is spelled here.

Invariants:

- A subject is `<namespace>.<area>.…`; the default namespace is `motet`.
- TASKS and CALLS are work queues: a message leaves when it is acknowledged, and it is acknowledged
  only after its outcome is stored.
- A bucket is a stream of its own, so the same code provisions both.
- `Topology.VERSION` grows with every change here; a provisioner never takes a stream back to an
  older version.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from motet.messages import Token
from motet.settings import Settings

__all__ = ["TASK_CALL", "Header", "Topology", "call_id"]

TASK_CALL: Token = "task"
"""The call id under which the outcome of a task itself is kept in the ledger."""

DEDUPE_WINDOW_S = 120.0
"""Seconds within which a stream drops a message whose `Nats-Msg-Id` it has seen."""

READY_LINGERS_S = 3600.0
"""Seconds after which the consumer of a queue is gone that nobody puts tasks into."""

TASK_LIFE_S = 31 * 24 * 3600.0
"""Seconds that no task outlives: the longest deadline is 30 days."""


class Header:
    """Names of message headers."""

    TRACEPARENT = "traceparent"
    TRACESTATE = "tracestate"
    BAGGAGE = "baggage"
    MESSAGE_ID = "Nats-Msg-Id"
    EXPECTED_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
    STREAM = "Nats-Stream"
    """On what the server reads out of a stream; nothing that a client publishes has it."""
    SUBJECT = "Nats-Subject"
    SEQUENCE = "Nats-Sequence"
    LAST_SEQUENCE = "Nats-Last-Sequence"
    PENDING = "Nats-Num-Pending"
    ROLLUP = "Nats-Rollup"
    STATUS = "Status"
    UNFILLED = "Nats-Pending-Messages"
    KV_OPERATION = "KV-Operation"
    CE_ID = "ce-id"
    CE_TYPE = "ce-type"
    CE_SOURCE = "ce-source"
    CE_TIME = "ce-time"
    CE_SPECVERSION = "ce-specversion"
    TASK = "motet-task"
    CALL = "motet-call"
    PARENT = "motet-parent"
    DEPTH = "motet-depth"
    DEADLINE = "motet-deadline"
    """Unix time in seconds, with a fraction."""
    BUDGET = "motet-budget"
    """A `Budget` as JSON, without what is unlimited: the limits, whatever of them is spent."""
    ACCOUNT = "motet-account"
    """Where they are kept: the id of the call that each limit was set in, `limit=call` separated
    by commas. A limit that is not named is the call's own."""
    PATH = "motet-path"
    """The skills above the call, the topmost first, `agent.skill` separated by commas."""
    TTL = "Nats-TTL"
    """Seconds after which the stream drops a message, as `60s`."""
    TENANT = "motet-tenant"
    """On whose behalf; `default` is left out."""
    ACCESS = "motet-access"
    """Access labels that the principal has, separated by commas."""
    REPLY = "motet-reply"
    """A core subject on which the caller waits for the `CallResult`."""
    WATCHED = "motet-watched"
    """`0` when nobody follows the task, so that no events are written for it."""
    REISSUED = "motet-reissued"
    """`1` on a call that its caller may have issued before."""
    RESUMED = "motet-resumed"
    """Where its task goes on after a person has replied: the place in the stream TASKS of the
    message that it was resumed with."""
    EARLIER = "motet-earlier"
    """On what is replayed: the `traceparent` of the last attempt."""
    BLOB = "motet-blob"
    """A `BlobRef` as JSON: the body is in the object store, and the message's own is empty."""


def call_id(task: str, parent: str | None, step: str) -> str:
    """The id of the call that `parent` makes as `step`: equal parts give the equal id.

    SHA-256 of the parts, cut to 128 bits, in hexadecimal.
    """
    text = "\x1f".join((task, parent or "", step))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Topology:
    """Names and configurations for one namespace."""

    settings: Settings

    VERSION = 6

    @property
    def namespace(self) -> str:
        """First token of every subject."""
        return self.settings.namespace

    @property
    def standing_tenants(self) -> tuple[str, ...]:
        """Tenants whose queues are not given up when they are empty."""
        parts = (part.strip() for part in self.settings.tenants.split(","))
        return tuple(filter(None, parts))

    # Subjects

    @property
    def task_submit(self) -> str:
        """Where tasks are submitted, of any priority."""
        return f"{self.namespace}.task.submit"

    def task_submit_by(self, priority: str) -> str:
        """Where tasks of a priority are submitted, past all others that wait to be taken in."""
        return self.task_submit if priority == "normal" else f"{self.task_submit}.{priority}"

    def is_submission(self, subject: str) -> bool:
        """Whether tasks are submitted on a subject."""
        return subject == self.task_submit or subject.startswith(f"{self.task_submit}.")

    @property
    def task_cancel(self) -> str:
        """Where tasks are cancelled."""
        return f"{self.namespace}.task.cancel"

    @property
    def task_resume(self) -> str:
        """Where a waiting task gets its human's answer."""
        return f"{self.namespace}.task.resume"

    def task_ready(self, priority: str, tenant: str) -> str:
        """Where accepted tasks wait to be taken up; `*` and `>` select."""
        return f"{self.namespace}.task.ready.{priority}.{tenant}"

    def task_awake(self, priority: str, tenant: str) -> str:
        """The core subject that says that such a task has come; `*` selects."""
        return f"{self.namespace}.awake.{priority}.{tenant}"

    def call(self, agent: str, skill: str) -> str:
        """Where calls of a skill are delegated."""
        return f"{self.namespace}.call.{agent}.{skill}"

    def result(self, task: str, call: str) -> str:
        """Where the outcome of a call is announced, once it is stored."""
        return f"{self.namespace}.result.{task}.{call}"

    def event(self, task: str, kind: str) -> str:
        """Where something that happened in a task is written; `*` and `>` select."""
        return f"{self.namespace}.event.{task}.{kind}"

    def dead(self, agent: str, skill: str) -> str:
        """Where dead letters of a skill go."""
        return f"{self.namespace}.dead.{agent}.{skill}"

    # Streams and buckets

    def stream(self, name: str) -> str:
        """The name of a stream: bare in the default namespace, else prefixed."""
        return name if self.namespace == "motet" else f"{self.namespace.upper()}_{name}"

    def bucket(self, name: str) -> str:
        """The name of a bucket: bare in the default namespace, else prefixed."""
        return name if self.namespace == "motet" else f"{self.namespace}-{name}"

    def ledger_subject(self, task: str, call: str) -> str:
        """The ledger bucket's own subject for a call."""
        return f"$KV.{self.bucket('results')}.{task}.{call}"

    def user(self, role: str) -> str:
        """The NATS user of an agent, or of another role: bare in the default namespace."""
        return self.bucket(role)

    def inbox(self, user: str) -> str:
        """Where the server answers a user: below it nobody else may publish or hear."""
        return f"_INBOX_{user}"

    def outcomes(self, user: str) -> str:
        """Where agents tell a user of the outcomes of its calls: nobody else may hear there."""
        return f"_INBOX.{user}"

    @property
    def blobs(self) -> str:
        """The name of the object store."""
        return self.bucket("blobs")

    def blob_chunks(self, nuid: str) -> str:
        """The object store's own subject for the pieces of a blob."""
        return f"$O.{self.blobs}.C.{nuid}"

    def blob_meta(self, name: str) -> str:
        """The object store's own subject for what it says of a blob."""
        return f"$O.{self.blobs}.M.{urlsafe_b64encode(name.encode()).decode()}"

    def streams(self) -> tuple[StreamConfig, ...]:
        """Every stream, buckets and the object store included."""
        s = self.settings
        results = self.bucket("results")
        return (
            self._stream("TASKS", [f"{self.namespace}.task.>"], RetentionPolicy.WORK_QUEUE),
            self._stream("CALLS", [f"{self.namespace}.call.>"], RetentionPolicy.WORK_QUEUE),
            self._stream(
                "EVENTS",
                [f"{self.namespace}.event.>"],
                RetentionPolicy.LIMITS,
                discard=DiscardPolicy.OLD,
                max_age=s.events_max_age_s,
            ),
            self._stream("DEAD", [f"{self.namespace}.dead.>"], RetentionPolicy.LIMITS),
            self._bucket("tasks", expiring=True),
            self._bucket(
                "results",
                max_age=s.results_max_age_s,
                republish=RePublish(
                    src=f"$KV.{results}.*.*",
                    dest=f"{self.namespace}.result.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
                ),
            ),
            self._bucket("agents", max_age=s.card_ttl_s),
            # What a task left behind that was cancelled, or expired while it waited, goes with age.
            self._bucket("checkpoints", max_age=TASK_LIFE_S, expiring=True),
            self._bucket("budgets", max_age=TASK_LIFE_S),
            self._bucket("approvals", max_age=TASK_LIFE_S + s.tasks_max_age_s),
            self._bucket("schedules"),
            # An index of files, whose contents are in the object store for as long.
            self._bucket("files", expiring=True),
            # Conversations, each with an age of its own.
            self._bucket("sessions", expiring=True),
            self._object_store("blobs"),
        )

    def consumer(self, agent: str, skill: str) -> ConsumerConfig:
        """The durable pull consumer of a skill."""
        return self._consumer(f"{agent}-{skill}", self.call(agent, skill))

    def task_consumer(self, kind: str) -> ConsumerConfig:
        """The durable pull consumer of one kind of task message, such as `submit`."""
        return self._consumer(
            f"task-{kind}", f"{self.namespace}.task.{kind.replace('submit-', 'submit.')}"
        )

    def ready_consumer(self, priority: str, tenant: str) -> ConsumerConfig:
        """The durable pull consumer of a tenant's accepted tasks of one priority."""
        made = self._consumer(f"task-ready-{priority}-{tenant}", self.task_ready(priority, tenant))
        # There may be many tenants, and a stream takes a thousand consumers.
        lingers_s = max(READY_LINGERS_S, 2 * self.settings.ack_wait_s)
        made.inactive_threshold = 0.0 if tenant in self.standing_tenants else lingers_s
        return made

    def consumer_of(self, subject: str) -> ConsumerConfig | None:
        """The durable pull consumer that takes a subject of TASKS or CALLS, if any may."""
        match subject.split(".")[1:]:
            case ["call", agent, skill]:
                return self.consumer(agent, skill)
            case ["task", "ready", priority, tenant]:
                return self.ready_consumer(priority, tenant)
            case ["task", "submit", priority]:
                return self.task_consumer(f"submit-{priority}")
            case ["task", kind]:
                return self.task_consumer(kind)
            case _:
                return None

    def finished_consumer(self, agent: str) -> ConsumerConfig:
        """The durable pull consumer of an agent that hears of tasks that have ended.

        It is given every state of every task: a subject does not say which one is terminal.
        """
        return self._consumer(f"{agent}-finished", self.event("*", "state"))

    def _consumer(self, name: str, subject: str) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=name,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.settings.ack_wait_s,
            # Attempts are counted by the worker, which must still see the message to bury it.
            max_deliver=-1,
            max_ack_pending=10_000,
            max_waiting=2048,
            num_replicas=0,  # as many as its stream has, also when that changes
        )

    def _stream(
        self,
        name: str,
        subjects: list[str],
        retention: RetentionPolicy,
        *,
        discard: DiscardPolicy = DiscardPolicy.NEW,
        max_age: float = 0,
    ) -> StreamConfig:
        return StreamConfig(
            name=self.stream(name),
            subjects=subjects,
            retention=retention,
            storage=StorageType.FILE,
            discard=discard,
            max_bytes=self.settings.stream_max_bytes,
            max_age=max_age,
            duplicate_window=DEDUPE_WINDOW_S,
            num_replicas=self.settings.replicas,
            allow_direct=True,
            metadata={"motet.topology": str(self.VERSION)},
        )

    def _bucket(
        self,
        name: str,
        *,
        max_age: float = 0,
        expiring: bool = False,
        republish: RePublish | None = None,
    ) -> StreamConfig:
        bucket = self.bucket(name)
        return StreamConfig(
            name=f"KV_{bucket}",
            subjects=[f"$KV.{bucket}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_msgs_per_subject=1,
            max_bytes=self.settings.stream_max_bytes,
            max_age=max_age,
            duplicate_window=min(DEDUPE_WINDOW_S, max_age) if max_age else DEDUPE_WINDOW_S,
            num_replicas=self.settings.replicas,
            allow_direct=True,
            # Whoever may write one key could else remove all others by a header.
            allow_rollup_hdrs=False,
            # Values may be given an age of their own.
            allow_msg_ttl=expiring or None,
            deny_delete=True,
            republish=republish,
            metadata={"motet.topology": str(self.VERSION)},
        )

    def _object_store(self, name: str) -> StreamConfig:
        bucket = self.bucket(name)
        return StreamConfig(
            name=f"OBJ_{bucket}",
            subjects=[f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=self.settings.stream_max_bytes,
            duplicate_window=DEDUPE_WINDOW_S,
            num_replicas=self.settings.replicas,
            allow_direct=True,
            allow_rollup_hdrs=True,
            # Pieces may be given an age of their own.
            allow_msg_ttl=True,
            metadata={"motet.topology": str(self.VERSION)},
        )
