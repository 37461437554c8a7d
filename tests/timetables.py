"""Cron expressions, moments at which clocks change, and what is planned between two moments."""

from __future__ import annotations

from datetime import datetime

from hypothesis import strategies as st

from motet.bus import next_time
from motet.messages import Schedule


def listed(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    found: list[datetime] = []
    planned = next_time(schedule, after)
    while planned is not None and planned <= until:
        found.append(planned)
        planned = next_time(schedule, planned)
    return found


CRONS = st.builds(
    "{} {} {} * * *".format,
    st.sampled_from(["0", "*/7", "*/20", "59", "3,4,50"]),
    st.sampled_from(["*", "*/2", "1-3", "0", "58,59"]),
    st.sampled_from(["*", "0-2", "1", "*/3"]),
) | st.sampled_from(["* * * * *", "30 2 * * *", "*/5 1-3 * * *", "0 0 1 * *"])

STARTS = st.sampled_from(
    [
        "2030-01-07T12:00:00Z",
        "2030-03-31T00:58:30Z",
        "2030-10-27T00:29:10Z",
        "2030-10-27T01:10:00Z",
        "2030-12-31T23:59:01Z",
    ]
).map(datetime.fromisoformat)
