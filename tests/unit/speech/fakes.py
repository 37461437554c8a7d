"""What hears and speaks in tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from motet.messages import SpokenWord, TranscriptSegment
from motet_speech.listening import Window
from motet_speech.transcribers.port import Heard, Hearing
from motet_speech.voices.port import Saying, Spoken
from tests.unit.speech.sounds import tone


class FakeTranscriber:
    """Hears one segment in each stretch of speech, unless it is told what to hear."""

    name = "fake:ears"
    pause_s = 4.0

    def __init__(
        self, *script: TranscriptSegment, window_s: float = 10, assumed: bool = False
    ) -> None:
        self.window_s = window_s
        self.assumed = assumed
        self.heard: list[tuple[Window, Hearing]] = []
        self.released = 0
        self._script = script

    def hear(self, window: Window, hearing: Hearing) -> Heard:
        self.heard.append((window, hearing))
        return Heard(self._segments(window), hearing.language or "en", self.assumed)

    def _segments(self, window: Window) -> Iterator[TranscriptSegment]:
        if self._script:
            yield from self._script
            return
        for number, each in enumerate(window.speech, start=1):
            start_s, end_s = each.start / 16_000, each.end / 16_000
            text = f"Window {len(self.heard)}, part {number}."
            word = SpokenWord(text="Window", start_s=start_s, end_s=end_s)
            yield TranscriptSegment(start_s=start_s, end_s=end_s, text=text, words=(word,))

    def release(self) -> None:
        self.released += 1


class FakeVoice:
    """Speaks a second of a tone for each word, a piece a sentence."""

    name = "fake:mouth"

    def __init__(self) -> None:
        self.said: list[tuple[str, Saying]] = []

    def say(self, text: str, saying: Saying) -> Generator[Spoken]:
        self.said.append((text, saying))
        for sentence in text.split("."):
            if words := sentence.split():
                yield Spoken(tone(len(words)), 16_000)

    def release(self) -> None:
        pass
