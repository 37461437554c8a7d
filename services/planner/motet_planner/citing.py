"""Citing: whether each citation's passage says what the text before it says.

The check is deterministic first (`support`). A citation that is wrong is put right when another
finding's passage has the clause's numbers and names, else taken out. A clause whose numbers and
names hold but whose words hardly meet the passage's is put to the model. A sentence with a number
or name that is nowhere is dropped. Whatever a cited finding rests on is cited with it: the step of
a chain before it, the figures of a computed value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from motet.messages import Citation
from motet_planner.composing import Finding, spelled_out
from motet_planner.evidence import lines_of
from motet_planner.instructions import is_instruction
from motet_planner.reading import judge
from motet_planner.run import Run
from motet_planner.state import PassageData
from motet_planner.support import Support, has_number, support_of
from motet_planner.words import coverage, numbers

__all__ = ["Checked", "check_citations"]

_MARKER = re.compile(r"\s*\[(\d+(?:\s*,\s*\d+)*)\]")
_NO_MARKER = re.compile(r"\s*\[(?!\d)[^\]\n]{1,30}\]")
_SENTENCE = re.compile(r"(?<=[.!?])(?=\s+[^\s\[])|(?<=\])(?=\s+[A-ZÀ-Þ])|\n+")


@dataclass(frozen=True)
class Checked:
    """An answer's text whose citations hold."""

    text: str
    citations: tuple[Citation, ...]
    problems: tuple[str, ...] = ()
    """What was put right, for programs."""


@dataclass
class _Piece:
    """A clause with the findings that are cited after it."""

    clause: str
    cited: list[Finding] = field(default_factory=list[Finding])


class _Evidence:
    """What a text may stand on."""

    def __init__(
        self, goal: str, findings: Sequence[Finding], passages: Mapping[str, PassageData]
    ) -> None:
        self.goal = goal
        self.findings = findings
        self.cited = {finding.number: finding for finding in findings if finding.number}
        self.tools = [finding for finding in findings if not finding.number]
        self.computed = " ".join(finding.says for finding in self.tools)
        self._passages = passages

    def text(self, finding: Finding) -> str:
        """The words of a finding's passage, and of those that it rests on."""
        own = [finding, *(self.cited[number] for number in finding.rests_on)]
        return " ".join(self._words(each) for each in own)

    def _words(self, finding: Finding) -> str:
        if finding.quote is None:
            return finding.says
        passage = self._passages[finding.quote["passage"]]
        lines = (line.shown for line in lines_of([passage]) if not is_instruction(line.shown))
        return " ".join((passage["title"], *passage.get("section", ()), *lines))

    def support(self, clause: str, finding: Finding) -> Support:
        """How a finding supports a clause."""
        return support_of(clause, self.text(finding), self.goal, self.computed)

    def stands(self, sentence: str) -> bool:
        """Whether all findings together have the numbers and names of a sentence."""
        everything = " ".join(self.text(finding) for finding in self.findings)
        return support_of(sentence, everything, self.goal, self.computed) != Support.WRONG

    def best(self, clause: str) -> Finding | None:
        """The finding that fully supports a clause and shares most with it, if there is one."""

        def likeness(finding: Finding) -> tuple[int, float]:
            shown = finding.quote["shown"] if finding.quote else finding.says
            return len(numbers(clause) & numbers(finding.says)), coverage(clause, shown)

        supporting = [
            each for each in self.cited.values() if self.support(clause, each) == Support.FULL
        ]
        return max(supporting, key=likeness, default=None)


async def check_citations(
    text: str,
    goal: str,
    findings: Sequence[Finding],
    passages: Mapping[str, PassageData],
    run: Run,
) -> Checked:
    """The text with citations that hold, and the citations.

    When nothing of the text stands, the findings are spelled out instead: each is its own passage's
    words and so holds.
    """
    evidence = _Evidence(goal, findings, passages)
    problems: list[str] = []
    order: list[Finding] = []
    kept: list[str] = []
    text = _NO_MARKER.sub("", text)
    for sentence in (part.strip() for part in _SENTENCE.split(text) if part and part.strip()):
        if not evidence.stands(_MARKER.sub("", sentence)):
            problems.append(f"dropped, because nothing found says it: {sentence}")
            continue
        pieces = await _checked_pieces(sentence, evidence, problems, run)
        _complete(pieces, evidence)
        kept.append(_rendered(pieces, order))
    if not kept or (evidence.cited and not order):
        problems.append("the findings are spelled out, because the text did not stand")
        order = list(evidence.cited.values())
        kept = [spelled_out(findings)]
    citations = (
        _citation(number, finding, passages) for number, finding in enumerate(order, start=1)
    )
    return Checked(" ".join(kept), tuple(citations), tuple(problems))


async def _checked_pieces(
    sentence: str, evidence: _Evidence, problems: list[str], run: Run
) -> list[_Piece]:
    """The sentence in clauses, each with the findings that support it."""
    pieces: list[_Piece] = []
    start = 0
    for marker in _MARKER.finditer(sentence):
        clause = sentence[start : marker.start()]
        start = marker.end()
        if not clause.strip() and pieces:
            piece = pieces[-1]
        else:
            piece = _Piece(clause)
            pieces.append(piece)
        for number in marker[1].split(","):
            finding = evidence.cited.get(int(number))
            right = await _right_finding(piece.clause, finding, evidence, run)
            if right is not finding:
                problems.append(f"[{number.strip()}] did not hold: {piece.clause.strip()}")
            if right is not None and right not in piece.cited:
                piece.cited.append(right)
    rest = _Piece(sentence[start:])
    if not pieces and (finding := evidence.best(rest.clause)) is not None:
        rest.cited.append(finding)
    return [*pieces, rest]


async def _right_finding(
    clause: str, finding: Finding | None, evidence: _Evidence, run: Run
) -> Finding | None:
    """The finding that supports a clause: the cited one where it does."""
    if finding is not None:
        support = evidence.support(clause, finding)
        if support == Support.FULL:
            return finding
        if support == Support.UNCLEAR and await judge(
            finding.asked, evidence.text(finding), clause.strip(), run
        ):
            return finding
    return evidence.best(clause)


def _complete(pieces: Sequence[_Piece], evidence: _Evidence) -> None:
    """Adds what the cited findings, and the computed values of the sentence, rest on."""
    cited = [finding for piece in pieces for finding in piece.cited]
    for piece in pieces:
        for finding in list(piece.cited):
            for number in finding.rests_on:
                if (ground := evidence.cited[number]) not in cited:
                    cited.append(ground)
                    piece.cited.insert(piece.cited.index(finding), ground)
    last = pieces[-1] if pieces[-1].clause.strip(" .!?") or len(pieces) == 1 else pieces[-2]
    said = {value for piece in pieces for value in numbers(piece.clause)}
    for tool in evidence.tools:
        if any(has_number(tool.says, value) for value in said):
            for number in tool.rests_on:
                if (ground := evidence.cited[number]) not in cited:
                    cited.append(ground)
                    last.cited.append(ground)


def _rendered(pieces: Sequence[_Piece], order: list[Finding]) -> str:
    """The sentence with final numbers, given in the order of first use."""
    text = ""
    for piece in pieces:
        body = piece.clause.rstrip(".!? ") if piece.cited else piece.clause
        end = piece.clause[len(body) :].strip() if piece.cited else ""
        for finding in piece.cited:
            if finding not in order:
                order.append(finding)
        marks = "".join(f"[{order.index(finding) + 1}]" for finding in piece.cited)
        text += f"{body} {marks}{end}" if marks else body
    return text.strip()


def _citation(number: int, finding: Finding, passages: Mapping[str, PassageData]) -> Citation:
    if finding.quote is None:  # pragma: no cover - only findings with quotes have numbers
        raise ValueError(f"{finding!r} stands on no passage")
    passage = passages[finding.quote["passage"]]
    return Citation(
        number=number,
        passage_id=passage["id"],
        source=passage["source"],
        title=passage["title"],
        quote=finding.quote["text"],
        start=passage.get("start", 0),
        end=passage.get("end", 0),
        start_s=passage.get("start_s"),
        end_s=passage.get("end_s"),
    )
