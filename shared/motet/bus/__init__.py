"""The bus: NATS, and every rule of delivery.

Nothing else in Motet imports the NATS client.
"""

from motet.bus.admission import check_inputs_size, check_task
from motet.bus.approvals import Approvals
from motet.bus.blobs import Blobs
from motet.bus.book import TaskBook
from motet.bus.budgets import Budgets, Purse
from motet.bus.calls import Caller
from motet.bus.cancellation import Cancellations
from motet.bus.connection import Bus
from motet.bus.context import CallContext
from motet.bus.dead import DeadLetters, StoredDeadLetter
from motet.bus.events import Events
from motet.bus.finished import FinishedQueue, FinishedServer
from motet.bus.kv import Bucket, Item
from motet.bus.ledger import Ledger
from motet.bus.orphans import Orphans
from motet.bus.provisioning import ensure_consumer, provision, wait_until_provisioned
from motet.bus.registry import Announcement, Registry
from motet.bus.scheduler import Scheduler
from motet.bus.schedules import Schedules
from motet.bus.serve import SkillQueue, SkillServer
from motet.bus.streaming import Streaming
from motet.bus.tasks import TaskServer, TaskWork
from motet.bus.timetable import next_time
from motet.bus.topology import TASK_CALL, Header, Topology, call_id
from motet.bus.work import Work

__all__ = [
    "TASK_CALL",
    "Announcement",
    "Approvals",
    "Blobs",
    "Bucket",
    "Budgets",
    "Bus",
    "CallContext",
    "Caller",
    "Cancellations",
    "DeadLetters",
    "Events",
    "FinishedQueue",
    "FinishedServer",
    "Header",
    "Item",
    "Ledger",
    "Orphans",
    "Purse",
    "Registry",
    "Scheduler",
    "Schedules",
    "SkillQueue",
    "SkillServer",
    "StoredDeadLetter",
    "Streaming",
    "TaskBook",
    "TaskServer",
    "TaskWork",
    "Topology",
    "Work",
    "call_id",
    "check_inputs_size",
    "check_task",
    "ensure_consumer",
    "next_time",
    "provision",
    "wait_until_provisioned",
]
