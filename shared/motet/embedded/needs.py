"""What a mesh on this machine needs to find before it starts: weights of local models.

A distribution whose agent runs a local model of its own says so through the entry point group
`motet.weights`, under its agent's name: a function that takes the settings and gives the names of
the weights that they mean.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import entry_points

from motet.errors import SetupError
from motet.models import weights
from motet.models.choice import LOCAL, choices
from motet.settings import Settings

__all__ = ["missing_weights", "needed_weights", "require_weights", "served_model"]


def served_model(settings: Settings) -> str | None:
    """The chat model that the mesh must serve itself; None when others serve all that is used.

    Raises:
        SetupError: `MOTET_MODEL_FALLBACKS` is wrong.
    """
    here = (
        choice.name
        for choice in choices(settings)
        if choice.provider == LOCAL and choice.url is None
    )
    return next(here, None)


ENTRY_POINT_GROUP = "motet.weights"


def needed_weights(settings: Settings, agents: Collection[str] | None = None) -> list[str]:
    """The local models that these settings use, chat first.

    Args:
        settings: The mesh's.
        agents: Names of the agents that will run; None means all that are installed.

    Raises:
        SetupError: A setting names a model that does not exist.
    """
    needed: list[str] = []
    if (chat := served_model(settings)) is not None:
        needed.append(chat)
    provider, _, name = settings.embedding_model.partition(":")
    if provider == LOCAL:
        needed.append(name)
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: each.name):
        if agents is None or entry.name in agents:
            needed += entry.load()(settings)
    return list(dict.fromkeys(needed))


def missing_weights(settings: Settings, agents: Collection[str] | None = None) -> list[str]:
    """Those of `needed_weights` that have not been pulled."""
    return [
        name
        for name in needed_weights(settings, agents)
        if not weights.installed(name, *settings.weights_dirs)
    ]


def require_weights(settings: Settings, agents: Collection[str] | None = None) -> None:
    """Raises SetupError, with the command that mends it, when weights are missing."""
    if missing := missing_weights(settings, agents):
        names = " and ".join(repr(name) for name in missing)
        elsewhere = ", or set MOTET_MODEL to a model elsewhere, such as openai:gpt-4.1-mini"
        raise SetupError(
            f"The weights of {names} are not in {settings.cache_dir}: run "
            f"`motet models pull {' '.join(missing)}`"
            f"{elsewhere if served_model(settings) in missing else ''}."
        )
