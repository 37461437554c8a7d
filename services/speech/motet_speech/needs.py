"""The weights that the speech agent's settings mean, for whoever pulls them beforehand."""

from __future__ import annotations

import importlib.util

from motet.models import weights
from motet.settings import Settings, load_settings
from motet_speech.choice import VOICE, WHISPERS
from motet_speech.settings import SpeechSettings

__all__ = ["needed_weights"]


def needed_weights(settings: Settings) -> list[str]:
    """Names of local models: what hears, then what speaks, where its package is installed."""
    own = load_settings(SpeechSettings)
    needed: list[str] = []
    provider, _, name = own.model.partition(":")
    if provider == "local":
        needed.append(name)
    elif provider == "auto" and not any(
        weights.installed(each, *settings.weights_dirs) for each in WHISPERS
    ):
        needed.append(WHISPERS[-1])
    provider, _, name = own.voice.partition(":")
    if provider == "local" or (provider == "auto" and importlib.util.find_spec("piper")):
        needed.append(name or VOICE)
    return needed
