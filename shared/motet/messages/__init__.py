"""Wire types: everything that crosses the bus, and nothing else.

This package imports only Pydantic and the standard library.
"""

from motet.messages.base import Message, Name, Timestamp, Token, Value, new_id, now
from motet.messages.blob import BlobRef
from motet.messages.budget import Budget, Usage
from motet.messages.call import CallClaim, CallResult, DeadLetter
from motet.messages.card import AgentCard, SkillCard, SkillExample
from motet.messages.event import (
    EVENT,
    CallFinished,
    CallRetried,
    CallStarted,
    Event,
    PlanMade,
    PlannedStep,
    Progress,
    StateChanged,
)
from motet.messages.fault import Fault, FaultType
from motet.messages.retrieval import (
    BranchScore,
    DeleteRequest,
    DeleteResult,
    Document,
    DocumentInfo,
    DocumentsRequest,
    DocumentsResult,
    IngestRequest,
    IngestResult,
    Passage,
    SearchRequest,
    SearchResult,
)
from motet.messages.task import (
    TERMINAL_STATES,
    Answer,
    CancelRequest,
    Citation,
    Task,
    TaskRecord,
    TaskState,
)
from motet.messages.tools import (
    CalculateRequest,
    CalculateResult,
    ConvertRequest,
    ConvertResult,
    DateRequest,
    DateResult,
    Table,
    TableLookupRequest,
    TableLookupResult,
)

__all__ = [
    "EVENT",
    "TERMINAL_STATES",
    "AgentCard",
    "Answer",
    "BlobRef",
    "BranchScore",
    "Budget",
    "CalculateRequest",
    "CalculateResult",
    "CallClaim",
    "CallFinished",
    "CallResult",
    "CallRetried",
    "CallStarted",
    "CancelRequest",
    "Citation",
    "ConvertRequest",
    "ConvertResult",
    "DateRequest",
    "DateResult",
    "DeadLetter",
    "DeleteRequest",
    "DeleteResult",
    "Document",
    "DocumentInfo",
    "DocumentsRequest",
    "DocumentsResult",
    "Event",
    "Fault",
    "FaultType",
    "IngestRequest",
    "IngestResult",
    "Message",
    "Name",
    "Passage",
    "PlanMade",
    "PlannedStep",
    "Progress",
    "SearchRequest",
    "SearchResult",
    "SkillCard",
    "SkillExample",
    "StateChanged",
    "Table",
    "TableLookupRequest",
    "TableLookupResult",
    "Task",
    "TaskRecord",
    "TaskState",
    "Timestamp",
    "Token",
    "Usage",
    "Value",
    "new_id",
    "now",
]
