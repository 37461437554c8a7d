"""The tool executor's own settings, `MOTET_TOOL_EXECUTOR_...`."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict

from motet.settings import ServiceSettings

__all__ = ["ToolExecutorSettings"]


class ToolExecutorSettings(ServiceSettings):
    """What only the tool executor reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_TOOL_EXECUTOR_")

    plugins: bool = True
    """Whether tools of other installed distributions (entry point group `motet.tools`) are run."""
    disabled: str = ""
    """Names of tools that are not offered, separated by commas."""
    time_zone: str = "UTC"
    """IANA name of the time zone that `today` is meant in when a request names none."""

    @property
    def disabled_names(self) -> frozenset[str]:
        """`disabled`, split."""
        return frozenset(name.strip() for name in self.disabled.split(",") if name.strip())

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError):  # what ZoneInfo raises, depending on the name
            raise ValueError("it is not the IANA name of a zone, such as Europe/Berlin") from None
        return name
