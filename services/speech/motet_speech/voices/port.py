"""The port behind which voices are: a text in, samples out."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from motet_speech.decoding import Samples

__all__ = ["Saying", "Spoken", "Voice"]


@dataclass(frozen=True, slots=True)
class Saying:
    """How to speak."""

    voice: str | None = None
    """A voice that the model has; None takes its usual one."""
    speed: float = 1.0
    """1 is as usual, 2 twice as fast."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A piece of what was said: a sentence, or all of it."""

    samples: Samples
    rate: int
    """Samples a second, the same in every piece."""


class Voice(Protocol):
    """Speaks. Used by threads, several at once, which may block."""

    name: str
    """`provider:name`."""

    def say(self, text: str, saying: Saying) -> Generator[Spoken]:
        """The text in pieces, in order.

        Raises:
            FaultError: `model_failed` when the model does not answer, `not_found` when there is no
                such voice, `unavailable` when nothing can speak here.
        """
        ...

    def release(self) -> None:
        """Gives back the memory of the model, which the next `say` loads again."""
        ...
