"""The test kit for agents: what tests of the mesh itself are made with, too.

    # conftest.py
    pytest_plugins = ["motet.testing.plugin"]

    # test_weather.py
    async def test_it_knows_the_sky(mesh: TestMesh) -> None:
        await mesh.join(agent)
        assert await mesh.motet.call("weather.now", {"city": "Oslo"}) == {...}

How-to: docs/how-to/test-an-agent.md.
"""

from motet.testing.cluster import TestCluster, test_cluster
from motet.testing.faults import Flaky, Gate, losing_acks, with_fault
from motet.testing.mesh import TestMesh, test_mesh
from motet.testing.models import TEXT, Asked, ScriptedModel
from motet.testing.server import Line, TestServer, test_server
from motet.testing.traces import assert_connected, assert_tree

__all__ = [
    "TEXT",
    "Asked",
    "Flaky",
    "Gate",
    "Line",
    "ScriptedModel",
    "TestCluster",
    "TestMesh",
    "TestServer",
    "assert_connected",
    "assert_tree",
    "losing_acks",
    "test_cluster",
    "test_mesh",
    "test_server",
    "with_fault",
]
