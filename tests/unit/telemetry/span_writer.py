"""A process that writes spans to the store until it is killed; run by `test_span_store`.

Arguments: the folder. It says on standard output how many spans have ended, each time after at
least `AGE_S` more than a flush interval has passed since the last of them did.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from motet.settings import Settings
from motet.telemetry import names, setup

AGE_S = 0.2


def main() -> None:
    folder = Path(sys.argv[1])
    telemetry = setup("writer", Settings(data_dir=folder, spans_dir=folder))
    ended: list[tuple[float, int]] = []
    count = 0
    with telemetry.tracer.span("never ends", attributes={names.TASK: "killed"}):
        while True:
            for _ in range(20):
                with telemetry.tracer.span(str(count), attributes={"text": "x" * 500}):
                    count += 1
            now = time.monotonic()
            ended.append((now, count))
            old = [total for at, total in ended if at < now - AGE_S]
            if old:
                print(old[-1], flush=True)  # noqa: T201
                ended = [(at, total) for at, total in ended if at >= now - AGE_S]
            time.sleep(0.001)  # the writer's own pace, not a test's


if __name__ == "__main__":
    main()
