from dataclasses import dataclass
from enum import IntEnum
from motet.text.numbers import quantities
from motet.text.words import coverage


class Support(IntEnum):
    WRONG = 0
    UNCLEAR = 1
    FULL = 2


@dataclass(frozen=True)
class Judgement:
    support: Support
    reason: str = ""


def support_of(statement, evidence, *, known="", language=None):
    have = {q.value for q in quantities(evidence + " " + known)}
    if any(q.value not in have for q in quantities(statement)):
        return Judgement(Support.WRONG)
    return Judgement(
        Support.FULL if coverage(statement, evidence + " " + known) > 0.8 else Support.UNCLEAR
    )
