"""Where there is no cluster of cluster.sh, or an image is not in it, a test says so and is skipped.

What is tested here installs, kills and deletes: it is done to no other cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.cluster.release import Release
from tests.tools.built import built

NODE = "motet-node"


@pytest.fixture(scope="session")
def known_images() -> set[str]:
    """The images that the cluster has."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster: tests/cluster/cluster.sh up makes one")
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: tests/cluster/cluster.sh has one")
    asked = subprocess.run(
        ["kubectl", "get", "node", NODE, "-o", "json"], check=False, capture_output=True, text=True
    )
    if asked.returncode:
        pytest.skip(f"the cluster is none that cluster.sh made: {asked.stderr.strip()}")
    images = json.loads(asked.stdout)["status"]["images"]
    names = [name for image in images for name in image["names"] or []]
    return {name.removeprefix("docker.io/").removeprefix("library/") for name in names}


@pytest.fixture
def images(known_images: set[str]) -> Callable[..., None]:
    """`images("nats:2.15")` skips the test unless the cluster has them."""

    def need(*wanted: str) -> None:
        if missing := sorted(set(wanted) - known_images):
            pytest.skip(f"not in the cluster: {', '.join(missing)}; `cluster.sh images` loads them")

    return need


@pytest.fixture
def release(known_images: set[str]) -> Iterator[Release]:
    """A namespace for the chart, with strict rules; removed with all that is in it."""
    release = Release(built("helm") / "helm", f"try-{uuid4().hex[:6]}")
    release.kubectl("create", "namespace", release.namespace)
    release.kubectl(
        *("label", "namespace", release.namespace),
        *(
            "pod-security.kubernetes.io/enforce=restricted",
            "pod-security.kubernetes.io/warn=restricted",
        ),
    )
    yield release
    release.kubectl("delete", "namespace", release.namespace, "--timeout=300s")
