"""Structured logs: each line says which task, call and trace it belongs to.

Who works on a call binds its fields once; every line logged below, by whatever library, carries
them. What always holds:

- There is one handler of Motet's on the root logger, however often `configure` is called, and none
  elsewhere; other handlers are left alone.
- Secrets are not written: values of environment variables whose name says that they are secret,
  credentials in URLs, bearer tokens, and keys of known shapes become `***`.
- What a library repeats (a collector that is away, every second) is written once a minute.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TextIO

from opentelemetry import trace
from typing_extensions import override

from motet.settings import Settings

__all__ = ["Redactor", "bind", "bound", "configure", "fields", "release"]

Fields = Mapping[str, str]

_NOTHING: Final[Fields] = MappingProxyType({})
bound: Final[ContextVar[Fields]] = ContextVar("motet_log_fields", default=_NOTHING)
"""Fields of every line here, such as `task`, `call`, `agent` and `skill`."""

_QUIET: Final = (
    "anthropic",
    "asyncio",
    "faststream",
    "google_genai",
    "hpack",
    "httpcore",
    "httpx",
    "langchain",
    "langsmith",
    "nats",
    "openai",
    "opentelemetry",
    "qdrant_client",
    "urllib3",
)
"""Libraries of which only warnings are of interest."""
_REPEATING: Final = ("opentelemetry", "nats", "urllib3")
_REPEAT_S: Final = 60
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_SECRET_NAME: Final = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)S?$", re.IGNORECASE)
_SECRET_MIN: Final = 8
_SECRET_SHAPES: Final = (
    r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user:password@host
    r"(?<=[Bb]earer )[\w.~+/=-]{8,}",
    r"\b(?:sk|pk|rk)-[\w-]{16,}",  # OpenAI, Anthropic
    r"\bhf_[A-Za-z0-9]{16,}",  # Hugging Face
    r"\bAIza[\w-]{30,}",  # Google
    r"\bS[UAOC][A-Z2-7]{56}\b",  # a NATS nkey's seed
    r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+",  # a JWT
)
_HIDDEN: Final = "***"


def bind(**values: str) -> Token[Fields]:
    """Adds fields to every line logged from here on in this context; `release` takes them back."""
    return bound.set({**bound.get(), **values})


def release(token: Token[Fields]) -> None:
    """Takes back what `bind` added."""
    bound.reset(token)


@contextmanager
def fields(**values: str) -> Generator[None]:
    """`bind` for a `with` block."""
    token = bind(**values)
    try:
        yield
    finally:
        release(token)


def configure(settings: Settings, service: str, stream: TextIO | None = None) -> None:
    """Writes the process' log to `stream`, standard error by default, as the settings say."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_Json(service) if settings.log_format == "json" else _Text(service))
    handler.addFilter(_Repeats())
    root = logging.getLogger()
    for other in root.handlers[:]:
        if isinstance(other, _Handler):
            root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


class Redactor:
    """Takes secrets out of texts: those of the environment now, and those of known shapes."""

    def __init__(self) -> None:
        values: set[str] = set()
        for name, value in os.environ.items():
            if name.endswith("_HEADERS"):
                values.update(header.partition("=")[2] for header in value.split(","))
            elif _SECRET_NAME.search(name):
                values.add(value)
        # Longest first: of two secrets of which one begins the other, the longer is taken out.
        known = sorted(filter(_worth_hiding, values), key=len, reverse=True)
        self._secrets = re.compile("|".join([*map(re.escape, known), *_SECRET_SHAPES]))

    def __call__(self, text: str) -> str:
        """The text with `***` in place of secrets."""
        return self._secrets.sub(_HIDDEN, text)


def _worth_hiding(value: str) -> bool:
    """Whether a value can be a secret, and is not a number or the path of a file."""
    return len(value) >= _SECRET_MIN and not value.isdecimal() and not value.startswith("/")


class _Handler(logging.StreamHandler[TextIO]):
    """Motet's own handler, by which it is known again."""


class _Repeats(logging.Filter):
    """Lets the same line of a library through once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int, str], float] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in _REPEATING:
            return True
        key = (record.name, record.levelno, str(record.msg))
        now = time.monotonic()
        if now - self._last.get(key, -_REPEAT_S) < _REPEAT_S:
            return False
        self._last[key] = now
        return True


class _Formatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service
        self.redact = Redactor()

    def message_of(self, record: logging.LogRecord) -> str:
        return self.redact(record.getMessage())

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """What a line says besides its message: bound fields, trace and span, `extra`."""
        told: dict[str, Any] = dict(bound.get())
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            told["trace_id"] = f"{context.trace_id:032x}"
            told["span_id"] = f"{context.span_id:016x}"
        for key, value in vars(record).items():
            if key not in _STANDARD:
                told[key] = value if isinstance(value, int | float) else self.redact(str(value))
        return told

    def failure_of(self, record: logging.LogRecord) -> str:
        """The traceback of a line, or nothing."""
        parts: list[str] = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self.redact("\n".join(parts))


class _Json(_Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "message": self.message_of(record),
        }
        line = {**self.fields_of(record), **line}
        failure = self.failure_of(record)
        if failure:
            line["exception"] = failure
        return json.dumps(line, ensure_ascii=False)


class _Text(_Formatter):
    """`18:52:14.664 INFO    retriever  a message  task=4f2a  call=9b1c  trace_id=8a87`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        told = self.fields_of(record)
        told.pop("span_id", None)
        rest = "".join(f"  {key}={value}" for key, value in told.items())
        time_of_day = _moment(record).astimezone().isoformat(timespec="milliseconds")[11:23]
        line = (
            f"{time_of_day} {record.levelname:<7} {self.service}  {self.message_of(record)}{rest}"
        )
        failure = self.failure_of(record)
        return f"{line}\n{failure}" if failure else line


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, tz=UTC)
