"""Log lines say what they belong to, once, and no secrets."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from motet.settings import Settings
from motet.telemetry import Telemetry, logs

log = logging.getLogger("motet.tests")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    quiet = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(capture=False)
    for name, was in quiet.items():
        logging.getLogger(name).setLevel(was)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def configured(settings: Settings, stream: io.StringIO, **changes: object) -> io.StringIO:
    logs.configure(settings.model_copy(update=changes), "retriever", stream)
    return stream


def test_text_tells_time_level_service_message_and_fields(
    settings: Settings, stream: io.StringIO, telemetry: Telemetry
) -> None:
    configured(settings, stream)
    with logs.fields(task="t-1", call="c-1"), telemetry.tracer.span("work") as span:
        log.warning("%s passages", 3, extra={"source": "a.md"})
    log.info("done")
    first, second = stream.getvalue().splitlines()
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert first[:13].replace(":", "").replace(".", "").strip().isdecimal()
    assert first[13:] == (
        f"WARNING retriever  3 passages  task=t-1  call=c-1  trace_id={trace_id}  source=a.md"
    )
    assert second.endswith("INFO    retriever  done")


def test_json_has_the_same_for_machines(
    settings: Settings, stream: io.StringIO, telemetry: Telemetry
) -> None:
    configured(settings, stream, log_format="json")
    with logs.fields(task="t-1"), telemetry.tracer.span("work") as span:
        try:
            raise ValueError("broken\nin two")
        except ValueError:
            log.exception("it failed", extra={"tries": 2, "level": "not the line's"})
    (line,) = stream.getvalue().splitlines()
    read = json.loads(line)
    context = span.get_span_context()
    assert read.pop("time").endswith("Z")
    assert "ValueError: broken\nin two" in read.pop("exception")
    assert read == {
        "level": "error",
        "service": "retriever",
        "logger": "motet.tests",
        "message": "it failed",
        "task": "t-1",
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "tries": 2,
    }


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.dictionaries(st.text("abcxyz", min_size=1), st.text(), max_size=3))
def test_any_text_is_one_line_of_json(
    settings: Settings, message: str, fields: dict[str, str]
) -> None:
    stream = configured(settings, io.StringIO(), log_format="json")
    with logs.fields(**fields):
        log.info("%s", message)
    (line,) = stream.getvalue().split("\n")[:-1]
    read = json.loads(line)
    assert read["message"] == message
    assert {key: read[key] for key in fields} == fields


def test_fields_nest_and_end() -> None:
    with logs.fields(task="t", agent="a"):
        token = logs.bind(agent="b", skill="s")
        assert dict(logs.bound.get()) == {"task": "t", "agent": "b", "skill": "s"}
        logs.release(token)
        assert dict(logs.bound.get()) == {"task": "t", "agent": "a"}
    assert dict(logs.bound.get()) == {}


def test_configuring_twice_writes_once(settings: Settings, stream: io.StringIO) -> None:
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    configured(settings, io.StringIO())
    configured(settings, stream)
    log.info("once")
    assert stream.getvalue().count("once") == 1
    assert foreign in logging.getLogger().handlers


def test_the_level_holds_and_libraries_are_quiet(settings: Settings, stream: io.StringIO) -> None:
    configured(settings, stream, log_level="debug")
    log.debug("fine")
    logging.getLogger("httpx").info("a request")
    logging.getLogger("httpx").warning("a problem")
    assert "fine" in stream.getvalue()
    assert "a request" not in stream.getvalue()
    assert "a problem" in stream.getvalue()
    configured(settings, stream, log_level="error")
    logging.getLogger("httpx").warning("another problem")
    assert "another problem" not in stream.getvalue()


def test_warnings_are_logged(settings: Settings, stream: io.StringIO) -> None:
    configured(settings, stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("mind this", stacklevel=1)
    assert "mind this" in stream.getvalue()


def test_what_a_library_repeats_is_written_once(settings: Settings, stream: io.StringIO) -> None:
    configured(settings, stream)
    for number in range(3):
        logging.getLogger("opentelemetry.exporter").warning("away, try %d", number)
        log.warning("own, try %d", number)
    assert stream.getvalue().count("away") == 1
    assert stream.getvalue().count("own") == 3


@pytest.mark.parametrize(
    "before,secret,after",
    [
        ("connect to nats://", "user:hunter22", "@host:4222"),
        ("Authorization: Bearer ", "abcdefgh12345678", ""),
        ("key ", "sk-proj-" + "a1b2" * 6, ""),
        ("key ", "sk-ant-api03-" + "a1b2" * 6, ""),
        ("token ", "hf_" + "a1b2" * 6, "."),
        ("key ", "AIza" + "a1b2" * 9, ", "),
        ("seed ", "SU" + "ABCD2345" * 7, ""),
        ("token ", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0" * 2, ""),
    ],
)
def test_secrets_of_known_shapes_are_hidden(
    settings: Settings, stream: io.StringIO, before: str, secret: str, after: str
) -> None:
    configured(settings, stream, log_format="json")
    text = before + secret + after
    log.info("%s and more", text, extra={"field": text})
    read = json.loads(stream.getvalue())
    assert read["message"] == f"{before}***{after} and more"
    assert read["field"] == f"{before}***{after}"


def test_secrets_of_the_environment_are_hidden(
    settings: Settings, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "correct horse battery")
    monkeypatch.setenv("OTHER_API_KEY", "correct horse")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=planning-team,x-key=staple-the-horse")
    monkeypatch.setenv("MOTET_TASK_TOKENS", "123456789")
    monkeypatch.setenv("MOTET_NATS_CREDENTIALS", "/etc/motet/nats.creds")
    configured(settings, stream)
    try:
        raise ValueError("correct horse battery")
    except ValueError:
        log.exception("staple-the-horse 123456789 /etc/motet/nats.creds x-key")
    written = stream.getvalue()
    assert "horse" not in written
    assert "*** 123456789 /etc/motet/nats.creds x-key" in written
    assert "ValueError: ***" in written
