"""What a mesh on this machine needs to find before it starts: weights of local models."""

from __future__ import annotations

from motet.errors import SetupError
from motet.models import weights
from motet.models.choice import LOCAL, choices
from motet.settings import Settings

__all__ = ["missing_weights", "served_model"]


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


def needed_weights(settings: Settings) -> list[str]:
    """The local models that these settings use, chat first.

    Raises:
        SetupError: A setting names a model that does not exist.
    """
    needed: list[str] = []
    if (chat := served_model(settings)) is not None:
        needed.append(chat)
    provider, _, name = settings.embedding_model.partition(":")
    if provider == LOCAL:
        needed.append(name)
    return needed


def missing_weights(settings: Settings) -> list[str]:
    """Those of `needed_weights` that have not been pulled."""
    return [
        name for name in needed_weights(settings) if not weights.installed(name, settings.cache_dir)
    ]


def require_weights(settings: Settings) -> None:
    """Raises SetupError, with the command that mends it, when weights are missing."""
    if missing := missing_weights(settings):
        names = " and ".join(repr(name) for name in missing)
        raise SetupError(
            f"The weights of {names} are not in {settings.cache_dir}: run "
            f"`motet models pull {' '.join(missing)}`, or set MOTET_MODEL to a model elsewhere, "
            "such as openai:gpt-4.1-mini."
        )
