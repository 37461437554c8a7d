"""Parsing in processes: what hangs, swells or crashes harms nobody."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import psutil
import pytest
import xlsxwriter

from motet_retriever.parsers.parsed import UnreadableError
from motet_retriever.parsers.reading import XLSX
from motet_retriever.parsing import Bounds, Parsing
from tests.unit.retriever.files import pdf_file

LIMIT = 1_000_000


@pytest.fixture
async def parsing() -> AsyncIterator[Parsing]:
    parsing = Parsing(Bounds(processes=1, memory_bytes=600 << 20, timeout_s=30))
    yield parsing
    await parsing.close()


def children() -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process().children()
        if each.is_running() and "motet_retriever.parsers.process" in each.cmdline()
    ]


async def test_a_file_comes_back_as_text(parsing: Parsing) -> None:
    parsed = await parsing.parse(pdf_file([["A ship."], ["A dock."]]), "application/pdf", LIMIT)
    assert parsed.text == "A ship.\n\nA dock."
    assert parsed.pages == (0, 9)
    assert parsed.blocks[1].span == (9, 16)


async def test_what_cannot_be_read_says_why_and_the_process_goes_on(parsing: Parsing) -> None:
    with pytest.raises(UnreadableError, match="It is a broken PDF"):
        await parsing.parse(b"%PDF-1.4", "application/pdf", LIMIT)
    (before,) = children()
    await parsing.parse(b"<p>a</p>", "text/html", LIMIT)
    assert children() == [before]


async def test_a_process_has_no_secrets_and_writes_nothing(
    parsing: Parsing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    await parsing.parse(b"<p>a</p>", "text/html", LIMIT)
    (process,) = children()
    assert "OPENAI_API_KEY" not in process.environ()
    limits = await asyncio.to_thread(Path(f"/proc/{process.pid}/limits").read_text)
    assert re.search(r"Max file size +0 +0", limits)
    assert re.search(rf"Max address space +{600 << 20}", limits)


async def test_one_that_swells_is_reported_and_the_next_is_read(parsing: Parsing) -> None:
    with pytest.raises(UnreadableError, match="memory"):
        await parsing.parse(far_corner(), XLSX, LIMIT)
    assert (await parsing.parse(b"<p>a</p>", "text/html", LIMIT)).text == "a"


def far_corner() -> bytes:
    """A sheet with two cells at its corners, so that a dense table of it has 17 billion."""
    file = BytesIO()
    with xlsxwriter.Workbook(file) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write(0, 0, "a")
        sheet.write(1_048_575, 16_383, "b")
    return file.getvalue()


async def test_one_that_takes_too_long_is_killed() -> None:
    parsing = Parsing(Bounds(processes=1, timeout_s=0.2))
    await parsing.parse(b"<p>a</p>", "text/html", LIMIT)  # Python's own start does not count
    (process,) = children()
    with pytest.raises(UnreadableError, match=r"longer than 0\.2 seconds"):
        await parsing.parse(b"<b>a</b>" * 1_000_000, "text/html", 100_000_000)
    assert not process.is_running()
    assert children() == []
    await parsing.close()


async def test_who_is_cancelled_leaves_no_process(parsing: Parsing) -> None:
    await parsing.parse(b"<p>a</p>", "text/html", LIMIT)
    (process,) = children()
    os.kill(process.pid, 19)  # stopped, it will not answer
    waiting = asyncio.create_task(parsing.parse(b"<p>a</p>", "text/html", LIMIT))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not process.is_running()


async def test_a_killed_process_is_replaced(parsing: Parsing) -> None:
    await parsing.parse(b"<p>a</p>", "text/html", LIMIT)
    (process,) = children()
    process.kill()
    with pytest.raises(UnreadableError, match=r"crashed on it \(SIGKILL\)"):
        await parsing.parse(b"<p>a</p>", "text/html", LIMIT)
    assert (await parsing.parse(b"<p>a</p>", "text/html", LIMIT)).text == "a"


async def test_so_many_at_once(parsing: Parsing) -> None:
    pages = [b"<p>%d</p>" % n for n in range(8)]
    read = await asyncio.gather(*(parsing.parse(page, "text/html", LIMIT) for page in pages))
    assert [parsed.text for parsed in read] == [str(n) for n in range(8)]
    assert len(children()) == 1
    await parsing.close()
    assert children() == []


async def test_the_service_itself_loads_no_parser() -> None:
    code = (
        "import sys, motet_retriever.ingestion\n"
        "parsers = {'docx', 'lxml', 'pptx', 'pypdfium2', 'python_calamine'}\n"
        "print(*parsers & set(sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    output, _ = await process.communicate()
    assert (process.returncode, output.split()) == (0, [])
