"""Provisioning: brings streams, buckets and consumers to what the topology says.

Invariants:

- This is the only code that creates or changes a stream, a bucket or a durable consumer.
- It runs when the mesh starts or is upgraded (`motet up`, `motet.bus.provision`), not in every
  service; services wait for it and add only their own consumers.
- It is idempotent, safe to run twice at once, never deletes, and never takes a stream back to an
  older version of the topology.
- A cluster that is about to start, or that elects a leader, is waited for. A stream that is given
  more copies has them when this returns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields
from functools import partial
from typing import Any, TypeVar

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

from motet.bus.topology import Topology
from motet.errors import NotYetError, SetupError

__all__ = ["copied", "ensure_consumer", "provision", "wait_until_provisioned"]

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""Seconds that a cluster has to elect its leaders, and to copy what is in a stream."""

_AGAIN_S = 0.2

_NO_LEADER = 10008
_NO_CLUSTER = 10074
_TOO_FEW_SERVERS = (10005, 10023)
"""NATS's error codes: nobody leads; the server is alone; nowhere to put so many copies."""

T = TypeVar("T")

_IMMUTABLE = ("storage", "retention")
"""Fields that a NATS server refuses to change on a stream that exists."""


async def provision(js: JetStreamContext, topology: Topology) -> list[str]:
    """Creates what is missing and updates what differs.

    Returns:
        A line for each change, such as `created stream CALLS`; empty when nothing had to change.

    Raises:
        SetupError: JetStream is off, has no room, or a stream exists in a form that cannot be
            brought to what is wanted.
    """
    changes: list[str] = []
    changed: list[StreamConfig] = []
    give_up = asyncio.get_running_loop().time() + PATIENCE_S
    for wanted in topology.streams():
        change = await _patiently(partial(_ensure_stream, js, wanted), wanted, give_up)
        if change:
            changes.append(change)
            changed.append(wanted)
            log.info(change)
    for wanted in changed if topology.settings.replicas > 1 else ():
        while not await _patiently(partial(copied, js, wanted), wanted, give_up):
            if asyncio.get_running_loop().time() >= give_up:
                raise SetupError(
                    f"Stream {wanted.name!r} has not all its {wanted.num_replicas} copies yet: run "
                    "the provisioner again, and see that all servers of the cluster run."
                )
            await asyncio.sleep(_AGAIN_S)
    return changes


async def _patiently(ask: Callable[[], Awaitable[T]], wanted: StreamConfig, give_up: float) -> T:
    """Asks for a stream until it is answered, at most until `give_up` by the loop's clock."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return await ask()
        except (APIError, NoRespondersError, NatsTimeoutError) as error:
            if not _passes(error, wanted) or loop.time() >= give_up:
                raise _sentence(error, wanted) from error
            log.info("waiting for JetStream: %s", error)
        await asyncio.sleep(_AGAIN_S)


def _passes(error: Exception, wanted: StreamConfig) -> bool:
    """Whether an answer is what a cluster gives that is not ready yet."""
    if isinstance(error, APIError) and error.err_code == _NO_LEADER:
        return True
    replicated = (wanted.num_replicas or 1) > 1
    if isinstance(error, APIError) and error.err_code in _TOO_FEW_SERVERS:
        return replicated
    away = (ServiceUnavailableError, NoRespondersError)
    return isinstance(error, NatsTimeoutError) or (replicated and isinstance(error, away))


def _sentence(error: Exception, wanted: StreamConfig) -> SetupError:
    name, copies = wanted.name, wanted.num_replicas
    if not isinstance(error, APIError) or isinstance(error, ServiceUnavailableError):
        return SetupError(
            "JetStream does not answer: start the NATS server with JetStream on (`-js`), "
            f"or wait for its leader ({error})."
        )
    advice = ""
    if error.err_code in (*_TOO_FEW_SERVERS, _NO_CLUSTER):
        advice = (
            f" MOTET_REPLICAS is {copies}: let as many servers run in one NATS cluster, each with "
            "JetStream on, or lower it."
        )
    return SetupError(
        f"Stream {name!r} cannot be provisioned: {error.description}"
        f" (NATS error {error.err_code}).{advice}"
    )


async def copied(js: JetStreamContext, wanted: StreamConfig) -> bool:
    """Whether a stream and its durable consumers have their copies, all up to date."""
    name = wanted.name or ""
    durable = [info for info in await js.consumers_info(name) if info.config.durable_name]
    for cluster in ((await js.stream_info(name)).cluster, *(info.cluster for info in durable)):
        copies = [] if cluster is None else cluster.replicas or []
        missing = (wanted.num_replicas or 1) - 1 - len(copies)
        if missing > 0 or not all(copy.current for copy in copies):
            return False
    return True


async def _ensure_stream(js: JetStreamContext, wanted: StreamConfig) -> str | None:
    name = wanted.name or ""
    try:
        existing = (await js.stream_info(name)).config
    except NotFoundError:
        try:
            await js.add_stream(wanted)
        except BadRequestError as error:
            # Another provisioner was faster, with a configuration that differs; or it cannot be.
            try:
                existing = (await js.stream_info(name)).config
            except NotFoundError:
                raise error from None
        else:
            return f"created stream {name}"
    if _version(existing) > _version(wanted):
        log.warning("stream %s is of a newer topology; left as it is", name)
        return None
    different = _differences(existing, wanted)
    if not different:
        return None
    for field in _IMMUTABLE:
        if field in different:
            raise SetupError(
                f"Stream {name!r} exists with {field}={getattr(existing, field)!r}, and Motet "
                f"needs {getattr(wanted, field)!r}, which NATS cannot change in place: back up "
                f"and delete the stream, or set MOTET_NAMESPACE to a name of its own."
            )
    for field in different:
        setattr(existing, field, getattr(wanted, field))
    await js.update_stream(existing)
    return f"updated stream {name}: {', '.join(sorted(different))}"


def _version(config: StreamConfig) -> int:
    return int((config.metadata or {}).get("motet.topology", "0"))


def _differences(existing: Any, wanted: Any) -> list[str]:
    """Fields that `wanted` sets and `existing` has otherwise."""
    different = []
    for field in fields(wanted):
        want, have = getattr(wanted, field.name), getattr(existing, field.name)
        if want is None or _same(field.name, have, want):
            continue
        different.append(field.name)
    return different


def _same(field: str, have: Any, want: Any) -> bool:
    if field == "metadata":
        return all((have or {}).get(key) == value for key, value in want.items())
    if isinstance(want, bool | int | float) and have is None:
        return not want or want == -1
    if isinstance(want, int) and have in (0, -1) and want in (0, -1):
        return True
    return bool(have == want)


async def ensure_consumer(js: JetStreamContext, stream: str, wanted: ConsumerConfig) -> None:
    """Creates or updates one durable consumer.

    Raises:
        SetupError: Another consumer already takes its subject from the work queue, or the stream
            has as many as it may.
    """
    name = wanted.durable_name or ""
    try:
        existing = (await js.consumer_info(stream, name)).config
    except NotFoundError:
        pass
    else:
        if not _differences(existing, wanted):
            return
    try:
        # By its name, so that the request's subject says which messages it selects: a user may be
        # let make no other.
        await js.add_consumer(stream, wanted, name=name)
    except BadRequestError as error:
        raise SetupError(
            f"Consumer {name!r} of stream {stream!r} cannot be provisioned: {error.description}"
            f" (NATS error {error.err_code})."
        ) from error


async def wait_until_provisioned(
    js: JetStreamContext, topology: Topology, timeout_s: float
) -> None:
    """Waits until every stream exists.

    Raises:
        NotYetError: They do not after `timeout_s` seconds.
    """
    missing = ""
    try:
        async with asyncio.timeout(timeout_s):
            for stream in topology.streams():
                missing = stream.name or ""
                while not await _exists(js, missing):  # noqa: ASYNC110 - streams give no event
                    await asyncio.sleep(0.1)
    except TimeoutError:
        raise NotYetError(
            f"Stream {missing!r} does not exist on the NATS server after {timeout_s:.0f} s: start "
            "the mesh with `motet up`, or run `python -m motet.bus.provision`."
        ) from None


async def _exists(js: JetStreamContext, stream: str) -> bool:
    try:
        await js.stream_info(stream)
    except (NotFoundError, ServiceUnavailableError, NoRespondersError, NatsTimeoutError):
        return False
    return True
