from collections.abc import Callable

import pytest

from motet.errors import FaultError, SetupError
from motet.models import chat_model, choose
from motet.models.choice import PROVIDERS, choices
from motet.settings import Settings

SettingsOf = Callable[..., Settings]


def test_auto_is_the_local_model_without_any_key(settings_of: SettingsOf) -> None:
    choice = choose(settings_of())
    assert choice.id == "local:qwen2.5-coder-1.5b"
    assert choice.url is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_auto_takes_the_provider_whose_key_is_set(
    provider: str, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROVIDERS[provider].keys[-1], "key")
    choice = choose(settings_of())
    assert choice.id == f"{provider}:{PROVIDERS[provider].default_model}"


def test_auto_takes_the_first_of_several(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert choose(settings_of()).provider == "openai"


def test_an_address_goes_before_a_key(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    choice = choose(settings_of(model_url="http://127.0.0.1:1/v1"))
    assert (choice.provider, choice.url) == ("local", "http://127.0.0.1:1/v1")


def test_the_address_is_the_local_models_where_there_is_one(settings_of: SettingsOf) -> None:
    url = "http://127.0.0.1:1/v1"
    both = settings_of(model="openai:gpt-4.1-mini", model_fallbacks="local:small", model_url=url)
    assert [choice.url for choice in choices(both)] == [None, url]
    one = settings_of(model="openai:gpt-4.1-mini", model_url=url)
    assert choose(one).url == url


def test_the_port_of_a_server_on_this_machine_is_no_part_of_its_models_identity(
    settings_of: SettingsOf,
) -> None:
    def identity(url: str) -> str:
        return choose(settings_of(model="local:small", model_url=url)).identity

    assert identity("http://127.0.0.1:1/v1") == identity("http://127.0.0.1:2/v1")
    assert identity("http://one.example/v1") != identity("http://two.example/v1")


@pytest.mark.parametrize(
    "values,words",
    [
        ({"model": "openai:gpt-4.1-mini"}, ["OPENAI_API_KEY"]),
        ({"model": "google_genai:gemini"}, ["GOOGLE_API_KEY or GEMINI_API_KEY"]),
        ({"model": "local:small"}, ["motet up", "MOTET_MODEL_URL"]),
        ({"model": "nobody:model"}, ["MOTET_MODEL=nobody:model", "openai", "local"]),
        ({"model": "cohere:command"}, ["langchain-cohere"]),
        (
            {"model_url": "http://127.0.0.1:1/v1", "model_fallbacks": "gpt-4.1"},
            ["MOTET_MODEL_FALLBACKS", "'gpt-4.1'", "provider:name"],
        ),
    ],
)
def test_a_wrong_setting_is_a_sentence_that_says_what_to_do(
    values: dict[str, str], words: list[str], settings_of: SettingsOf
) -> None:
    with pytest.raises(SetupError) as error:
        chat_model(settings_of(**values))
    for word in words:
        assert word in str(error.value)


def test_a_package_that_is_missing_is_named(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(*_: object, **__: object) -> None:
        raise ImportError("requires the langchain-anthropic package")

    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    monkeypatch.setattr("langchain.chat_models.init_chat_model", not_installed)
    with pytest.raises(SetupError, match=r"langchain-anthropic.*motet\[models,providers\]"):
        chat_model(settings_of(model="anthropic:claude-haiku-4-5"))


def test_azure_needs_an_endpoint_too(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key")
    with pytest.raises(SetupError, match="AZURE_OPENAI_ENDPOINT and OPENAI_API_VERSION"):
        chat_model(settings_of(model="azure_openai:mine"))


async def test_every_supported_provider_can_be_made(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.example")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    for provider in PROVIDERS.values():
        monkeypatch.setenv(provider.keys[0], "key")
    for name, provider in PROVIDERS.items():
        model = chat_model(settings_of(model=f"{name}:{provider.default_model}"))
        assert (model.provider, model.name) == (name, provider.default_model)
        await model.close()


async def test_none_is_no_model_whatever_else_is_set(
    settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    settings = settings_of(model="none", model_fallbacks="openai:gpt-4.1-mini")
    assert not choose(settings).remote
    model = chat_model(settings)
    with pytest.raises(FaultError, match="MOTET_MODEL is `none`: name a model") as raised:
        await model.text([("user", "Hello")], max_tokens=5)
    assert raised.value.fault.type == "model_failed"
    assert not raised.value.fault.retryable
    await model.close()
