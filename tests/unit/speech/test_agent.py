"""What the speech agent announces, its settings, and what they choose."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from motet.errors import FaultError, SetupError
from motet.messages import TranscribeRequest
from motet.models import weights
from motet.settings import Settings, load_settings
from motet_speech.app import agent
from motet_speech.choice import transcriber_of, voice_of
from motet_speech.settings import SpeechSettings
from motet_speech.voices.port import Saying


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def pulled(folder: Path, *names: str) -> Settings:
    """Settings whose cache has files of the right sizes, and nothing in them."""
    for name in names:
        (folder / "models" / name).mkdir(parents=True)
        for file in weights.manifest()[name].files:
            with (folder / "models" / name / file.name).open("wb") as out:
                out.truncate(file.size)
    return Settings(cache_dir=folder)


def test_planners_see_transcribe_only() -> None:
    card = agent.card("instance")
    assert {skill.name: skill.plannable for skill in card.skills} == {
        "transcribe": True,
        "speak": False,
    }


def test_examples_are_valid_inputs() -> None:
    (transcribe,) = (skill for skill in agent.card("instance").skills if skill.plannable)
    for example in transcribe.examples:
        TranscribeRequest.model_validate(example.input)


def test_auto_takes_the_best_that_was_pulled(tmp_path: Path) -> None:
    own = load_settings(SpeechSettings)
    with pytest.raises(SetupError, match=r"motet models pull whisper-tiny\.en"):
        transcriber_of(own, Settings(cache_dir=tmp_path))
    settings = pulled(tmp_path, "whisper-tiny.en")
    assert transcriber_of(own, settings).name == "local:whisper-tiny.en"
    settings = pulled(tmp_path, "whisper-base")
    assert transcriber_of(own, settings).name == "local:whisper-base"


def test_a_model_that_is_named_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = pulled(tmp_path, "whisper-base", "whisper-tiny.en")
    monkeypatch.setenv("MOTET_SPEECH_MODEL", "local:whisper-tiny.en")
    own = load_settings(SpeechSettings)
    assert transcriber_of(own, settings).name == "local:whisper-tiny.en"


def test_openai_needs_a_key_or_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    own = load_settings(SpeechSettings, model="openai:whisper-1", voice="openai:tts-1")
    for choose in (transcriber_of, voice_of):
        with pytest.raises(SetupError, match="needs a key"):
            choose(own, Settings())
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert transcriber_of(own, Settings()).name == "openai:whisper-1"
    assert voice_of(own, Settings()).name == "openai:tts-1"


def test_openais_key_goes_to_openai_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from motet_speech import choice

    given: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(choice, "AudioApi", lambda url, key, **_: given.append((url, key)))
    monkeypatch.setenv("OPENAI_API_KEY", "openai's")
    for changes in ({}, {"url": "http://a.test/v1"}, {"url": "http://a.test/v1", "api_key": "own"}):
        transcriber_of(load_settings(SpeechSettings, model="openai:w", **changes), Settings())
    assert given == [(None, "openai's"), ("http://a.test/v1", None), ("http://a.test/v1", "own")]


@pytest.mark.skipif(
    importlib.util.find_spec("whisper") is not None, reason="openai-whisper is installed"
)
def test_the_original_whisper_is_an_extra() -> None:
    own = load_settings(SpeechSettings, model="openai-whisper:base")
    with pytest.raises(SetupError, match=r"install motet-speech\[openai-whisper\]"):
        transcriber_of(own, Settings())


def test_without_a_voice_only_speaking_is_a_fault(tmp_path: Path) -> None:
    voice = voice_of(load_settings(SpeechSettings), Settings(cache_dir=tmp_path))
    with pytest.raises(FaultError, match="motet models pull piper-joe") as raised:
        voice.say("Hello.", Saying())
    assert (raised.value.fault.type, raised.value.fault.retryable) == ("unavailable", False)
    asked_for = load_settings(SpeechSettings, voice="local:piper-joe")
    with pytest.raises(SetupError, match="motet models pull piper-joe"):
        voice_of(asked_for, Settings(cache_dir=tmp_path))


@pytest.mark.parametrize(
    "name, said",
    [
        ("local:whisper-huge", "no local speech model 'whisper-huge'; there are whisper-tiny.en"),
        ("local:piper-joe", "no local speech model 'piper-joe'"),
        ("local:all-minilm-l6-v2", "no local speech model"),
    ],
)
def test_a_model_of_another_kind_is_refused(name: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        transcriber_of(load_settings(SpeechSettings, model=name), Settings())


@pytest.mark.parametrize(
    "variable, value, said",
    [
        ("MODEL", "whisper", "neither auto nor of the form provider:name"),
        ("VOICE", "openai-whisper:base", "such as local:piper-joe or openai:gpt-4o-mini-tts"),
        ("WORKERS", "0", "greater than or equal to 1"),
    ],
)
def test_mistakes(variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MOTET_SPEECH_{variable}", value)
    with pytest.raises(SetupError, match=f"MOTET_SPEECH_{variable}='{value}' is wrong.*{said}"):
        load_settings(SpeechSettings)


def test_importing_the_agent_loads_no_model_library() -> None:
    code = (
        "import sys, motet_speech.app\n"
        "print({'ctranslate2', 'faster_whisper', 'onnxruntime', 'piper', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.strip() == "set()"
