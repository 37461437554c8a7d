"""The planner for a process of its own, whose model takes its turns from the variable TURNS.

Each turn that it takes is a line of the file ASKED: how many messages the model was shown.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import motet_planner.app
from motet.testing import Asked, ScriptedModel

TURNS: list[Any] = json.loads(os.environ["TURNS"])
ASKED = Path(os.environ["ASKED"])


def act(asked: Asked) -> Any:
    """The next turn."""
    with ASKED.open("a") as file:
        file.write(json.dumps([text for _, text in asked.messages]) + "\n")
    return TURNS.pop(0)


if __name__ == "__main__":
    model = ScriptedModel({"act": act})
    motet_planner.app.chat_model = lambda _settings: model  # type: ignore[assignment]
    motet_planner.app.agent.run()
