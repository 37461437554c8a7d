"""Checkpoints: LangGraph's state of a task, kept in a key-value bucket.

Keys, each part made safe for a bucket by `as_token`:

    <thread>.<namespace>.<checkpoint>.state              the checkpoint, its metadata and parent
    <thread>.<namespace>.<checkpoint>.write.<task>.<n>   what one node of the next round has given
    <any of these>.part.<n>                              a piece of a value over the size limit

Invariants:

- A value that is there is whole: its parts are written before it, and it names how many they are.
- A write of a node is stored once and not written over, but for errors and interrupts, which
  LangGraph gives fixed negative numbers and of which the newest counts.
- Checkpoint ids sort by time, so the newest is the greatest.
- Nothing is pickled: values are MessagePack, of which `CheckpointSerializer` reads plain values.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import ormsgpack
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    RunnableConfig,  # pyright: ignore[reportPrivateImportUsage]
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)

from motet.errors import FaultError
from motet.messages import FaultType
from motet_planner.serializer import CheckpointSerializer

__all__ = ["KeyValueCheckpointer", "KeyValues", "Stored", "as_token"]

PART_BYTES = 512 * 1024
"""Size of a piece: with its key and headers well under NATS' usual 1 MiB a message."""
MOST_PARTS = 64
"""Pieces of one value; a larger state is refused."""
KEPT_S = 3600
"""Seconds that the last checkpoint of a finished task is kept: longer than an answer is on its way
into the task's record, also where the server is away meanwhile."""


class Stored(Protocol):
    """A value with its key."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> bytes: ...  # noqa: D102


class KeyValues(Protocol):
    """A bucket; `motet.bus.Bucket` is one."""

    async def get(self, key: str) -> Stored | None:
        """The value; None when there is none."""
        ...

    async def put(
        self, key: str, value: bytes, revision: int | None = None, *, ttl_s: float | None = None
    ) -> int | None:
        """Writes a value, for so many seconds, and gives its revision.

        With revision 0 only where there is none; else it gives None.
        """
        ...

    async def purge(self, prefix: str, *, before: int = 0) -> None:
        """Drops what lies below `prefix`, or of that what is older than a revision."""

    async def items(self, prefix: str = "") -> Sequence[Stored]:
        """The values whose keys lie below `prefix`."""
        ...


class _Place(NamedTuple):
    thread: str
    namespace: str
    checkpoint: str

    @classmethod
    def of(cls, config: RunnableConfig, checkpoint: str) -> _Place:
        values = config.get("configurable", {})
        return cls(str(values["thread_id"]), str(values.get("checkpoint_ns", "")), checkpoint)

    @property
    def prefix(self) -> str:
        """Of the keys of everything at this place; without a checkpoint, of its namespace."""
        return ".".join(as_token(part) for part in (self if self.checkpoint else self[:2]))

    def config(self, checkpoint: str | None = None) -> RunnableConfig:
        return {
            "configurable": {
                "thread_id": self.thread,
                "checkpoint_ns": self.namespace,
                "checkpoint_id": checkpoint or self.checkpoint,
            }
        }


class KeyValueCheckpointer(BaseCheckpointSaver[str]):
    """A LangGraph checkpointer on a bucket. Only its asynchronous methods exist."""

    def __init__(self, bucket: KeyValues, types: Iterable[type[Any]] = ()) -> None:
        """Keeps states in `bucket`; `types` are those that values may have beside plain ones."""
        super().__init__(serde=CheckpointSerializer(types))
        self._bucket = bucket

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, or the newest of its thread and namespace."""
        place = _Place.of(config, get_checkpoint_id(config) or "")
        found = _whole(await self._bucket.items(place.prefix))
        places = sorted(_states(found), key=lambda each: each.checkpoint)
        return self._tuple(places[-1], found) if places else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, newest first.

        Args:
            config: Of this thread, and of its namespace and checkpoint where it names them; None
                lists all threads.
            filter: Metadata that a checkpoint must have.
            before: Only checkpoints older than the one that this names.
            limit: How many at most.
        """
        wanted: Mapping[str, Any] = (
            config["configurable"] if config and "configurable" in config else {}
        )
        prefix = as_token(str(wanted["thread_id"])) if "thread_id" in wanted else ""
        found = _whole(await self._bucket.items(prefix))
        bound = get_checkpoint_id(before) if before else None
        places = sorted(_states(found), key=lambda each: each.checkpoint, reverse=True)
        left = len(places) if limit is None else limit
        for place in places:
            if left <= 0:
                return
            if wanted.get("checkpoint_ns", place.namespace) != place.namespace:
                continue
            if (get_checkpoint_id(config) if config else None) not in {None, place.checkpoint}:
                continue
            if bound and place.checkpoint >= bound:
                continue
            saved = self._tuple(place, found)
            metadata = cast("Mapping[str, Any]", saved.metadata)
            if all(metadata.get(key) == value for key, value in (filter or {}).items()):
                left -= 1
                yield saved

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - every checkpoint is stored whole
    ) -> RunnableConfig:
        """Stores a checkpoint, whole, and gives the config that names it."""
        place = _Place.of(config, checkpoint["id"])
        parent = get_checkpoint_id(config)
        record = [
            parent,
            *self.serde.dumps_typed(checkpoint),
            *self.serde.dumps_typed(get_checkpoint_metadata(config, metadata)),
        ]
        await self._store(f"{place.prefix}.state", ormsgpack.packb(record))
        return place.config()

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Stores what one node has given, so that it need not run again."""
        place = _Place.of(config, get_checkpoint_id(config) or "")
        stores: list[Any] = []
        for place_in_writes, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, place_in_writes)
            record = [task_id, index, channel, task_path, *self.serde.dumps_typed(value)]
            key = f"{place.prefix}.write.{as_token(task_id)}.{index}"
            stores.append(self._store(key, ormsgpack.packb(record), once=index >= 0))
        await asyncio.gather(*stores)

    async def adelete_thread(self, thread_id: str) -> None:
        """Removes everything of a thread."""
        await self._bucket.purge(as_token(thread_id))

    async def finish(self, thread_id: str) -> None:
        """Removes all but the newest checkpoint of each namespace, and that after `KEPT_S`."""
        await self._keep_newest(thread_id, KEPT_S)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Removes all but the newest checkpoint of each namespace, or everything (`delete`).

        Not for graphs with a `DeltaChannel`, whose values lie in older checkpoints.
        """
        for thread in thread_ids:
            if strategy == "keep_latest":
                await self._keep_newest(thread, None)
            else:
                await self.adelete_thread(thread)

    async def _keep_newest(self, thread: str, ttl_s: float | None) -> None:
        """Writes what is kept anew, and drops what is older: two requests, however much it is."""
        items = await self._bucket.items(as_token(thread))
        newest: dict[str, str] = {}
        for place in _states(item.key for item in items):
            newest[place.namespace] = max(place.checkpoint, newest.get(place.namespace, ""))
        kept = tuple(_Place(thread, *each).prefix + "." for each in newest.items())
        written = [
            await self._bucket.put(item.key, item.value, ttl_s=ttl_s)
            for item in sorted(items, key=lambda each: ".part." not in each.key)
            if item.key.startswith(kept)
        ]
        if written:
            await self._bucket.purge(as_token(thread), before=written[0] or 0)

    async def _store(self, key: str, value: bytes, *, once: bool = False) -> None:
        parts = [value[at : at + PART_BYTES] for at in range(0, len(value), PART_BYTES)]
        if len(parts) > MOST_PARTS:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The task's state has {len(value)} bytes; a checkpoint holds "
                f"{PART_BYTES * MOST_PARTS}. Make fewer steps, or ask for fewer passages.",
                size=len(value),
                limit=PART_BYTES * MOST_PARTS,
            )
        head = value
        if len(parts) > 1:
            for number, part in enumerate(parts):
                await self._bucket.put(f"{key}.part.{number}", part)
            head = b""
        await self._bucket.put(key, bytes([len(parts)]) + head, 0 if once else None)

    def _tuple(self, place: _Place, found: Mapping[str, bytes]) -> CheckpointTuple:
        parent, kind, data, metadata_kind, metadata = ormsgpack.unpackb(
            found[f"{place.prefix}.state"]
        )
        prefix = f"{place.prefix}.write."
        records = [
            ormsgpack.unpackb(value) for key, value in found.items() if key.startswith(prefix)
        ]
        records.sort(key=lambda each: writes_sort_key(each[3], each[0], each[1]))
        writes: list[PendingWrite] = [
            (task, channel, self.serde.loads_typed((kind_, value)))
            for task, _, channel, _, kind_, value in records
        ]
        return CheckpointTuple(
            config=place.config(),
            checkpoint=self.serde.loads_typed((kind, data)),
            metadata=self.serde.loads_typed((metadata_kind, metadata)),
            parent_config=place.config(parent) if parent else None,
            pending_writes=writes,
        )


def _whole(items: Iterable[Stored]) -> dict[str, bytes]:
    """Values by key, with those that were stored in pieces put together."""
    raw = {item.key: item.value for item in items if item.value}
    whole: dict[str, bytes] = {}
    for key, value in raw.items():
        if ".part." in key:
            continue
        count = value[0]
        if count <= 1:
            whole[key] = value[1:]
            continue
        parts = [raw.get(f"{key}.part.{number}") for number in range(count)]
        if None not in parts:
            whole[key] = b"".join(cast("list[bytes]", parts))
    return whole


def _states(found: Iterable[str]) -> list[_Place]:
    """The checkpoints among keys."""
    return [
        _Place(*(_of_token(part) for part in key.split(".")[:3]))
        for key in found
        if key.endswith(".state") and key.count(".") == 3
    ]


def as_token(text: str) -> str:
    """A text as one token of a key: itself where it is safe, else in Base64; `_` when empty."""
    if not text:
        return "_"
    if text.isascii() and not text.startswith(("_", "=")) and text.replace("-", "").isalnum():
        return text
    return "=" + urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _of_token(part: str) -> str:
    """The inverse of `as_token`."""
    if part == "_":
        return ""
    if not part.startswith("="):
        return part
    encoded = part[1:]
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
