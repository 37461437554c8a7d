"""Which models the settings mean.

Invariants:

- `provider:name` is LangChain's, with two additions: `local:` is an OpenAI-style server without a
  key (the mesh's own, or any other), and `huggingface:` is Hugging Face's inference router.
- `MOTET_MODEL_URL` is the address of the `local:` model; where the settings name none, that of
  the `openai:` one.
- `none` is no model, whatever else is set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from motet.errors import SetupError
from motet.messages import Value
from motet.settings import Settings

__all__ = [
    "LOCAL",
    "NO_MODEL",
    "PROVIDERS",
    "ModelChoice",
    "Provider",
    "choices",
    "choose",
]

LOCAL = "local"
NO_MODEL = "none"
DEFAULT_LOCAL_MODEL = "qwen2.5-coder-1.5b"
_HUGGING_FACE_ROUTER = "https://router.huggingface.co/v1"
"""https://huggingface.co/docs/inference-providers: "OpenAI-compatible API endpoint"."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider needs from the environment."""

    keys: tuple[str, ...]
    """Variables of which one holds its key."""
    default_model: str
    """What `auto` takes: its inexpensive general model that takes a temperature."""
    also: tuple[str, ...] = ()
    """Further variables that must be set."""

    def has_key(self) -> bool:
        """Whether its key is in the environment."""
        return any(os.environ.get(key) for key in self.keys)


PROVIDERS = {
    "openai": Provider(("OPENAI_API_KEY",), "gpt-4.1-mini"),
    "anthropic": Provider(("ANTHROPIC_API_KEY",), "claude-haiku-4-5"),
    "google_genai": Provider(("GOOGLE_API_KEY", "GEMINI_API_KEY"), "gemini-3.1-flash-lite"),
    "azure_openai": Provider(
        ("AZURE_OPENAI_API_KEY",),
        "gpt-4.1-mini",
        also=("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
    ),
    "huggingface": Provider(("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN"), "openai/gpt-oss-20b"),
}
"""In the order in which `auto` looks for keys. On Azure the model is the deployment's name."""


class ModelChoice(Value):
    """One model of one provider."""

    provider: str
    name: str
    url: str | None = None
    """Base URL of the OpenAI-style server; None is the provider's own."""

    @property
    def id(self) -> str:
        """`provider:name`."""
        return f"{self.provider}:{self.name}" if self.name else self.provider

    @property
    def remote(self) -> bool:
        """Whether it is a provider's: neither one on machines of the mesh's own, nor none."""
        return self.provider not in (LOCAL, NO_MODEL)

    @property
    def where(self) -> str:
        """The model and its address, for messages."""
        return f"{self.id} at {self.url}" if self.url else self.id

    @property
    def identity(self) -> str:
        """What tells its answers from another model's.

        A server on this machine may have another port at every start: its address is no part.
        """
        if self.url is None or urlsplit(self.url).hostname in {"127.0.0.1", "localhost", "::1"}:
            return self.id
        return f"{self.id}@{self.url}"


def choose(settings: Settings) -> ModelChoice:
    """The model that the settings mean first; asks nobody, so a name may still be wrong.

    For `auto` that is the server at `MOTET_MODEL_URL`, else the default model of the first
    provider whose key is in the environment, else the local model. `url` is None where a local
    model has no server yet.

    Raises:
        SetupError: As `choices`.
    """
    return choices(settings)[0]


def choices(settings: Settings) -> list[ModelChoice]:
    """The model that the settings mean and its fallbacks, in order.

    Raises:
        SetupError: A fallback is not of the form `provider:name`.
    """
    if settings.model == NO_MODEL:
        return [ModelChoice(provider=NO_MODEL, name="")]
    fallbacks = [part.strip() for part in settings.model_fallbacks.split(",") if part.strip()]
    named = [_automatic(settings) if settings.model == "auto" else settings.model, *fallbacks]
    pairs: list[tuple[str, str]] = []
    for model in named:
        provider, _, name = model.partition(":")
        if not (provider and name):
            raise SetupError(
                f"MOTET_MODEL_FALLBACKS has {model!r}, which is not of the form provider:name, "
                "such as openai:gpt-4.1-mini."
            )
        pairs.append((provider.replace("-", "_").lower(), name))
    at_url = LOCAL if any(provider == LOCAL for provider, _ in pairs) else "openai"
    urls = {"huggingface": _HUGGING_FACE_ROUTER, at_url: settings.model_url}
    return [
        ModelChoice(provider=provider, name=name, url=urls.get(provider))
        for provider, name in pairs
    ]


def _automatic(settings: Settings) -> str:
    if settings.model_url is None:
        for name, provider in PROVIDERS.items():
            if provider.has_key():
                return f"{name}:{provider.default_model}"
    return f"{LOCAL}:{DEFAULT_LOCAL_MODEL}"
