"""What the chart's network policies keep out and in, where they are enforced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.chart_values import EMBEDDED
from tests.cluster.release import Release

pytestmark = pytest.mark.timeout(900)

OUTSIDE = "198.51.100.1"
"""An address of no private network (RFC 5737); here this machine has it."""
TRY = """
import socket, sys, time
until = time.monotonic() + 6  # what is new may be let through for a moment
while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
        reached = True
    except OSError as error:
        reached = False
    if time.monotonic() > until: break
    time.sleep(0.5)
print("reached" if reached else "not reached")
"""


@pytest.fixture
def outside() -> Iterator[None]:
    """A server of HTTPS outside of the cluster, as far as it listens on the port."""
    subprocess.run(["ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
    try:
        with socket.create_server((OUTSIDE, 443)) as server:
            over = threading.Event()

            def accept() -> None:
                with contextlib.suppress(OSError):
                    while not over.is_set():
                        server.accept()[0].close()

            listening = threading.Thread(target=accept, daemon=True)
            listening.start()
            yield
            over.set()
            with contextlib.suppress(OSError):
                socket.create_connection((OUTSIDE, 443), 1).close()
            listening.join()
    finally:
        subprocess.run(["ip", "address", "del", f"{OUTSIDE}/32", "dev", "lo"], check=True)


def stranger(labels: dict[str, str], *address: object) -> dict[str, Any]:
    """A pod that tries to reach an address."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "try",
                    "image": "motet/cli:0.1.0",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", TRY, *map(str, address)],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def reached(release: Release, labels: dict[str, str], *address: object) -> bool:
    """Whether a pod with these labels reaches an address."""
    release.kubectl("create", "--filename", "-", given=json.dumps(stranger(labels, *address)))
    done = "--for=jsonpath={.status.phase}=Succeeded"
    release.kubectl("wait", done, "pod/stranger", "--timeout=60s")
    said = release.kubectl("logs", "stranger")
    release.kubectl("delete", "pod", "stranger", "--grace-period=0")
    return said.strip() == "reached"


def reached_by(release: Release, component: str, *address: object) -> bool:
    """Whether a service's own process could reach an address."""
    command = ["python", "-c", TRY, *map(str, address)]
    return release.kubectl("exec", release.pod(component), "--", *command).strip() == "reached"


async def test_nobody_gets_in_or_out_but_who_needs_to(
    release: Release, images: Callable[..., None], outside: None
) -> None:
    images("nats:2.15", "motet/cli:0.1.0", "motet/graph-embedded:0.1.0")
    await asyncio.to_thread(release.install, EMBEDDED)
    assert reached(release, {"motet-client": "true"}, "motet-nats", 4222)
    assert not reached(release, {"app": "stranger"}, "motet-nats", 4222)
    assert not reached(release, {"motet-client": "true"}, "motet-nats-headless", 8222)
    assert not reached(release, {}, release.address("retriever"), 8080)
    # The way out is there, and is closed to services.
    assert reached(release, {}, OUTSIDE, 443)
    assert reached_by(release, "planner", "motet-nats", 4222)
    assert not reached_by(release, "planner", OUTSIDE, 443)
    assert not reached_by(release, "tool-executor", OUTSIDE, 443)
    release.kubectl("create", "secret", "generic", "keys", "--from-literal=OPENAI_API_KEY=none")
    await asyncio.to_thread(release.upgrade, {**EMBEDDED, "model": {"existingSecret": "keys"}})
    assert reached_by(release, "planner", OUTSIDE, 443)
    assert not reached_by(release, "planner", OUTSIDE, 80)
    assert not reached_by(release, "tool-executor", OUTSIDE, 443)
