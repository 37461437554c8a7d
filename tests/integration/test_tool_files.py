"""Tables as files: what is in the object store is read by the tools as text."""

from __future__ import annotations

import pytest

from motet.bus import Blobs
from motet.errors import FaultError
from motet.messages import (
    TableAggregateRequest,
    TableAggregateResult,
    TableLookupRequest,
    TableLookupResult,
)
from motet.testing.mesh import TestMesh
from motet_tool_executor.app import agent

TEXT = "Órgano;Edad\nCádiz;1.205\nJaén;640,5\n"


@pytest.fixture
async def tools(mesh: TestMesh) -> TestMesh:
    await mesh.join(agent)
    return mesh


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_a_table_in_a_file_is_looked_up_and_added_up(tools: TestMesh, encoding: str) -> None:
    table = await Blobs(tools.bus).put("inputs/a.csv", TEXT.encode(encoding), filename="a.csv")
    found = await tools.motet.call(
        "tool_executor.table_lookup",
        TableLookupRequest(table=table, where={"órgano": "Jaén"}),
        TableLookupResult,
    )
    assert found.table.rows == (("Jaén", "640,5"),)
    total = await tools.motet.call(
        "tool_executor.table_aggregate",
        TableAggregateRequest(table=table, operation="sum", column="Edad"),
        TableAggregateResult,
    )
    assert total.value == "1845.5"


async def test_a_file_that_is_no_text_is_a_fault(tools: TestMesh) -> None:
    table = await Blobs(tools.bus).put("inputs/b.csv", b"\x93\xfa\xff\x00", filename="b.csv")
    with pytest.raises(FaultError, match=r"'b\.csv' is no text in UTF-8") as raised:
        await tools.motet.call("tool_executor.table_lookup", TableLookupRequest(table=table))
    assert raised.value.fault.type == "invalid_input"
