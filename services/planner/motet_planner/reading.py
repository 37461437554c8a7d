"""Reading: whether passages hold what a step looks for, and in which words.

The decisions are kept apart, because a small model that may abstain abstains too readily:

1. The model must choose lines and say what they say (it cannot decline).
2. What it says must be in those lines; otherwise the lines speak for themselves.
3. A line about another year or month than the question's is not read at all; an answer that is not
   of the kind asked for (`kinds`) decides against, a line that has every word of the question for.
4. Between the two, the model judges one thing: does this text state what is asked?
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from motet_planner.evidence import Line, lines_of, select_lines, show_lines
from motet_planner.instructions import is_instruction
from motet_planner.kinds import Kind, kind_of
from motet_planner.run import Run
from motet_planner.state import Outcome, PassageData, Quote
from motet_planner.words import (
    FIGURE,
    coverage,
    matches,
    months,
    names,
    numbers,
    quantities,
    terms,
    years,
)

__all__ = ["judge", "read"]

_MOST_LINES = 4
_ANSWER_CHARACTERS = 300
_JUDGED_CHARACTERS = 600
_OPEN_TIME = re.compile(r"\b(?:after|before|since|until|between|later|earlier|by)\b", re.IGNORECASE)
"""A question with one of these may be answered by another time than it names."""
_JUDGEMENT = {
    "type": "object",
    "properties": {
        "asked": {"type": "string", "maxLength": 100},
        "told": {"type": "string", "maxLength": 100},
        "same": {"type": "string", "enum": ["yes", "no"]},
    },
    "required": ["asked", "told", "same"],
    "additionalProperties": False,
}


async def read(
    question: str,
    passages: Sequence[PassageData],
    run: Run,
    *,
    hint: str = "",
    figure: bool = False,
    several: bool = False,
    read_before: frozenset[str] = frozenset(),
) -> Outcome:
    """What passages say to a question: an outcome that is `found` or `missing`.

    Args:
        question: What is looked for, understandable by itself.
        passages: Best first.
        run: The attempt.
        hint: The question in other words, for choosing what the model is shown.
        figure: Whether a number is wanted, for a calculation.
        several: Whether this one search has to give several figures, of one table row or of
            several things that a document tells of.
        read_before: Lines that were read in vain before. Without others that have a word of the
            question, nothing is asked of the model.
    """
    found = [line for line in lines_of(passages) if not is_instruction(line.shown)]
    fresh = [line for line in found if line.quote not in read_before and _in_time(question, line)]
    asked = f"{question} {hint}"
    lines = select_lines(asked, fresh, run.line_budget)
    if not any(coverage(asked, line.shown) for line in lines):
        return Outcome(status="missing", reason="no passage speaks of it")
    in_vain = [line.quote for line in lines]
    kind = kind_of(question)
    chosen, said = await _choose(question, lines, run)
    if again := _reconsidered(question, said, chosen, lines, kind):
        chosen, said = await _choose(question, again, run)
        lines = again
    if several and (listed := _listed(said, chosen, fresh)):
        return Outcome(status="found", answer=listed[0], quotes=_quotes(listed[1]))
    answer, chosen = _grounded(question, said, chosen, lines)
    if kind is not None and not kind.is_in(answer):
        chosen = _of_kind(kind, asked, chosen, lines)
        answer = " ".join(line.shown for line in chosen)
    if not chosen or (figure and not quantities(answer)):
        wanted = kind.name if kind else "number"
        return Outcome(status="missing", reason=f"no {wanted} is given", shown=in_vain)
    text = _with_context(question, chosen, found)
    if coverage(question, text) < 1 and not await judge(question, text, answer, run):
        return Outcome(status="missing", reason="the passages say something else", shown=in_vain)
    return Outcome(status="found", answer=answer, quotes=_quotes(chosen))


async def _choose(question: str, lines: Sequence[Line], run: Run) -> tuple[list[Line], str]:
    """Has the model choose lines, and say what they say."""
    reply = await run.ask(
        "read",
        _read_schema(len(lines)),
        max_tokens=150,
        lines=show_lines(lines),
        question=question,
    )
    chosen = [lines[number - 1] for number in dict.fromkeys(reply["lines"])]
    return chosen, str(reply["answer"]).strip()


def _reconsidered(
    question: str, said: str, chosen: Sequence[Line], lines: Sequence[Line], kind: Kind | None
) -> list[Line]:
    """Fewer lines to choose among once more; none when the first choice is sound.

    Between two stations or products a small model easily takes the neighbour's line, or the
    neighbour's figure. So when others of the lines have more of the question's names, it chooses
    among those; and when what it says is not in the lines it chose, which fit the question better
    than those where it is, it reads the chosen ones alone.
    """
    wanted = names(f"x {question}")

    def around(line: Line) -> str:
        return line.paragraph if line.leans or line.is_nameless else line.shown

    def have(line: Line) -> int:
        told = terms(f"{line.heading} {around(line)}")
        return sum(matches(name, told) for name in wanted)

    def fit(some: Sequence[Line]) -> float:
        return max((coverage(question, around(line)) for line in some), default=0.0)

    most = max(have(line) for line in chosen)
    better = [
        line for line in lines if have(line) > most and (kind is None or kind.is_in(line.shown))
    ]
    if better:
        top = max(have(line) for line in better)
        return [line for line in better if have(line) == top]
    saying = [line for line in lines if _supports(said, line.shown)]
    if saying and not set(saying) & set(chosen) and fit(chosen) >= fit(saying):
        return list(chosen)
    return []


async def judge(question: str, text: str, answer: str, run: Run) -> bool:
    """Has the model decide whether a text states what is asked.

    Naming what is asked and what is told before it decides makes a small model say `yes` to the
    wrong property half as often.
    """
    reply = await run.ask(
        "judge",
        _JUDGEMENT,
        max_tokens=90,
        question=question,
        text=text[:_JUDGED_CHARACTERS],
        answer=answer[:_ANSWER_CHARACTERS],
    )
    return reply["same"] == "yes"


def _read_schema(count: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "lines": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": count},
                "minItems": 1,
                "maxItems": _MOST_LINES,
            },
            "answer": {"type": "string", "minLength": 1, "maxLength": _ANSWER_CHARACTERS},
        },
        "required": ["lines", "answer"],
        "additionalProperties": False,
    }


def _in_time(question: str, line: Line) -> bool:
    """Whether a line can be about the time that is asked: no other year or month is spoken of."""
    if _OPEN_TIME.search(question):
        return True
    around = f"{line.heading} {line.paragraph}"
    for times in (years, months):
        asked, told = times(question), times(around)
        if asked and told and not asked & told:
            return False
    return True


def _supports(answer: str, text: str) -> bool:
    """Whether a text has an answer's numbers and names, and most of its words."""
    have = terms(text)
    return (
        numbers(answer) <= numbers(text)
        and all(matches(name, have) for name in names(f"x {answer}"))
        and coverage(answer, text) >= 0.6
    )


def _grounded(
    question: str, answer: str, chosen: Sequence[Line], lines: Sequence[Line]
) -> tuple[str, list[Line]]:
    """An answer with lines that say it: one that says it alone, else all that were chosen.

    When none say it, the chosen lines are the answer.
    """

    def text(some: Sequence[Line]) -> str:
        return " ".join(f"{line.heading} {line.shown}" for line in some)

    def best(some: Sequence[Line]) -> list[Line]:
        saying = [line for line in some if _supports(answer, line.shown)]
        saying.sort(key=lambda line: -coverage(question, f"{line.heading} {line.shown}"))
        return saying[:1]

    if _supports(answer, text(chosen)):
        return answer, best(chosen) or list(chosen)
    if found := best(lines):
        return answer, found
    return " ".join(line.shown for line in chosen)[:_ANSWER_CHARACTERS], list(chosen)


def _listed(
    said: str, chosen: Sequence[Line], lines: Sequence[Line]
) -> tuple[str, list[Line]] | None:
    """The figures of a table row, or the same figure of all things of a document; None for neither.

    The figure is told by the word that follows it in a chosen line: `180 passengers`.
    """
    if chosen[0].quote.startswith("|"):
        return chosen[0].shown, [chosen[0]]
    figure = re.search(FIGURE, said, re.IGNORECASE)
    text = " ".join(line.shown for line in chosen)
    word = figure and re.search(
        rf"\b{re.escape(figure[0])}\s+([^\W\d_]{{3,}})", text, re.IGNORECASE
    )
    if not word:
        return None
    like = re.compile(rf"(?<![\d,.])({FIGURE})\s+{re.escape(word[1])}\b", re.IGNORECASE)
    found = [
        (line, like.findall(line.shown))
        for line in lines
        if line.heading.partition(" > ")[0] == chosen[0].heading.partition(" > ")[0]
    ]
    parts = [(line, values[0]) for line, values in found if len(values) == 1]
    labels = {line.heading.rpartition(" > ")[2] for line, _ in parts}
    if len(parts) < 2 or len(labels) < len(parts):
        return None
    answer = "; ".join(
        f"{line.heading.rpartition(' > ')[2]}: {value} {word[1]}" for line, value in parts
    )
    return answer, [line for line, _ in parts]


def _of_kind(kind: Kind, asked: str, chosen: Sequence[Line], lines: Sequence[Line]) -> list[Line]:
    """The line with the kind of thing that is asked: among the chosen, else among the shown."""
    for some in (chosen, lines):
        having = [line for line in some if kind.is_in(line.shown)]
        having.sort(key=lambda line: -coverage(asked, f"{line.heading} {line.shown}"))
        if having:
            return having[:1]
    return []


def _with_context(question: str, chosen: Sequence[Line], lines: Sequence[Line]) -> str:
    """Lines under their heading, after the sentences before them that have the question's rest."""
    wanted = terms(question)
    shown = dict.fromkeys(chosen)
    for line in chosen:
        place = lines.index(line)
        for before in reversed(lines[max(0, place - 2) : place]):
            have = terms(" ".join(each.shown for each in shown) + line.heading)
            lacking = {term for term in wanted if not matches(term, have)}
            follows = line.leans and before is lines[place - 1]
            if before.passage_id == line.passage_id and (follows or lacking & terms(before.shown)):
                shown[before] = None
    ordered = sorted(shown, key=lambda line: line.order)
    headings = dict.fromkeys(line.heading for line in ordered)
    return f"({'; '.join(headings)}) " + " ".join(line.shown for line in ordered)


def _quotes(lines: Sequence[Line]) -> list[Quote]:
    return [Quote(passage=line.passage_id, text=line.quote, shown=line.shown) for line in lines]
