"""A transcript as text for people and for indexes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from motet.messages import TranscriptSegment, render_srt, render_vtt, timed_text


def segment(start_s: float, end_s: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start_s=start_s, end_s=end_s, text=text)


SEGMENTS = (
    segment(0.5, 2.0, "Good morning."),
    segment(2.5, 4.5, "The rent is 900."),
    segment(3725.0, 3726.25, "Good <b>bye</b> --> now."),
)


@st.composite
def recordings(draw: st.DrawFn) -> list[TranscriptSegment]:
    moments = sorted(draw(st.lists(st.floats(0, 100_000), max_size=20)))
    texts = st.text(st.characters(codec="utf-8"), max_size=20)
    pairs = zip(moments[::2], moments[1::2], strict=False)
    return [segment(start, end, draw(texts)) for start, end in pairs]


def test_srt() -> None:
    assert render_srt(SEGMENTS).split("\n\n")[2] == (
        "3\n01:02:05,000 --> 01:02:06,250\nGood <b>bye</b> -> now.\n"
    )
    assert render_srt(()) == ""


def test_vtt() -> None:
    assert render_vtt(SEGMENTS).split("\n\n") == [
        "WEBVTT",
        "00:00:00.500 --> 00:00:02.000\nGood morning.",
        "00:00:02.500 --> 00:00:04.500\nThe rent is 900.",
        "01:02:05.000 --> 01:02:06.250\nGood &lt;b&gt;bye&lt;/b&gt; -&gt; now.\n",
    ]
    assert render_vtt(()) == "WEBVTT\n"


@given(recordings())
def test_subtitles_have_one_cue_a_segment(segments: list[TranscriptSegment]) -> None:
    clock = r"^\d{2,}:[0-5]\d:[0-5]\d[,.]\d{3} --> \d{2,}:[0-5]\d:[0-5]\d[,.]\d{3}$"
    for rendered in (render_srt(segments), render_vtt(segments)):
        assert len(re.findall(clock, rendered, re.MULTILINE)) == len(segments)
        assert rendered.count("-->") == len(segments)


def test_a_character_has_its_second() -> None:
    timed = timed_text(SEGMENTS)
    assert timed.text == "Good morning. The rent is 900.\n\nGood <b>bye</b> --> now."
    assert [mark.offset for mark in timed.marks] == [0, 14, 32]
    assert timed.heard(0, 13) == (0.5, 2.0)
    assert timed.heard(14, 30) == (2.5, 4.5)
    assert timed.heard(0, len(timed.text)) == (0.5, 3726.25)
    rent = timed.text.index("900")
    start_s, end_s = timed.heard(rent, rent + 3) or (0, 0)
    assert 3.5 < start_s < end_s < 4.5
    assert timed.heard(15) == (2.625, 4.5)
    assert timed_text(()).heard(0, 5) is None


@given(recordings(), st.data())
def test_times_grow_with_offsets(segments: list[TranscriptSegment], data: st.DataObject) -> None:
    timed = timed_text(segments)
    for mark in timed.marks:
        assert timed.heard(mark.offset) == (round(mark.start_s, 3), mark.end_s)
    if not timed.marks:
        assert timed.text == ""
        return
    start = data.draw(st.integers(0, len(timed.text) - 1))
    end = data.draw(st.integers(start + 1, len(timed.text)))
    heard = timed.heard(start, end)
    assert heard is not None
    assert timed.marks[0].start_s - 0.001 <= heard[0] <= heard[1] + 0.001
    assert heard[1] <= timed.marks[-1].end_s + 0.001
