"""Retries: which faults are worth another attempt, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

from motet.messages import Fault
from motet.settings import Settings

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts and the growing delay between them."""

    max_attempts: int
    delay_s: float
    delay_max_s: float

    @classmethod
    def of(cls, settings: Settings, max_attempts: int | None = None) -> RetryPolicy:
        """The mesh's policy, or one with its own number of attempts."""
        return cls(
            max_attempts=max_attempts or settings.max_attempts,
            delay_s=settings.retry_delay_s,
            delay_max_s=settings.retry_delay_max_s,
        )

    def next_delay_s(self, fault: Fault, attempt: int) -> float | None:
        """Seconds until the attempt after `attempt`; None when there is none.

        Exponential growth by 2 with equal jitter (half fixed, half random), as in Brooker,
        "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. A fault that names a time
        is obeyed, however long. A fault of a delegated call, which names its agent, is not tried
        again here: that call had its attempts, and its outcome stands.
        """
        if fault.agent is not None or not fault.retryable or attempt >= self.max_attempts:
            return None
        if fault.retry_after_s is not None:
            return fault.retry_after_s
        delay = min(self.delay_s * 2 ** (attempt - 1), self.delay_max_s)
        return delay / 2 + random.uniform(0, delay / 2)  # noqa: S311 - jitter, not a secret
