"""A release of the chart on a real cluster: what tests do with it, and ask of it.

What took how long, and what the cluster warned of, is logged: `pytest --log-cli-level=info`.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from motet.bus import Bus
from motet.settings import Settings
from motet.starting import waiting
from motet.telemetry import setup
from tests.helm.chart import CHART

log = logging.getLogger(__name__)

Object = dict[str, Any]
NAME = "motet"
WITHIN = "10m"
PODS = "app.kubernetes.io/part-of=motet"
OURS = Path(__file__).parent
ROOT = OURS.parents[1]


@dataclass(frozen=True)
class Release:
    """The chart in a namespace of its own, which enforces the security standard `restricted`."""

    helm: Path
    namespace: str

    def add_press(self) -> None:
        """Starts the scripted model, which `model.url` then names."""
        self.kubectl("apply", "--filename", str(OURS / "press" / "manifest.yaml"))
        self.kubectl("rollout", "status", "deployment/press-model", "--timeout=60s")

    def install(self, values: Object) -> None:
        """Installs, and waits until everything is ready."""
        self._apply("install", NAME, CHART, values=values)

    def upgrade(self, values: Object) -> None:
        """Upgrades to other values, and waits."""
        self._apply("upgrade", NAME, CHART, values=values)

    def roll_back(self, revision: int) -> None:
        """Goes back to a revision, and waits."""
        self._apply("rollback", NAME, str(revision))

    def uninstall(self) -> None:
        """Removes the release, and waits until its pods have gone."""
        self.run_helm("uninstall", NAME, "--wait", "--timeout", WITHIN)
        self.kubectl("wait", "--for=delete", "pod", "-l", PODS, "--timeout=180s")

    def test(self) -> str:
        """What `helm test` prints when it passes."""
        return self.run_helm("test", NAME, "--logs", "--timeout", WITHIN)

    def _apply(self, *arguments: str | Path, values: Object | None = None) -> None:
        began = time.monotonic()
        more = [] if values is None else ["--values", "-"]
        self.run_helm(
            *arguments, *more, "--wait", "--timeout", WITHIN, given=json.dumps(values or {})
        )
        log.info("%s of %s: %.0f s", arguments[0], self.namespace, time.monotonic() - began)

    def run_helm(self, *arguments: str | Path, given: str = "") -> str:
        """What helm prints of the namespace's release."""
        return _run(self.helm, *arguments, "--namespace", self.namespace, given=given)

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """What kubectl prints in the namespace."""
        return _run(_kubectl(), "--namespace", self.namespace, *arguments, given=given)

    def objects(self, *arguments: str) -> list[Object]:
        """Objects of a kind, as `kubectl get` selects them."""
        items: list[Object] = json.loads(self.kubectl("get", *arguments, "-o", "json"))["items"]
        return items

    def pods(self, component: str) -> list[Object]:
        """The pods of a component."""
        selector = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component={component}"
        return self.objects("pods", "-l", selector)

    def pod(self, component: str) -> str:
        """The name of the one pod of a component."""
        (pod,) = self.pods(component)
        name: str = pod["metadata"]["name"]
        return name

    def address(self, component: str) -> str:
        """The address of the one pod of a component."""
        (pod,) = self.pods(component)
        address: str = pod["status"]["podIP"]
        return address

    def restarts(self) -> Counter[str]:
        """How often containers ended and were started again, by pod; only those that did."""
        return +Counter(
            {
                pod["metadata"]["name"]: status["restartCount"]
                for pod in self.objects("pods")
                for status in pod["status"].get("containerStatuses", [])
            }
        )

    def warnings(self) -> Counter[str]:
        """What the cluster warned of: reason, component and message, and how often."""
        found: Counter[str] = Counter()
        for event in self.objects("events", "--field-selector", "type=Warning"):
            about = re.sub(r"-[a-z0-9]{8,10}-[a-z0-9]{5}$", "", event["involvedObject"]["name"])
            message = re.sub(r"\d+\.\d+\.\d+\.\d+:?\d*", "ADDRESS", event["message"])
            found[f"{event['reason']} {about}: {message}"] += event.get("count") or 1
        for warning, count in sorted(found.items()):
            log.info("%d x %s", count, warning)
        return found

    def out_of_memory(self) -> list[str]:
        """Pods with a container that was ended for its memory."""
        return [
            pod["metadata"]["name"]
            for pod in self.objects("pods")
            for status in pod["status"].get("containerStatuses", [])
            for state in (status["state"], status["lastState"])
            if state.get("terminated", {}).get("reason") == "OOMKilled"
        ]

    def kill(self, pod: str) -> None:
        """Ends a pod's process by SIGKILL, past the kubelet, which starts it again."""
        (status,) = self.object("pod", pod)["status"]["containerStatuses"]
        identity = status["containerID"].removeprefix("containerd://")
        _run(OURS / "cluster.sh", "kill", identity)

    def object(self, kind: str, name: str) -> Object:
        """One object."""
        found: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def secret(self, name: str, key: str) -> str:
        """A value of a Secret."""
        return base64.b64decode(self.object("secret", name)["data"][key]).decode()

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to one in the cluster, also after its pod has gone."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            local: int = free.getsockname()[1]
        over = threading.Event()
        command = [_kubectl(), "--namespace", self.namespace, "port-forward", target]
        command.append(f"{local}:{port}")

        def forward() -> None:
            while not over.is_set():
                with subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                ) as process:
                    while process.poll() is None and not over.wait(0.2):
                        pass
                    process.kill()

        keeper = threading.Thread(target=forward)
        keeper.start()
        try:
            yield local
        finally:
            over.set()
            keeper.join()

    @asynccontextmanager
    async def bus(self, user: str = "operator") -> AsyncIterator[Bus]:
        """A user's connection to the release's NATS."""
        password = self.secret(f"{NAME}-nats", f"MOTET_NATS_PASSWORD_{user.upper()}")
        with self.forwarded(f"service/{NAME}-nats", 4222) as port:
            settings = Settings(
                nats_url=f"nats://127.0.0.1:{port}",
                nats_user=user,
                nats_password=SecretStr(password),
            )
            telemetry = setup("client", settings)
            async with AsyncExitStack() as stack:
                bus = await waiting(
                    lambda: stack.enter_async_context(Bus.open(settings, telemetry)), 60
                )
                yield bus


def _kubectl() -> str:
    return shutil.which("kubectl") or "kubectl"


def _run(*command: str | Path, given: str = "") -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=given)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
