"""Names of spans, attributes, events and metrics: spelled here and nowhere else.

They follow the OpenTelemetry semantic conventions:

- messaging: semantic-conventions v1.45.0, `docs/messaging/messaging-spans.md` (Development);
- generative AI: semantic-conventions-genai v0.1.0, `docs/gen-ai/` (Development). That repository
  took these conventions over from semantic-conventions, so the constants in the package
  `opentelemetry-semantic-conventions` are deprecated;
- errors and services: semantic-conventions v1.45.0 (Stable).

What the conventions have no word for begins with `motet.`.

A span's name has few values: a subject or a template of subjects, an agent, a model, a tool; never
a task's or a call's id.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "chat",
    "embeddings",
    "execute_tool",
    "invoke_agent",
    "migrate",
    "process",
    "receive",
    "rerank",
    "retrieval",
    "run",
    "send",
    "speak",
    "submit",
    "transcribe",
]

SCOPE: Final = "motet"
"""The instrumentation scope of every span and metric that Motet itself makes."""


# Span names.


def send(destination: str) -> str:
    """A message leaves, PRODUCER: `send motet.call.retriever.search`.

    `destination` is a subject, or its template where the subject has ids in it.
    """
    return f"send {destination}"


def receive(destination: str) -> str:
    """Messages are asked for and come, CLIENT: `receive motet.call.retriever.search`."""
    return f"receive {destination}"


def process(destination: str) -> str:
    """One delivery of a message is worked on, CONSUMER: `process motet.call.retriever.search`."""
    return f"process {destination}"


def invoke_agent(agent: str) -> str:
    """An agent works; INTERNAL in the agent: `invoke_agent retriever`."""
    return f"invoke_agent {agent}"


def execute_tool(tool: str) -> str:
    """A tool runs, INTERNAL: `execute_tool calculate`."""
    return f"execute_tool {tool}"


def chat(model: str) -> str:
    """A chat model answers, CLIENT: `chat gpt-4.1-mini`."""
    return f"chat {model}"


def embeddings(model: str) -> str:
    """Texts become vectors, CLIENT: `embeddings all-minilm-l6-v2`."""
    return f"embeddings {model}"


def retrieval(source: str) -> str:
    """Passages are looked up, CLIENT: `retrieval hybrid`, and below it `retrieval documents`."""
    return f"retrieval {source}"


def migrate(collection: str) -> str:
    """Stored documents are embedded anew, INTERNAL: `migrate documents`."""
    return f"migrate {collection}"


def rerank(model: str) -> str:
    """A model reads a question and texts together, CLIENT: `rerank ms-marco-minilm-l6-v2`."""
    return f"rerank {model}"


def transcribe(model: str) -> str:
    """A recording becomes text, CLIENT: `transcribe whisper-tiny.en`."""
    return f"transcribe {model}"


def speak(model: str) -> str:
    """A text is spoken, CLIENT: `speak piper-joe`."""
    return f"speak {model}"


def run(what: str) -> str:
    """The root of calls that a client makes outside of any task, INTERNAL: `run ingest`."""
    return f"run {what}"


def submit() -> str:
    """A task's root span, where it is submitted: `submit task`."""
    return "submit task"


# Messaging.

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_SYSTEM_NATS: Final = "nats"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
"""One of `OPERATION_SEND`, `OPERATION_RECEIVE`, `OPERATION_PROCESS`, `OPERATION_SETTLE`."""
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
"""The system's own word for the operation: the first word of the span's name."""
MESSAGING_DESTINATION_NAME: Final = "messaging.destination.name"
"""The subject."""
MESSAGING_DESTINATION_TEMPLATE: Final = "messaging.destination.template"
"""The subject with `{task}` and `{call}` in place of ids."""
MESSAGING_CONSUMER_GROUP: Final = "messaging.consumer.group.name"
"""The durable consumer."""
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
"""The header `Nats-Msg-Id`."""
MESSAGING_CONVERSATION_ID: Final = "messaging.message.conversation_id"
"""The task."""
MESSAGING_BODY_SIZE: Final = "messaging.message.body.size"
"""Bytes."""
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"
MESSAGING_CLIENT_ID: Final = "messaging.client.id"

OPERATION_SEND: Final = "send"
OPERATION_RECEIVE: Final = "receive"
OPERATION_PROCESS: Final = "process"
OPERATION_SETTLE: Final = "settle"

SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Generative AI.

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
"""One of `OPERATION_CHAT`, `OPERATION_EMBEDDINGS`, `OPERATION_RETRIEVAL`,
`OPERATION_EXECUTE_TOOL`, `OPERATION_INVOKE_AGENT`."""
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
GEN_AI_AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
GEN_AI_AGENT_VERSION: Final = "gen_ai.agent.version"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_DATA_SOURCE: Final = "gen_ai.data_source.id"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
GEN_AI_REQUEST_SEED: Final = "gen_ai.request.seed"
GEN_AI_REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_OUTPUT_TYPE: Final = "gen_ai.output.type"
"""`text` or `json`."""
GEN_AI_PROMPT_NAME: Final = "gen_ai.prompt.name"
GEN_AI_PROMPT_VERSION: Final = "gen_ai.prompt.version"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105  # no password
"""On metrics; Motet's models read and write text."""
GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
GEN_AI_TOOL_TYPE: Final = "gen_ai.tool.type"
GEN_AI_TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
GEN_AI_TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
GEN_AI_EMBEDDING_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
GEN_AI_RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"

OPERATION_CHAT: Final = "chat"
OPERATION_EMBEDDINGS: Final = "embeddings"
OPERATION_RETRIEVAL: Final = "retrieval"
OPERATION_EXECUTE_TOOL: Final = "execute_tool"
OPERATION_INVOKE_AGENT: Final = "invoke_agent"
OPERATION_RERANK: Final = "rerank"
"""Motet's own, as the next two: the conventions have no operation for it."""
OPERATION_TRANSCRIBE: Final = "transcribe"
OPERATION_SPEAK: Final = "speak"

# Contents, set only when `Settings.record_content` is on.

GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GEN_AI_SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
GEN_AI_TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_RESULT: Final = "gen_ai.tool.call.result"
GEN_AI_RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
GEN_AI_RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"

# Evaluation: the event `gen_ai.evaluation.result` of the GenAI conventions.

EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
"""The metric, such as `faithfulness`."""
EVALUATION_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
"""`scored`, `failed` or `not_applicable`."""
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
EVALUATION_METHOD: Final = "motet.evaluation.method"
"""`deterministic` or `judge`."""

# Errors.

ERROR_TYPE: Final = "error.type"
"""A fault's type, or the class of an exception."""
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# The resource.

SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"

# Motet's own.

TASK: Final = "motet.task"
"""Id of the task."""
SCHEDULE: Final = "motet.schedule"
"""Id of the schedule that submits a task."""
CALL: Final = "motet.call"
"""Id of the call."""
PARENT_CALL: Final = "motet.call.parent"
"""Id of the call that delegated it."""
AGENT: Final = "motet.agent"
"""The agent that is called."""
SKILL: Final = "motet.skill"
"""The skill that is called, without its agent."""
STEP: Final = "motet.step"
"""The caller's own name for the call."""
ATTEMPT: Final = "motet.attempt"
"""Which delivery this is, from 1."""
DEPTH: Final = "motet.depth"
"""Levels of delegation above; 0 for the task itself."""
STATE: Final = "motet.task.state"
"""State in which the task ended."""
STRATEGY: Final = "motet.task.strategy"
STRATEGY_REASON: Final = "motet.task.strategy.reason"
PROFILE: Final = "motet.model.profile"
PROFILE_REASON: Final = "motet.model.profile.reason"
TENANT: Final = "motet.tenant"
"""On whose behalf a task is done. On metrics, `OTHER` stands for all past a bound."""
OTHER: Final = "other"
PRIORITY: Final = "motet.priority"
QUEUE: Final = "motet.queue"
"""What waits in a queue of tasks: `submit`, `ready`, `resume` or `cancel`."""
STREAM: Final = "motet.stream"
"""A stream or a bucket, as NATS names it."""
OUTCOME: Final = "motet.outcome"
"""`ok`, or the fault's type."""
SUSPENDED: Final = "motet.suspended"
"""Whether an attempt ended because a person must reply first."""
REUSED: Final = "motet.reused"
"""True where the outcome came from the ledger and nothing ran."""
CACHED: Final = "motet.cached"
"""True where a model's answer came from the response cache."""
COST_USD: Final = "motet.cost_usd"
"""US dollars."""
PRICED: Final = "motet.priced"
"""False where no price is known for the model, so that its cost counts as 0."""
QUEUE_WAIT_S: Final = "motet.queue_wait_s"
"""Seconds from publishing to the start of this attempt."""
PASSAGES: Final = "motet.passages"
"""How many passages were found."""
DOCUMENTS: Final = "motet.documents"
"""How many documents a migration embedded anew."""
BRANCH: Final = "motet.branch"
"""`dense` or `sparse`, of a retrieval."""
LEVEL: Final = "motet.retrieval.level"
"""`section` or `document`, of a retrieval that looks for these and not for passages."""
NOTES: Final = "motet.retrieval.notes"
"""What a retrieval could not do as it was meant, such as without the chat model."""
AUDIO_S: Final = "motet.audio.duration_s"
"""Seconds of sound that were heard or made."""
SPEECH_S: Final = "motet.audio.speech_s"
"""Seconds of them in which somebody speaks."""
PLAN_REVISION: Final = "motet.plan.revision"
LINK: Final = "motet.link"
"""On a link: `LINK_RETRY`, `LINK_RESUME` or `LINK_REPLAY`, why it is there."""
LINK_RETRY: Final = "retry"
LINK_RESUME: Final = "resume"
LINK_REPLAY: Final = "replay"

PROGRESS_EVENT: Final = "motet.progress"
RETRY_EVENT: Final = "motet.retry"

# Metrics. Units are UCUM; seconds, never milliseconds.

METRIC_TASKS: Final = "motet.tasks"
METRIC_TASK_DURATION: Final = "motet.task.duration"
METRIC_TASK_COST: Final = "motet.task.cost"
METRIC_TASK_TOKENS: Final = "motet.task.tokens"
METRIC_TASKS_QUEUED: Final = "motet.tasks.queued"
METRIC_TASKS_OLDEST: Final = "motet.tasks.oldest_age"
METRIC_CALLS: Final = "motet.calls"
METRIC_CALLS_REUSED: Final = "motet.calls.reused"
METRIC_CALLS_QUEUED: Final = "motet.calls.queued"
METRIC_CALLS_OLDEST: Final = "motet.calls.oldest_age"
METRIC_CALLS_ACTIVE: Final = "motet.calls.active"
METRIC_QUEUE_WAIT: Final = "motet.call.queue_wait"
METRIC_HANDLER_TIME: Final = "motet.call.handler_time"
METRIC_RETRIES: Final = "motet.call.retries"
METRIC_DEAD_LETTERS: Final = "motet.dead_letters"
METRIC_DEAD_LETTERS_KEPT: Final = "motet.dead_letters.kept"
METRIC_INSTANCES: Final = "motet.agent.instances"
METRIC_STREAM_MESSAGES: Final = "motet.stream.messages"
METRIC_STREAM_SIZE: Final = "motet.stream.size"
METRIC_STREAM_LIMIT: Final = "motet.stream.limit"
METRIC_SPANS_DROPPED: Final = "motet.telemetry.spans_dropped"
METRIC_CACHE_HITS: Final = "motet.model.cache_hits"
METRIC_COST: Final = "motet.cost"
METRIC_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.input_tokens"
METRIC_OUTPUT_TOKENS: Final = "gen_ai.client.inference.usage.output_tokens"
METRIC_INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
METRIC_EMBEDDINGS_DURATION: Final = "gen_ai.client.embeddings.duration"
METRIC_EMBEDDINGS_TOKENS: Final = "gen_ai.client.embeddings.operation.input_tokens"
METRIC_TOOL_DURATION: Final = "gen_ai.execute_tool.duration"
METRIC_SCORE: Final = "motet.evaluation.score"
METRIC_SCORE_FAILURES: Final = "motet.evaluation.failures"
