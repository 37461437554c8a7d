"""LangChain's models of each provider, made by its `init_chat_model` and `init_embeddings`.

Mistakes of set-up end here, as a sentence: a provider that does not exist, a key that is missing,
a package that is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from motet.errors import SetupError
from motet.models.choice import LOCAL, PROVIDERS, ModelChoice
from motet.models.endpoint import Endpoint, LocalEndpoint, OpenAIEndpoint, OtherEndpoint
from motet.settings import Settings

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

__all__ = ["embeddings_of", "endpoint_of"]

_RETRIES = 2
"""Further tries of the providers' own clients after 408, 409, 429, 5xx or no connection, with
growing waits, or as long as `Retry-After` says."""
_CONNECT_TIMEOUT_S = 10.0
_NO_KEY = "none"
_OPENAI_STYLE = {"openai", LOCAL, "huggingface", "azure_openai"}


def endpoint_of(choice: ModelChoice, settings: Settings) -> Endpoint:
    """A chat model to ask.

    Raises:
        SetupError: It cannot be made from what is installed and set.
    """
    _check_environment(choice, "MOTET_MODEL")
    with _setup_errors(choice, "MOTET_MODEL"):
        from langchain.chat_models import init_chat_model

        provider, options = _chat_options(choice, settings)
        model = init_chat_model(choice.name, model_provider=provider, **options)
    shared: dict[str, Any] = {
        "timeout_s": settings.model_timeout_s,
        "record_content": settings.record_content,
    }
    if choice.provider not in _OPENAI_STYLE:
        return OtherEndpoint(choice, model, **shared)
    if choice.provider == LOCAL:
        return LocalEndpoint(choice, model, **shared)
    restricted = choice.url is None
    return OpenAIEndpoint(choice, model, restricted_schemas=restricted, **shared)


def embeddings_of(choice: ModelChoice) -> Embeddings:
    """A remote embedding model.

    Raises:
        SetupError: It cannot be made from what is installed and set.
    """
    _check_environment(choice, "MOTET_EMBEDDING_MODEL")
    with _setup_errors(choice, "MOTET_EMBEDDING_MODEL"):
        from langchain.embeddings import init_embeddings

        options: dict[str, Any] = {}
        if choice.provider in {"openai", "azure_openai"}:
            # Else the client fetches a tokenizer from a host of its own to cut long texts.
            options["check_embedding_ctx_length"] = False
        made: Any = init_embeddings(choice.name, provider=choice.provider, **options)
    embeddings: Embeddings = made
    return embeddings


def _chat_options(choice: ModelChoice, settings: Settings) -> tuple[str, dict[str, Any]]:
    """LangChain's name of the provider, and what it is told."""
    limits: dict[str, Any] = {"max_retries": _RETRIES, "timeout": settings.model_timeout_s}
    if choice.provider not in _OPENAI_STYLE:
        return choice.provider, limits if choice.provider in PROVIDERS else {}
    import openai

    # A timeout of this type also keeps LangChain from sharing connections across event loops.
    limits["timeout"] = openai.Timeout(settings.model_timeout_s, connect=_CONNECT_TIMEOUT_S)
    if choice.provider == "azure_openai":
        return choice.provider, {**limits, "azure_deployment": choice.name}
    keys = PROVIDERS[choice.provider].keys if choice.provider in PROVIDERS else ()
    key = next((value for key in keys if (value := os.environ.get(key))), _NO_KEY)
    options = {**limits, "api_key": key, "use_responses_api": False}
    return "openai", options if choice.url is None else {**options, "base_url": choice.url}


def _check_environment(choice: ModelChoice, variable: str) -> None:
    if choice.provider == LOCAL:
        if choice.url is None:
            raise SetupError(
                f"{variable}={choice.id} has no server: `motet up` starts one, or set "
                "MOTET_MODEL_URL to an OpenAI-style server such as http://127.0.0.1:8000/v1."
            )
        return
    provider = PROVIDERS.get(choice.provider)
    if provider is None or (choice.provider == "openai" and choice.url is not None):
        return
    if not provider.has_key():
        raise SetupError(f"{variable}={choice.id} needs a key: set {' or '.join(provider.keys)}.")
    if missing := [name for name in provider.also if not os.environ.get(name)]:
        raise SetupError(f"{variable}={choice.id} needs more: set {' and '.join(missing)}.")


@contextmanager
def _setup_errors(choice: ModelChoice, variable: str) -> Generator[None]:
    """Makes what LangChain raises while it builds a model a sentence that says what to do."""
    try:
        yield
    except ImportError as error:
        extra = "providers" if choice.provider in PROVIDERS else "models"
        raise SetupError(
            f"{variable}={choice.id} needs a package that is not installed ({error}): "
            f"install `motet[models,{extra}]`, or the package that is named."
        ) from error
    except Exception as error:
        known = ", ".join([*PROVIDERS, LOCAL])
        raise SetupError(
            f"{variable}={choice.id} cannot be used: {error} Well supported are {known}."
        ) from error
