"""The page of settings, made from the code: `python -m tests.contract.settings_page`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from motet.bus.standing import StandingSettings
from motet.settings import ServiceSettings, Settings
from motet_evaluator.settings import EvaluatorSettings
from motet_graph.settings import GraphSettings
from motet_planner.settings import PlannerSettings
from motet_retriever.settings import RetrieverSettings
from motet_speech.settings import SpeechSettings
from motet_tool_executor.settings import ToolExecutorSettings

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"

_SECTIONS: tuple[tuple[str, type[ServiceSettings]], ...] = (
    ("Every process and client", Settings),
    ("The provisioner", StandingSettings),
    ("planner", PlannerSettings),
    ("retriever", RetrieverSettings),
    ("graph", GraphSettings),
    ("tool_executor", ToolExecutorSettings),
    ("speech", SpeechSettings),
    ("evaluator", EvaluatorSettings),
)
_INTRODUCTION = """# Settings

Environment variables; a wrong value stops the process with a sentence that names it. Keys of model
providers (`OPENAI_API_KEY` and the like) and OpenTelemetry's `OTEL_…` variables are read as their
makers define them.
"""


def page() -> str:
    """The page as it should be."""
    sections = [_section(title, settings) for title, settings in _SECTIONS]
    return "\n".join([_INTRODUCTION, *sections])


def _section(title: str, settings: type[ServiceSettings]) -> str:
    prefix = settings.model_config.get("env_prefix", "")
    rows = [
        f"| `{prefix}{name.upper()}` | {_default(field)} | {_about(field)} |"
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(
        [f"## {title}\n", "| variable | default | meaning |", "|---|---|---|", *rows, ""]
    )


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or SecretStr in get_args(field.annotation):
        return ""
    return f"`{value}`" if value != "" else ""


def _about(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
