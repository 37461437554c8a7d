"""Transcription of read sentences: the speech agent's own path beside bare faster-whisper.

Both sides read the same files with the same weights, threads and options, one file at a time, and
take turns in going first, so that what else the machine does meets both alike. `batch` is what the
skill `speech.transcribe` does once a recording is there: decoding, detection of speech, windows,
the model, segments. `bare` is `WhisperModel.transcribe` with the file's path.

`wer` is the word error rate in percent over all words, after Whisper's normaliser for English;
`rtf` the real-time factor, seconds of work for a second of sound, models loaded before.

The data is a folder with `manifest.jsonl`, a line a recording: {"file": a path in the folder,
"text": what is said}. Read sentences are LibriSpeech's (https://www.openslr.org/12, CC BY 4.0).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jiwer
from faster_whisper import WhisperModel
from whisper_normalizer.english import EnglishTextNormalizer

from motet.messages import BlobRef, TranscribeRequest
from motet.models import weights
from motet.settings import load_settings
from motet_speech.listening import SileroDetector
from motet_speech.settings import SpeechSettings
from motet_speech.stepping import Stepper
from motet_speech.transcribers.faster import FasterWhisper, decoding_options
from motet_speech.transcribers.port import Hearing
from motet_speech.transcription import Transcription

LANGUAGE = "en"
NO_BLOB = BlobRef(name="file", size=0, sha256="0" * 64)


class Recording(NamedTuple):
    """A file, and what is said in it."""

    path: Path
    text: str


class Side:
    """What one side heard, and how long it took."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.seconds = 0.0


def recordings(folder: Path, limit: int | None) -> list[Recording]:
    """Those that the manifest names, or the first `limit` of them."""
    manifest = folder / "manifest.jsonl"
    if not manifest.exists():
        manifest = folder / "speech" / "manifest.jsonl"
    if not manifest.exists():
        raise SystemExit(f"{folder} has no manifest.jsonl: say --data, see --help.")
    lines = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
    return [Recording(manifest.parent / each["file"], each["text"]) for each in lines][:limit]


def word_error_rate(expected: Sequence[str], heard: Sequence[str]) -> float:
    """Percent, over all words."""
    normal: Callable[[str], str] = EnglishTextNormalizer()
    pairs = [(normal(a), normal(b)) for a, b in zip(expected, heard, strict=True)]
    pairs = [(a, b) for a, b in pairs if a]
    return 100 * jiwer.wer([a for a, _ in pairs], [b for _, b in pairs])


async def _measure(files: list[Recording], options: argparse.Namespace) -> dict[str, Any]:
    own = load_settings(SpeechSettings, threads=options.threads or os.cpu_count() or 1)
    folder = weights.pull(options.model, load_settings().cache_dir).parent
    asked = decoding_options(Hearing(language=LANGUAGE), beam_size=own.beam_size)
    bare_model = WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=own.threads
    )
    sides = {"batch": Side(), "bare": Side()}
    audio_s = duration_s = 0.0

    async with AsyncExitStack() as stack:
        stepper = Stepper(1)
        stack.push_async_callback(stepper.close)
        transcriber = FasterWhisper(
            f"local:{options.model}", folder, threads=own.threads, beam_size=own.beam_size
        )
        transcription = Transcription(
            transcriber, SileroDetector(), stepper, limits=own.limits(), idle_s=own.idle_s
        )
        stack.callback(transcription.close)

        async def batch(path: Path) -> tuple[str, float]:
            request = TranscribeRequest(audio=NO_BLOB, language=LANGUAGE)
            transcript = await transcription.transcribe_file(request, path.open("rb"))
            return transcript.text, transcript.duration_s

        async def bare(path: Path) -> tuple[str, float]:
            def hear() -> tuple[str, float]:
                segments, info = bare_model.transcribe(str(path), **asked)
                return " ".join(each.text.strip() for each in segments), info.duration

            return await asyncio.to_thread(hear)

        works = {"batch": batch, "bare": bare}
        for work in works.values():  # loads the models
            await work(files[0].path)
        for turn, recording in enumerate(files):
            for side in sorted(sides, reverse=bool(turn % 2)):
                begun = time.perf_counter()
                text, duration_s = await works[side](recording.path)
                sides[side].seconds += time.perf_counter() - begun
                sides[side].texts.append(text)
            audio_s += duration_s
            if (turn + 1) % 10 == 0:
                _tell(f"{turn + 1} of {len(files)} recordings, {audio_s:.0f} s of sound")
    different = sum(a != b for a, b in zip(*(side.texts for side in sides.values()), strict=True))
    _tell(f"{different} of {len(files)} transcripts differ between the sides")
    return {
        name: {
            "wer": round(word_error_rate([each.text for each in files], side.texts), 2),
            "rtf": round(side.seconds / audio_s, 4),
        }
        for name, side in sides.items()
    }


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks speech",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="whisper-tiny.en", help="a local model (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="0 takes as many as there are cores")
    parser.add_argument("--limit", type=int, help="only so many recordings")
    options = parser.parse_args(arguments)
    folder = data or Path(os.environ.get("MOTET_BENCH_DATA") or "../shared/data/speech")
    return asyncio.run(_measure(recordings(folder, options.limit), options))
