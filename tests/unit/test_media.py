"""What a file's name tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.media import is_recording, media_type


@pytest.mark.parametrize(
    "name, expected, recording",
    [
        ("notes.md", "text/markdown", False),
        ("NOTES.TXT", "text/plain", False),
        ("call.wav", "audio/wav", True),
        ("talk.MP4", "video/mp4", True),
        ("archive.tar.gz", "application/octet-stream", False),
        ("README", "application/octet-stream", False),
    ],
)
def test_a_name_tells_the_media_type(name: str, expected: str, recording: bool) -> None:
    assert media_type(Path("folder.wav", name)) == expected
    assert is_recording(expected) == recording
