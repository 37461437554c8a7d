"""Evidence: from passages to the few lines that a small model is shown.

A model on two cores reads some 60 tokens a second, so it is shown lines (sentences, list items,
table rows) instead of passages: the ones that share most with the question, with the sentence
before them when they lean on it. What always holds: a line's `quote` is literally in its passage,
and the same sentence of two overlapping passages is one line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from motet_planner.state import PassageData
from motet_planner.words import matches, names, terms

__all__ = ["Line", "lines_of", "select_lines", "sentences", "show_lines"]

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9À-Þ])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|Nr|Fig|vs|approx|ca|e\.g|i\.e)|\b[A-Z])\.$"
)
_LEANING = re.compile(
    r"""^(?: it | its | he | she | his | her | they | their | this | that | these | those | there
        | both | another | also | however | in\ addition
        | the\ (?: former | latter | first | second | other | same ) )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_WORTH = 0.3
"""Share of the best line's score below which a line is hardly the one."""
_FEW = 4
_THE = re.compile(r"(?:the|a|an)\b", re.IGNORECASE)
_TABLE_RULE = re.compile(r"^\|?[\s:|-]+\|?$")


@dataclass(frozen=True)
class Line:
    """One sentence, list item or table row of a passage."""

    passage_id: str
    quote: str
    """The passage's own words."""
    shown: str
    """What a model reads: the quote, for a table row with its columns' names."""
    heading: str
    """The document's title and the headings above the passage."""
    paragraph: str
    """The paragraph, item or row that it is in."""
    order: tuple[int, int]
    """Rank of the passage, then place in it."""

    @property
    def leans(self) -> bool:
        """Whether it begins with a word that stands for something said before."""
        return _LEANING.match(self.shown) is not None

    @property
    def is_nameless(self) -> bool:
        """Whether it says nothing of whom or what by name, as in `The journey takes an hour`."""
        return _THE.match(self.shown) is not None and not names(self.shown)


def lines_of(passages: Sequence[PassageData]) -> list[Line]:
    """The lines of passages, in the passages' order, each only once."""
    lines: list[Line] = []
    seen: set[tuple[str, str]] = set()
    for rank, passage in enumerate(passages):
        heading = " > ".join(dict.fromkeys((passage["title"], *passage.get("section", ()))))
        for place, (quote, shown, paragraph) in enumerate(_pieces(passage["text"])):
            key = (passage["source"], " ".join(shown.split()).casefold())
            if key not in seen:
                seen.add(key)
                lines.append(Line(passage["id"], quote, shown, heading, paragraph, (rank, place)))
    return lines


def _pieces(text: str) -> Iterable[tuple[str, str, str]]:
    """Literal pieces of a text, each with its shown form and the paragraph that it is in."""
    for paragraph in _paragraphs(text.split("\n")):
        if paragraph[0].lstrip().startswith("|"):
            yield from _rows(paragraph)
            continue
        whole = "\n".join(paragraph)
        around = " ".join(whole.split())
        for sentence in sentences(whole):
            yield sentence, " ".join(sentence.split()), around


def _paragraphs(rows: Iterable[str]) -> Iterable[list[str]]:
    """Rows that belong together: a paragraph, one list item, a table. Headings are left out."""
    together: list[str] = []
    for row in rows:
        stripped = row.strip()
        is_item = stripped.startswith(("- ", "* "))
        in_table = bool(together) and together[0].lstrip().startswith("|")
        if together and (
            not stripped
            or is_item
            or stripped.startswith("#")
            or stripped.startswith("|") != in_table
        ):
            yield together
            together = []
        if stripped and not stripped.startswith("#"):
            together.append(row.lstrip(" -*") if is_item else row)
    if together:
        yield together


def _rows(table: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    """The rows of a Markdown table under its first, which names the columns."""
    columns = _cells(table[0])
    for row in table[1:]:
        if not _TABLE_RULE.match(row.strip()):
            pairs = zip(columns, _cells(row), strict=False)
            shown = "; ".join(f"{name}: {cell}" for name, cell in pairs if cell)
            yield row.strip(), shown, shown
    if len(table) == 1:
        yield table[0].strip(), table[0].strip(), table[0].strip()


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def sentences(text: str) -> Iterable[str]:
    """The sentences of a text, in order."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if _ABBREVIATION.search(text[start : end.start()]):
            continue
        yield text[start : end.start()].strip()
        start = end.end()
    if rest := text[start:].strip():
        yield rest


def select_lines(question: str, lines: Sequence[Line], budget: int) -> list[Line]:
    """The lines that promise most for a question, in reading order.

    A line scores the rarity-weighted share of the question's terms that it has (those of its
    heading and its paragraph count half), plus a little for the rank of its passage. Lines far
    below the best are left out, once there are a few. `budget` is in characters.
    """
    wanted = terms(question)
    texts = [terms(line.shown) for line in lines]
    around = [terms(f"{line.heading} {line.paragraph}") for line in lines]
    weights = {
        term: math.log(1 + len(lines) / (1 + sum(matches(term, text) for text in texts)))
        for term in wanted
    }

    def score(index: int) -> float:
        total = sum(
            weight * max(matches(term, texts[index]), 0.5 * matches(term, around[index]))
            for term, weight in weights.items()
        )
        return total / (sum(weights.values()) or 1) + 0.3 / (1 + lines[index].order[0])

    chosen: set[int] = set()
    left = budget
    scores = [score(index) for index in range(len(lines))]
    least = _WORTH * max(scores, default=0)
    for index in sorted(range(len(lines)), key=lambda each: scores[each], reverse=True):
        if scores[index] < least and len(chosen) >= _FEW:
            break
        wants = [index]
        previous = index - 1
        if index and lines[index].leans and lines[previous].passage_id == lines[index].passage_id:
            wants.append(previous)
        new = [each for each in wants if each not in chosen]
        told = {lines[each].heading for each in chosen}
        cost = sum(len(lines[each].shown) + 6 for each in new)
        cost += sum(len(heading) + 3 for heading in {lines[each].heading for each in new} - told)
        if cost > left and chosen:
            continue
        left -= cost
        chosen.update(wants)
    return sorted((lines[index] for index in chosen), key=lambda line: line.order)


def show_lines(lines: Sequence[Line]) -> str:
    """Lines with numbers from 1, grouped under their document's heading."""
    shown: list[str] = []
    heading = None
    for number, line in enumerate(lines, start=1):
        if line.heading != heading:
            heading = line.heading
            shown.append(f"({heading})")
        shown.append(f"[{number}] {line.shown}")
    return "\n".join(shown)
