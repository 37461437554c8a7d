"""The chart, rendered: what tests ask of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "CHART",
    "VALUES",
    "Chart",
    "ChartError",
    "Objects",
    "containers",
    "environment",
    "pod_of",
]

CHART = Path(__file__).parents[2] / "helm" / "motet"
VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
"""Values that somebody may well install with."""

Object = dict[str, Any]


class ChartError(Exception):
    """Helm refused; the text is what the operator reads."""


class Objects(list[Object]):
    """What an installation would apply."""

    def of(self, kind: str) -> Objects:
        """Those of a kind."""
        return Objects(each for each in self if each["kind"] == kind)

    def get(self, kind: str, name: str) -> Object:
        """The one of a kind and name."""
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def names(self, kind: str) -> set[str]:
        """The names of those of a kind."""
        return {each["metadata"]["name"] for each in self.of(kind)}

    def with_pods(self) -> Iterator[tuple[str, Object]]:
        """The kind and name of whatever has a pod, and that pod: its metadata and spec."""
        for each in self:
            if (pod := pod_of(each)) is not None:
                yield f"{each['kind']}/{each['metadata']['name']}", pod


def pod_of(item: Object) -> Object | None:
    """The pod of a workload, None of anything else."""
    if item["kind"] == "Pod":
        return item
    pod: Object | None = (item.get("spec") or {}).get("template")
    return pod


def containers(pod: Object) -> list[Object]:
    """All containers of a pod."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment(container: Object) -> dict[str, Any]:
    """Its variables: a value, or where it is from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


@dataclass
class Chart:
    """The chart, and the helm that renders it; equal values are rendered once."""

    helm: Path
    _known: dict[str, Objects] = field(default_factory=dict)

    def render(self, values: Path | Object | None = None, name: str = "motet") -> Objects:
        """What `helm install NAME` would apply.

        Raises:
            ChartError: Helm refuses the values.
        """
        text = values.read_text("utf-8") if isinstance(values, Path) else json.dumps(values or {})
        key = f"{name}\n{text}"
        if key not in self._known:
            rendered = self.run(
                "template", name, CHART, "--namespace", "mesh", "--values", "-", given=text
            )
            documents = yaml.load_all(rendered, yaml.CSafeLoader)
            self._known[key] = Objects(each for each in documents if each)
        return self._known[key]

    def run(self, *arguments: str | Path, given: str = "") -> str:
        """What helm prints.

        Raises:
            ChartError: It fails.
        """
        done = subprocess.run(
            [self.helm, *arguments], check=False, capture_output=True, text=True, input=given
        )
        if done.returncode:
            raise ChartError(done.stderr)
        return done.stdout
