"""`motet schedules`: tasks that are submitted by the clock."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from motet.cli.terminal import AsJson, Status, client_settings, fail, out, run, write_json

if TYPE_CHECKING:
    from motet.messages import Schedule, ScheduledRun

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Submit tasks by the clock.",
)

Id = Annotated[str, typer.Argument(metavar="SCHEDULE", help="As `motet schedules list` shows it.")]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command()
def add(  # noqa: PLR0917 - Typer passes options by name
    schedule: Annotated[str, typer.Argument(metavar="SCHEDULE", help="An id of your own.")],
    goal: Annotated[str, typer.Argument(help="What is wanted, in plain words.")],
    cron: Annotated[
        str | None, typer.Option(help='When, as cron has it, such as "0 7 * * 1-5".')
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When, once, such as 2030-01-31T07:00; in --zone.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Again and again, such as 90s, 15m, 2h or 1d.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The time zone, such as Europe/Oslo.")] = "UTC",
    overlap: Annotated[
        bool, typer.Option(help="Run also while the run before has not ended.")
    ] = True,
    catch_up: Annotated[
        bool, typer.Option(help="Make the latest run good that was missed while nothing ran.")
    ] = True,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds after which a run's task expires.", min=0.1)
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of one with this id.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a schedule: a goal, and when it is submitted."""
    from motet.client import Motet

    values: dict[str, Any] = {
        "id": schedule,
        "task": {"goal": goal, "deadline_s": deadline},
        "cron": cron,
        "at": None if at is None else _moment(at, zone),
        "every_s": None if every is None else _seconds(every),
        "zone": zone,
        "overlap": "allow" if overlap else "skip",
        "catch_up": catch_up,
    }
    wanted = _schedule(values)

    async def main() -> Schedule:
        async with Motet.open(client_settings()) as motet:
            return await motet.schedules.add(wanted, replace=replace)

    _tell(run(main()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the schedules, and when each runs next."""
    from motet.client import Motet

    async def main() -> tuple[list[Schedule], dict[str, str]]:
        async with Motet.open(client_settings()) as motet:
            return await motet.schedules.all()

    found, wrong = run(main())
    if as_json:
        write_json([_plain(schedule) for schedule in found])
    elif not found and not wrong:
        out().print("Nothing is scheduled.")
    for schedule in found if not as_json else ():
        out().print(
            f"{schedule.id}  {_rule(schedule)}  {_coming(schedule)}", markup=False, soft_wrap=True
        )
        out().print(f"    {schedule.task.goal}", markup=False)
    for problem in wrong.values() if not as_json else ():
        out().print(problem, markup=False, soft_wrap=True)


@app.command()
def show(schedule: Id, as_json: AsJson = False) -> None:
    """Show a schedule, its next run and the last ones."""
    from motet.client import Motet

    async def main() -> tuple[Schedule, dict[str, str]]:
        async with Motet.open(client_settings()) as motet:
            found = await motet.schedules.get(schedule)
            states: dict[str, str] = {}
            for each in found.runs:
                record = await motet.task(each.task).record() if each.task else None
                if each.task and record is not None:
                    states[each.task] = record.state.value
            return found, states

    found, states = run(main())
    if as_json:
        write_json({**_plain(found), "states": states})
        return
    facts = {
        "schedule": found.id,
        "goal": found.task.goal,
        "when": _rule(found),
        "next": _coming(found),
        "overlap": found.overlap,
        "catch up": "yes" if found.catch_up else "no",
    }
    for name, value in facts.items():
        out().print(f"{name:<12}  {value}", markup=False, soft_wrap=True)
    for each in reversed(found.runs):
        out().print(f"{'run':<12}  {_told(each, states)}", markup=False, soft_wrap=True)


@app.command()
def pause(schedule: Id, as_json: AsJson = False) -> None:
    """Submit nothing until it is resumed."""
    _change(schedule, "pause", as_json=as_json)


@app.command()
def resume(schedule: Id, as_json: AsJson = False) -> None:
    """Go on; what was planned while it was paused does not run."""
    _change(schedule, "resume", as_json=as_json)


@app.command()
def remove(schedule: Id, as_json: AsJson = False) -> None:
    """Remove a schedule; tasks that it submitted go on."""
    from motet.client import Motet

    async def main() -> None:
        async with Motet.open(client_settings()) as motet:
            await motet.schedules.remove(schedule)

    run(main())
    if as_json:
        write_json({"removed": schedule})
    else:
        out().print(f"{schedule} is gone.", markup=False)


def _change(schedule: str, how: Literal["pause", "resume"], *, as_json: bool) -> None:
    from motet.client import Motet

    async def main() -> Schedule:
        async with Motet.open(client_settings()) as motet:
            if how == "pause":
                return await motet.schedules.pause(schedule)
            return await motet.schedules.resume(schedule)

    _tell(run(main()), as_json=as_json)


def _tell(schedule: Schedule, *, as_json: bool) -> None:
    if as_json:
        write_json(_plain(schedule))
    else:
        out().print(f"{schedule.id}: {_coming(schedule)}", markup=False, soft_wrap=True)


def _schedule(values: dict[str, Any]) -> Schedule:
    """The schedule, or the end of the command when it is not a valid one."""
    from pydantic import ValidationError

    from motet.messages import Schedule

    try:
        return Schedule.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) + ': ' if each['loc'] else ''}"
            f"{each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        fail(f"This is not a schedule that a mesh would take: {wrong}.", Status.USAGE)


def _moment(text: str, zone: str) -> datetime:
    """A time as people write it, in the zone unless it has its own."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no time; write it as 2030-01-31T07:00.", Status.USAGE)
    try:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fail(f"{zone!r} is no time zone; they are named as in Europe/Oslo or UTC.", Status.USAGE)


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    if match is None:
        fail(f"{text!r} is no interval; write it as 90s, 15m, 2h or 1d.", Status.USAGE)
    return int(match[1]) * _SECONDS[match[2] or "s"]


def _plain(schedule: Schedule) -> dict[str, object]:
    following = _next(schedule)
    return {
        **schedule.model_dump(mode="json"),
        "next": None if following is None else following.isoformat(),
    }


def _next(schedule: Schedule) -> datetime | None:
    """When it runs next; None when it does not."""
    from datetime import UTC

    from motet.bus import next_time
    from motet.errors import FaultError

    after = datetime.now(UTC)
    if schedule.at is not None and schedule.since is not None:
        after = schedule.since  # one that is late still runs
    try:
        return next_time(schedule, after) if schedule.enabled else None
    except FaultError:
        return None


def _coming(schedule: Schedule) -> str:
    following = _next(schedule)
    if not schedule.enabled:
        return "paused"
    if following is None:
        return "does not run again"
    return f"next {_local(following, schedule)}"


def _local(moment: datetime, schedule: Schedule) -> str:
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(schedule.zone)):%Y-%m-%d %H:%M:%S %Z}"


def _rule(schedule: Schedule) -> str:
    if schedule.cron is not None:
        return f"{schedule.cron} ({schedule.zone})"
    if schedule.at is not None:
        return f"at {_local(schedule.at, schedule)}"
    return f"every {schedule.every_s} s"


def _told(each: ScheduledRun, states: dict[str, str]) -> str:
    state = states.get(each.task or "", each.state)
    return (
        f"{each.planned:%Y-%m-%d %H:%M:%S %Z}  {each.task or '-'}  {state}  {each.reason}".rstrip()
    )
