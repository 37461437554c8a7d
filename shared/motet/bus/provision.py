"""The provisioner as a process, which ends when the mesh is provisioned.

    python -m motet.bus.provision

It logs each change. See `motet.bus.provisioning` for what it changes, and
`motet.bus.standing` for the consumers that it makes.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack

from motet.bus.connection import Bus
from motet.bus.provisioning import provision
from motet.bus.standing import StandingSettings, ensure_standing_consumers
from motet.errors import MotetError
from motet.settings import Settings, load_settings
from motet.starting import waiting
from motet.telemetry import setup
from motet.telemetry.logs import configure

__all__ = ["main"]

log = logging.getLogger(__name__)


async def _provision(settings: Settings, standing: StandingSettings) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    telemetry = setup("provision", settings)
    async with AsyncExitStack() as stack:
        bus = await waiting(
            lambda: stack.enter_async_context(Bus.open(settings, telemetry, client="provision")),
            settings.start_within_s,
        )
        changes = await provision(bus.js, bus.topology)
        await ensure_standing_consumers(bus.js, bus.topology, standing)
        log.info("the mesh is provisioned; streams created or updated: %d", len(changes))


def main() -> None:
    """A process' main: provisions the mesh at `MOTET_NATS_URL`.

    A mistake of set-up is told in a sentence, and the process ends with code 2. SIGTERM ends it,
    also as a container's first process, which has no default for that.
    """
    try:
        settings, standing = load_settings(), load_settings(StandingSettings)
        configure(settings, "provision")
        asyncio.run(_provision(settings, standing))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    except MotetError as error:
        print(f"provision: {error}", file=sys.stderr)  # noqa: T201 - the last word
        sys.exit(2)


if __name__ == "__main__":
    main()
