"""Schedules: what is kept of them, and how people change them.

Invariants:

- A schedule is one value of the bucket `schedules`: its rule, its task, and what became of it.
- A change keeps what it does not know, so that versions can differ.
- What is paused and goes on begins at that moment.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from motet.bus.bodies import read_body
from motet.bus.connection import Bus
from motet.bus.kv import Bucket, Item
from motet.bus.timetable import check, next_time
from motet.errors import FaultError
from motet.messages import FaultType, Schedule

__all__ = ["Schedules", "changed", "read"]

_SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)


class Schedules:
    """The bucket `schedules`, for those who make and change them."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, "schedules")

    async def add(
        self, schedule: Schedule, *, replace: bool = False, now: datetime | None = None
    ) -> Schedule:
        """Adds a schedule; when this returns, the mesh has it for good.

        Args:
            schedule: Its `created_at` and `since` are set here, if they are not.
            replace: Whether it may take the place of one with its id.
            now: The time.

        Raises:
            FaultError: `invalid_input` when it would never run, or its id is taken.
        """
        now = now or datetime.now(UTC)
        check(schedule, now)
        if not replace and await self._bucket.get(schedule.id) is not None:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"There is a schedule {schedule.id!r} already: replace it, or choose another id.",
            )
        schedule = schedule.model_copy(
            update={
                "created_at": schedule.created_at or now,
                "since": schedule.since or now,
            }
        )
        await self._bucket.put(schedule.id, schedule.model_dump_json().encode())
        return schedule

    async def list(self) -> list[Schedule]:
        """Every schedule that can be read, by id."""
        found, _ = await self.all()
        return found

    async def all(self) -> tuple[list[Schedule], dict[str, str]]:
        """Every schedule by id; and those that cannot be read, each with the reason."""
        found: list[Schedule] = []
        wrong: dict[str, str] = {}
        for item in await self._bucket.items():
            try:
                schedule = read(item)
                next_time(schedule, datetime.now(UTC))
                found.append(schedule)
            except FaultError as error:
                wrong[item.key] = error.fault.message
        return sorted(found, key=lambda schedule: schedule.id), wrong

    async def get(self, schedule: str) -> Schedule:
        """One schedule.

        Raises:
            FaultError: `not_found`; `invalid_input` when it cannot be read.
        """
        return read(await self._item(schedule))

    async def pause(self, schedule: str) -> Schedule:
        """Lets a schedule rest: nothing is submitted until it is resumed.

        Raises:
            FaultError: `not_found`; `invalid_input` when it cannot be read.
        """
        return await self._enable(schedule, {"enabled": False, "since": None})

    async def resume(self, schedule: str, *, now: datetime | None = None) -> Schedule:
        """Lets a schedule go on; what was planned while it was paused does not run.

        Raises:
            FaultError: `not_found`; `invalid_input` when it cannot be read.
        """
        since = (now or datetime.now(UTC)).isoformat()
        return await self._enable(schedule, {"enabled": True, "since": since})

    async def remove(self, schedule: str) -> None:
        """Removes a schedule; tasks that it submitted go on.

        Raises:
            FaultError: `not_found`.
        """
        await self._item(schedule)
        await self._bucket.delete(schedule)

    async def _enable(self, schedule: str, values: dict[str, Any]) -> Schedule:
        while True:
            item = await self._item(schedule)
            standing = read(item)
            if standing.enabled == values["enabled"]:
                return standing
            body = changed(item, values)
            if await self._bucket.put(schedule, body, item.revision) is not None:
                return read(Item(schedule, body, 0))

    async def _item(self, schedule: str) -> Item:
        item = await self._bucket.get(schedule)
        if item is None:
            raise FaultError.of(
                FaultType.NOT_FOUND,
                f"There is no schedule {schedule!r}: `motet schedules list` shows them.",
            )
        return item


def read(item: Item) -> Schedule:
    """Reads a schedule as it is kept, where the key is its id.

    Raises:
        FaultError: `invalid_input`, `unsupported_version`.
    """
    body = json.dumps({**_values(item), "id": item.key}).encode()
    schedule: Schedule = read_body(_SCHEDULE, body, f"the schedule {item.key!r}")
    return schedule


def changed(item: Item, values: dict[str, Any]) -> bytes:
    """A schedule as it is kept with some values changed, and all others as they are."""
    return json.dumps({**_values(item), **values}, ensure_ascii=False).encode()


def _values(item: Item) -> dict[str, Any]:
    try:
        values = json.loads(item.value)
    except (ValueError, RecursionError) as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"The schedule {item.key!r} is no JSON: {error}."
        ) from None
    if not isinstance(values, dict):
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"The schedule {item.key!r} is no JSON object."
        )
    return values
