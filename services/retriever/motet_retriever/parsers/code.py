"""Source code: a block a definition, under the names that lead to it.

Python is read by its own parser. Of other languages the layout is: a definition begins at a line
that is not indented further than its neighbours, and holds what is indented below it; one that is
large is taken apart in the same way. The text is the file's as it is.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from motet_retriever.outline import Block
from motet_retriever.parsers.parsed import Parsed
from motet_retriever.spans import Span, trimmed

__all__ = ["parse_code", "parse_python"]

LARGE = 1200
"""Characters from which on a definition is taken apart: some 300 tokens."""
DEEP = 5
"""Levels of definitions within definitions."""

_NAME_CHARACTERS = 80

Piece = tuple[int, int, tuple[str, ...]]
"""First line, line after the last, and names."""

_LINE = re.compile(r"[^\n]*\n?")
_CLOSES = re.compile(r"\s*([)}\]]|end\b|fi\b|done\b|esac\b|else\b|elif\b|catch\b|finally\b|EOF\b)")
_COMMENT = re.compile(r"\s*(//|#(?!\w)|/\*|\*|--|@|#\[)")
_NAMED = (
    re.compile(
        r"^\s*(?:[\w@#\[\]().]+\s+)*?(?:class|interface|struct|enum|union|trait|impl(?:<[^>]*>)?|"
        r"fn|func|function|def|module|namespace|type|record|object|protocol)\s+"
        r"(?:\([^)]*\)\s*)?([A-Za-z_][\w.:?!]*)"
    ),
    re.compile(
        r"^\s*create\s+(?:or\s+replace\s+)?(?:\w+\s+)?(?:table|view|function|procedure|trigger|index|"
        r"type|schema)\s+(?:if\s+not\s+exists\s+)?([\w.\"`\[\]]+)",
        re.IGNORECASE,
    ),
    re.compile(r"^\s*(?:export\s+)?(?:default\s+)?(?:const|let|var)\s+(\w+)\s*="),
    re.compile(r"^\s*\[{1,2}([^\[\]]+)\]{1,2}\s*$"),
    re.compile(r"^\s*(?:-\s+)?[\"']?([\w.$/-]+)[\"']?\s*:(?:\s|$)"),
    re.compile(r"^\s*(?:[\w:<>,*&~\[\]]+\s+)+[*&]*([A-Za-z_~][\w:~]*)\s*\([^;]*$"),
    re.compile(r"^\s*([A-Za-z_]\w*)\s*\([^;]*\)\s*\{"),
)


def parse_python(text: str) -> Parsed:
    """Python: classes, functions, methods; what this Python does not parse goes by its layout."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return parse_code(text)
    lines = _lines(text)
    return _parsed(text, lines, _python_pieces(text, lines, tree, 0, len(lines), ()))


def _python_pieces(
    text: str, lines: Sequence[Span], node: ast.AST, first: int, last: int, path: tuple[str, ...]
) -> Iterator[Piece]:
    """The lines from `first` to `last`, which are those of `node`."""
    done = first
    for child in getattr(node, "body", ()):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        begins = min([child.lineno, *(each.lineno for each in child.decorator_list)]) - 1
        ends = child.end_lineno or child.lineno
        while begins > done and text[lines[begins - 1].start :].lstrip(" \t").startswith("#"):
            begins -= 1
        if begins < done:  # two on one line
            continue
        if done < begins:
            yield done, begins, path
        name = (*path, child.name)
        size = lines[ends - 1].end - lines[begins].start
        if isinstance(child, ast.ClassDef) and size > LARGE and len(path) < DEEP:
            yield from _python_pieces(text, lines, child, begins, ends, name)
        else:
            yield begins, ends, name
        done = ends
    if done < last:
        yield done, last, path


def parse_code(text: str) -> Parsed:
    """Any other language, by its layout."""
    lines = _lines(text)
    return _parsed(text, lines, _pieces(text, lines, 0, len(lines), ()))


def _pieces(
    text: str, lines: Sequence[Span], first: int, last: int, path: tuple[str, ...]
) -> Iterator[Piece]:
    starts = _starts(text, lines, first, last)
    for start, end in zip(starts, [*starts[1:], last], strict=True):
        name = _name(text, lines, start, end)
        under = (*path, name) if name else path
        size = lines[end - 1].end - lines[start].start
        if size <= LARGE or len(under) > DEEP or end - start < 4:
            yield start, end, under
            continue
        body = _body(text, lines, start, end)
        if body is None or body[0] <= start:
            yield start, end, under
            continue
        yield start, body[0], under
        yield from _pieces(text, lines, *body, under)
        if body[1] < end:
            yield body[1], end, under


def _starts(text: str, lines: Sequence[Span], first: int, last: int) -> list[int]:
    """Where definitions begin among these lines, at the least indentation that they have."""
    least = min(
        (_indentation(text, lines[n]) for n in range(first, last) if _filled(text, lines[n])),
        default=0,
    )
    starts = [first]
    commented = False
    for number in range(first, last):
        line = text[lines[number].start : lines[number].end]
        if not line.strip() or _indentation(text, lines[number]) > least:
            commented = False
            continue
        is_comment = bool(_COMMENT.match(line))
        begins = number > first and not _CLOSES.match(line) and not commented
        blank_before = begins and not _filled(text, lines[number - 1])
        if begins and (blank_before or (not is_comment and _named(line))):
            starts.append(number)
        commented = is_comment
    return starts


def _body(text: str, lines: Sequence[Span], start: int, end: int) -> tuple[int, int] | None:
    """The lines of a definition that are indented further than its first."""
    outer = _indentation(text, lines[start])
    inner = [
        number
        for number in range(start + 1, end)
        if _filled(text, lines[number]) and _indentation(text, lines[number]) > outer
    ]
    return (inner[0], inner[-1] + 1) if inner else None


def _name(text: str, lines: Sequence[Span], start: int, end: int) -> str | None:
    """What is defined: by the first of these lines that is no comment."""
    for number in range(start, min(end, start + 40)):
        line = text[lines[number].start : lines[number].end]
        if line.strip() and not _COMMENT.match(line):
            return _named(line)
    return None


def _named(line: str) -> str | None:
    for pattern in _NAMED:
        found = pattern.match(line[:400])
        if found:
            return found[1].strip(' "`')[:_NAME_CHARACTERS] or None
    return None


def _indentation(text: str, line: Span) -> int:
    content = text[line.start : line.end].expandtabs(4)
    return len(content) - len(content.lstrip())


def _filled(text: str, line: Span) -> bool:
    return bool(text[line.start : line.end].strip())


def _lines(text: str) -> list[Span]:
    return [Span(*found.span()) for found in _LINE.finditer(text) if found[0]]


def _parsed(text: str, lines: Sequence[Span], pieces: Iterator[Piece]) -> Parsed:
    blocks = [
        Block("code", span, path)
        for first, last, path in pieces
        if (span := trimmed(text, lines[first].start, lines[last - 1].end)) is not None
    ]
    return Parsed(text, tuple(blocks))
