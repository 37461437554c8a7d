"""Texts of documents and agents reach a terminal as texts, and never as commands to it."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from motet.cli import terminal
from motet.cli.console import SafeConsole

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4=\x1b\\"
"""Has a terminal put something into the clipboard."""
HIDDEN = "Pay 10 \x1b[8m000 \x1b[0meuros"
ERASED = "Delete everything?\x1b[2K\x1b[1GSay hello?"
C1 = "\x9b8mhidden\x9b0m"
REVERSED = "approve \u202eton od\u202c"


def written(*shown: object, colours: bool = False) -> str:
    file = io.StringIO()
    console = SafeConsole(file=file, width=200, highlight=False, force_terminal=colours)
    for each in shown:
        console.print(each, markup=False)
    return file.getvalue()


@pytest.mark.parametrize("text", [CLIPBOARD, HIDDEN, ERASED, C1, REVERSED])
def test_no_text_commands_the_terminal(text: str) -> None:
    table = Table("column")
    table.add_row(Text(text))
    shown = written(text, Text(text, style="bold"), table)
    assert not set(shown) & set("\x1b\x9b\u202e\u202c")
    assert "\ufffd" in shown


@given(st.text(max_size=50))
@example("\x00\x7f\x85\u2028\u2066")
def test_nothing_that_is_shown_is_a_control(text: str) -> None:
    assert {c for c in written(text) if unicodedata.category(c) == "Cc"} <= {"\n"}


def test_its_own_styles_and_bars_still_work() -> None:
    assert "\x1b[1m" in written(Text("bold", style="bold"), colours=True)
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=True, width=80)
    with Progress(console=console, transient=True) as bar:
        bar.update(bar.add_task("ingesting", total=1), completed=1)
    assert "\x1b[" in file.getvalue()


def test_plain_texts_are_as_they_were() -> None:
    assert written("Ada’s mühle\n\tnext 🙂 ✓") == "Ada’s mühle\n        next 🙂 ✓\n"


def test_every_command_writes_to_one() -> None:
    terminal.out.cache_clear()
    terminal.err.cache_clear()
    assert isinstance(terminal.out(), SafeConsole)
    assert isinstance(terminal.err(), SafeConsole)


def test_json_has_none_either(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.write_json({"text": f"{CLIPBOARD}{C1}{REVERSED}ü"})
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\x7f\x9b\u202e")
    assert "ü" in shown
    assert json.loads(shown) == {"text": f"{CLIPBOARD}{C1}{REVERSED}ü"}
