"""What a file's name tells."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from motet.media import (
    MEDIA_TYPES,
    PICTURE_TYPES,
    input_media_type,
    is_picture,
    is_recording,
    media_type,
)


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


@pytest.mark.parametrize(
    "name, expected",
    [
        ("photo.JPG", "image/jpeg"),
        ("scan.webp", "image/webp"),
        ("lease.pdf", "application/pdf"),
        ("call.wav", "audio/wav"),
        ("README", "application/octet-stream"),
    ],
)
def test_an_input_may_be_a_picture_too(name: str, expected: str) -> None:
    assert input_media_type(PurePath("folder", name)) == expected
    assert is_picture(expected) == expected.startswith("image/")


def test_pictures_are_not_ingested() -> None:
    assert not set(MEDIA_TYPES) & set(PICTURE_TYPES)
    assert media_type(PurePath("photo.jpg")) == "application/octet-stream"
