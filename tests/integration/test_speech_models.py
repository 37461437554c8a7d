"""The real models: what is spoken is understood, and what is no speech stays without words."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from typing import Any

import jiwer
import numpy as np
import pytest

from motet.errors import FaultError
from motet.messages import BlobRef, SpeakRequest, TranscribeRequest, Transcript
from motet.models import weights
from motet.settings import load_settings
from motet_speech.choice import transcriber_of, voice_of
from motet_speech.decoding import SAMPLE_RATE, Decoding, Samples
from motet_speech.listening import SileroDetector
from motet_speech.settings import SpeechSettings
from motet_speech.speaking import Speaking
from motet_speech.stepping import Stepper
from motet_speech.transcription import Transcription
from tests.unit.speech.sounds import encoded, join, noise, silence, tone, wav

WHISPER, VOICE = "whisper-tiny.en", "piper-joe"
SENTENCES = (
    "The lease with Northern Properties ends in November.",
    "Nobody has signed the contract yet, and the deadline is Friday.",
    "Please call me back before noon, the number is on the second page.",
)
REF = BlobRef(name="file", size=0, sha256="0" * 64)


@pytest.fixture(autouse=True)
def _pulled() -> None:
    cache = load_settings().cache_dir
    for name in (WHISPER, VOICE):
        if not weights.installed(name, cache):
            pytest.skip(f"the weights of {name} are missing: run `motet models pull {name}`")
    pytest.importorskip("piper", reason="piper-tts is not installed: motet-speech[voice]")


@pytest.fixture
async def stepper() -> AsyncIterator[Stepper]:
    stepper = Stepper(1)
    yield stepper
    await stepper.close()


@pytest.fixture
def transcription(stepper: Stepper) -> Transcription:
    own = load_settings(SpeechSettings, model=f"local:{WHISPER}")
    transcriber = transcriber_of(own, load_settings())
    return Transcription(
        transcriber, SileroDetector(), stepper, limits=own.limits(), idle_s=own.idle_s
    )


@pytest.fixture
def speaking(stepper: Stepper) -> Speaking:
    own = load_settings(SpeechSettings, voice=f"local:{VOICE}")
    return Speaking(voice_of(own, load_settings()), stepper, max_s=100, idle_s=own.idle_s)


async def heard(transcription: Transcription, data: bytes, *, words: bool = False) -> Transcript:
    request = TranscribeRequest(audio=REF, words=words)
    return await transcription.transcribe_file(request, io.BytesIO(data))


async def said(speaking: Speaking, text: str) -> Samples:
    speech = await speaking.speak(SpeakRequest(text=text))
    return np.concatenate(list(Decoding(io.BytesIO(speech.wav), max_seconds=100).blocks()))


def errors(expected: str, found: str) -> float:
    reference, heard = (re.sub(r"[^a-z ]", "", text.lower()) for text in (expected, found))
    return jiwer.wer(reference, heard)


async def test_what_is_spoken_is_understood(
    transcription: Transcription, speaking: Speaking
) -> None:
    samples = await said(speaking, " ".join(SENTENCES))
    data = encoded(samples, "ogg", "libopus", 48_000)
    found = await heard(transcription, data, words=True)
    assert errors(" ".join(SENTENCES), found.text) < 0.1
    assert found.language == "en"
    assert found.speech_s > 0.8 * found.duration_s
    times = [time for each in found.segments for time in (each.start_s, each.end_s)]
    assert times == sorted(times)
    words = [word for each in found.segments for word in each.words]
    assert words[0].start_s < 1
    assert all(0 < (word.probability or 0) <= 1 for word in words)


async def test_a_long_recording_is_cut_in_pauses_and_keeps_its_times(
    transcription: Transcription, speaking: Speaking
) -> None:
    first, second, third = [await said(speaking, sentence) for sentence in SENTENCES]
    samples = join(silence(20), first, silence(20), second, silence(15), third)
    found = await heard(transcription, encoded(samples, "mp3", "libmp3lame"))
    assert errors(" ".join(SENTENCES), found.text) < 0.1
    begins = [20, 40 + len(first) / SAMPLE_RATE, 55 + (len(first) + len(second)) / SAMPLE_RATE]
    assert [each.start_s for each in found.segments] == pytest.approx(begins, abs=0.5)


@pytest.mark.parametrize(
    "samples",
    [silence(40), noise(40, 0.05), noise(40, 0.5), tone(10), join(tone(1), silence(5), noise(3))],
    ids=["silence", "noise", "loud noise", "tone", "mixture"],
)
async def test_what_is_no_speech_has_no_words(
    transcription: Transcription, samples: Samples
) -> None:
    found = await heard(transcription, wav(samples))
    assert (found.text, found.segments) == ("", ())


@pytest.fixture(scope="module")
def voice() -> Any:
    """The English voice, which reads the sounds of other languages as well."""
    piper = pytest.importorskip("piper", reason="piper-tts is not installed: motet-speech[voice]")
    model = weights.manifest()[VOICE].files[0].name
    return piper.PiperVoice.load(weights.path(VOICE, load_settings().cache_dir).parent / model)


def spoken_in(voice: Any, language: str, text: str) -> Samples:
    voice.config.espeak_voice = language
    pieces = [chunk.audio_float_array for chunk in voice.synthesize(text)]
    data = wav(np.concatenate(pieces), rate=voice.config.sample_rate)
    return np.concatenate(list(Decoding(io.BytesIO(data), max_seconds=100).blocks()))


async def doubts_of(transcription: Transcription, data: bytes) -> tuple[str | None, str]:
    """The language that is told, and what is said against the text."""
    try:
        found = await heard(transcription, data)
    except FaultError as error:
        if error.fault.type != "not_understood":
            raise
        return None, error.fault.message
    return found.language, " ".join(found.warnings)


@pytest.mark.parametrize(
    "language, text",
    [
        ("de", "Guten Morgen, der Wagen steht seit gestern in der Werkstatt und braucht Reifen."),
        ("fr", "Bonjour, la voiture est au garage depuis hier et il lui faut des pneus neufs."),
        ("es", "Buenos días, el coche está en el taller desde ayer y necesita ruedas nuevas."),
        ("it", "Buongiorno, la macchina è in officina da ieri e ha bisogno di gomme nuove."),
    ],
)
async def test_another_language_is_no_english_that_nobody_said(
    transcription: Transcription, voice: Any, language: str, text: str
) -> None:
    data = wav(spoken_in(voice, language, text))
    # Where understanding and guessing overlap, a warning takes the fault's place.
    language_told, doubts = await doubts_of(transcription, data)
    assert language_told is None
    assert "another language is spoken, set MOTET_SPEECH_MODEL" in doubts


async def test_english_is_understood_without_a_warning(
    transcription: Transcription, speaking: Speaking
) -> None:
    for sentence in SENTENCES:
        samples = await said(speaking, sentence)
        loudness = float(np.sqrt(np.mean(np.square(samples))))
        noisy = samples + noise(len(samples) / SAMPLE_RATE, 0.1 * loudness)
        found = await heard(transcription, wav(noisy))
        assert errors(sentence, found.text) < 0.4
        assert (found.language, found.warnings) == ("en", ())


async def test_inverted_channels_say_what_one_does(
    transcription: Transcription, speaking: Speaking
) -> None:
    samples = await said(speaking, SENTENCES[1])
    found = await heard(transcription, wav(samples, -samples))
    assert errors(SENTENCES[1], found.text) < 0.1


@pytest.mark.parametrize("word", ["Wait", "Yes"])
async def test_words_that_are_said_over_and_over_are_not_lost(
    transcription: Transcription, speaking: Speaking, word: str
) -> None:
    samples = await said(speaking, f"{word}, " * 14 + f"{word}.")
    found = await heard(transcription, wav(samples))
    count = len(re.findall(word.lower(), found.text.lower()))
    assert 7 <= count <= 30
    if count != 15:
        assert any("how often it was said is not sure" in each for each in found.warnings)


async def test_after_a_rest_the_model_is_loaded_again(
    transcription: Transcription, speaking: Speaking
) -> None:
    data = wav(await said(speaking, SENTENCES[0]))
    before = await heard(transcription, data)
    transcription.close()
    speaking.close()
    assert (await heard(transcription, data)).text == before.text
