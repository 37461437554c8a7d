"""The scripted model, which takes its time, and has the press do what names its skills.

    python model.py PORT SECONDS

A goal such as `press.proof, 20 s` is done by that skill.
"""

from __future__ import annotations

import re
import sys
import time
from http.server import ThreadingHTTPServer
from typing import Any

import scripted_server

GOAL = re.compile(r"(press\.\w+), (\d+) s")


class SlowAnswers(scripted_server.Answers):
    """Answers each request by the script, or for the press, after a while."""

    delay_s = 0.0

    def answer(self, form: str, asked: dict[str, Any]) -> Any:
        """An answer to a form."""
        time.sleep(self.delay_s)
        goals = GOAL.findall(asked["messages"][-1]["content"])
        if not goals:
            return super().answer(form, asked)
        skill, seconds = goals[-1]
        answers = {
            "worked_out": {"answer": "stated"},
            "route": {"skill": skill},
            "fill": {"text": "a poster", "seconds": int(seconds)},
            "text": "It is printed.",
        }
        return answers.get(form) or super().answer(form, asked)


if __name__ == "__main__":
    SlowAnswers.delay_s = float(sys.argv[2])
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), SlowAnswers).serve_forever()
