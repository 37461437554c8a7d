"""Capability: how far a chat model can be left to itself.

Two profiles exist. A `capable` model calls tools and is never overruled; a `small` one is asked one
thing at a time and computes through tools. Which one a model gets depends on the model, not on who
runs it:

1. The setting `MOTET_MODEL_PROFILE` decides where it is set.
2. Else the model's card does: LangChain's for providers' models, Motet's own for the weights that
   it pulls.
3. Else `MOTET_MODEL_TOOLS` does, where it is set.
4. Else a probe does: the model is offered a tool and asked for something that needs it. The result
   is kept on disk by the model's identity.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from motet.errors import FaultError
from motet.messages import Value
from motet.models import weights
from motet.models.choice import LOCAL
from motet.models.metering import meter
from motet.settings import Settings

if TYPE_CHECKING:
    from motet.models.endpoint import Endpoint

__all__ = ["Capability", "Profile", "capability_of"]

log = logging.getLogger(__name__)

Profile = Literal["small", "capable"]

_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "retriever__search",
        "description": "Finds passages of documents for a question.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["query"],
        },
    },
}
_PROBE = (
    ("system", "Facts come from the tool only. Call it before you answer."),
    ("user", "Who was the mayor of Tvillinge in 1987? Look at three passages."),
)
_PROBE_TOKENS = 200


class Capability(Value):
    """How a model is to be used."""

    profile: Profile
    calls_tools: bool
    """Whether the model calls tools in its provider's own form."""
    why: str
    """The reason for the profile, as a phrase."""


async def capability_of(endpoint: Endpoint, settings: Settings) -> Capability:
    """Finds out how a model is to be used; asks the model itself only as the last resort."""
    choice, card = endpoint.choice, endpoint.card
    tools = settings.model_tools
    if settings.model_profile != "auto":
        said = f"MOTET_MODEL_PROFILE is {settings.model_profile}"
        calls = _calls(tools, card, settings.model_profile == "capable")
        return Capability(profile=settings.model_profile, calls_tools=calls, why=said)
    if choice.provider == LOCAL and (known := weights.profile(choice.name)) is not None:
        return Capability(
            profile=known,
            calls_tools=_calls(tools, card, known == "capable"),
            why=f"the card of {choice.name} says so",
        )
    if "tool_calling" in card:
        acts = bool(card["tool_calling"])
        return Capability(
            profile="capable" if acts else "small",
            calls_tools=_calls(tools, card, acts),
            why=f"the card of {choice.id} says that it {'calls' if acts else 'does not call'} tools",
        )
    if tools is not None:
        profile: Profile = "capable" if tools else "small"
        said = f"MOTET_MODEL_TOOLS is {str(tools).lower()}"
        return Capability(profile=profile, calls_tools=tools, why=said)
    return await _probed(endpoint, settings)


def _calls(setting: bool | None, card: Mapping[str, Any], otherwise: bool) -> bool:
    return bool(card.get("tool_calling", otherwise)) if setting is None else setting


async def _probed(endpoint: Endpoint, settings: Settings) -> Capability:
    """Asks the model once, and keeps what came of it; a model that fails is asked again later."""
    name = hashlib.sha256(endpoint.choice.identity.encode()).hexdigest()[:32]
    file = settings.cache_dir / "capabilities" / f"{name}.json"
    if (kept := _kept(file)) is None:
        try:
            kept = await _acts(endpoint)
        except FaultError as error:
            why = f"{endpoint.choice.id} did not answer the probe: {error.fault.message}"
            return Capability(profile="small", calls_tools=False, why=why)
        _keep(file, kept)
    said = f"{endpoint.choice.id} {'called' if kept else 'did not call'} the tool of the probe"
    return Capability(profile="capable" if kept else "small", calls_tools=kept, why=said)


async def _acts(endpoint: Endpoint) -> bool:
    """Whether the model calls the probe's tool with an input that fits."""
    from langchain_core.messages import convert_to_messages

    from motet.models.endpoint import Request

    messages = convert_to_messages(_PROBE)
    token = meter.set(None)  # a question of the mesh's own, which no task pays
    try:
        reply = await endpoint.ask(Request(messages, _PROBE_TOKENS, tools=(_TOOL,)))
    finally:
        meter.reset(token)
    return any(
        call["name"] == _TOOL["function"]["name"] and isinstance(call["args"].get("query"), str)
        for call in reply.message.tool_calls
    )


def _kept(file: Path) -> bool | None:
    try:
        value: Any = json.loads(file.read_text())["calls_tools"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, bool) else None


def _keep(file: Path, acts: bool) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps({"calls_tools": acts}))
        temporary.replace(file)
    except OSError as error:
        log.warning("the capability of a model could not be kept: %s", error)
