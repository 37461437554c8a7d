"""The OpenAI audio API: what is sent, what is read, and what goes wrong."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from motet.errors import FaultError, SetupError
from motet_speech.listening import Stretch, Window
from motet_speech.openai_api import AudioApi
from motet_speech.transcribers.port import Hearing
from motet_speech.transcribers.remote import RemoteWhisper
from motet_speech.voices.port import Saying
from motet_speech.voices.remote import PIECE, RemoteVoice
from tests.unit.speech.sounds import tone, wav

WINDOW = Window(0.0, tone(2), (Stretch(0, 32_000),))
ANSWER = {
    "text": " Hello there.",
    "language": "english",
    "segments": [
        {"start": 0.0, "end": 1.5, "text": " Hello there.", "avg_logprob": -0.2}
        | {"no_speech_prob": 0.01},
    ],
    "words": [
        {"word": "Hello", "start": 0.1, "end": 0.5},
        {"word": "there", "start": 0.6, "end": 1.0},
    ],
}


def api(answer: Callable[[httpx.Request], httpx.Response], key: str | None = "k") -> AudioApi:
    transport = httpx.MockTransport(answer)
    return AudioApi("http://speech.test/v1/", key, timeout_s=5, transport=transport)


def answering(content: Any, asked: list[httpx.Request], status: int = 200) -> AudioApi:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        asked.append(request)
        if isinstance(content, bytes):
            return httpx.Response(status, content=content)
        return httpx.Response(status, json=content)

    return api(answer)


def test_a_window_is_sent_as_wav_and_segments_come_back() -> None:
    asked: list[httpx.Request] = []
    whisper = RemoteWhisper("whisper-1", answering(ANSWER, asked))
    heard = whisper.hear(WINDOW, Hearing(language="en", prompt="Motet", words=True))
    (segment,) = heard.segments
    assert (segment.text, segment.end_s, heard.language) == ("Hello there.", 1.5, "en")
    assert segment.average_log_probability == -0.2
    assert [(word.text, word.start_s) for word in segment.words] == [("Hello", 0.1), ("there", 0.6)]
    (request,) = asked
    assert str(request.url) == "http://speech.test/v1/audio/transcriptions"
    assert request.headers["authorization"] == "Bearer k"
    body = request.content
    for field in (b"whisper-1", b"verbose_json", b"Motet", b"word", b"RIFF"):
        assert field in body


def test_translation_has_its_own_path() -> None:
    asked: list[httpx.Request] = []
    RemoteWhisper("w", answering(ANSWER, asked)).hear(WINDOW, Hearing(translate=True))
    assert asked[0].url.path == "/v1/audio/translations"


def test_a_server_without_segments_gives_one() -> None:
    heard = RemoteWhisper("w", answering({"text": "Hello."}, [])).hear(WINDOW, Hearing())
    assert [(each.text, each.end_s) for each in heard.segments] == [("Hello.", 2)]


@pytest.mark.parametrize("content", [{}, {"segments": [{}]}, [], b"no JSON"])
def test_an_answer_of_another_form_is_a_fault(content: Any) -> None:
    with pytest.raises(FaultError) as raised:
        RemoteWhisper("w", answering(content, [])).hear(WINDOW, Hearing())
    assert raised.value.fault.type == "model_output_invalid"


@pytest.mark.parametrize(
    "status, retryable", [(401, False), (400, False), (429, True), (503, True)]
)
def test_refusals_say_whether_to_try_again(status: int, retryable: bool) -> None:
    refusing = answering({"error": {"message": "Not today."}}, [], status)
    with pytest.raises(FaultError, match=f"{status}: Not today") as raised:
        RemoteWhisper("w", refusing).hear(WINDOW, Hearing())
    assert (raised.value.fault.type, raised.value.fault.retryable) == ("model_failed", retryable)


def test_a_server_that_is_not_reached() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(FaultError, match="did not answer: connection refused") as raised:
        RemoteWhisper("w", api(refuse)).hear(WINDOW, Hearing())
    assert raised.value.fault.retryable


def test_no_key_is_needed_elsewhere_and_none_is_sent() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER)

    RemoteWhisper("w", api(answer, None)).hear(WINDOW, Hearing())
    assert "authorization" not in asked[0].headers
    with pytest.raises(SetupError, match="MOTET_SPEECH_API_KEY or OPENAI_API_KEY"):
        AudioApi(None, None, timeout_s=5)


def test_a_voice_elsewhere() -> None:
    asked: list[httpx.Request] = []
    voice = RemoteVoice("tts-1", answering(wav(tone(1.5), rate=24_000), asked))
    (spoken,) = voice.say("Hello.", Saying(voice="nova", speed=1.5))
    assert spoken.rate == 16_000
    assert len(spoken.samples) == pytest.approx(16_000, rel=0.01)
    assert b'"voice":"nova"' in asked[0].content.replace(b" ", b"")


def test_a_long_text_is_sent_in_pieces_that_are_sentences() -> None:
    asked: list[httpx.Request] = []
    voice = RemoteVoice("tts-1", answering(wav(tone(0.1)), asked))
    text = "A sentence of some length. " * 400
    assert len(list(voice.say(text, Saying()))) == len(asked) == 3
    pieces = [json.loads(request.content)["input"] for request in asked]
    assert " ".join(pieces) == text.strip()
    assert all(len(piece) <= PIECE and piece.endswith(".") for piece in pieces)
    assert len(list(voice.say("x" * 9000, Saying()))) == 3


def test_what_is_no_sound_is_a_fault() -> None:
    voice = RemoteVoice("tts-1", answering(b"Sorry, no.", []))
    with pytest.raises(FaultError, match="what is no sound") as raised:
        list(voice.say("Hello.", Saying()))
    assert raised.value.fault.type == "model_output_invalid"


def test_wav_has_what_was_heard() -> None:
    from motet_speech.wav import pcm_of, wav_of

    with wave.open(io.BytesIO(wav_of([pcm_of(WINDOW.samples)], 16_000))) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(frames / 32767 - WINDOW.samples).max() < 1e-4
