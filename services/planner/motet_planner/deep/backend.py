"""Backend: `Files` as deepagents wants them.

What a model did wrong is an error in the result, for it to read; what the mesh cannot do now is
raised, and ends the attempt. Only the asynchronous methods exist.
"""

from __future__ import annotations

import asyncio
from base64 import standard_b64encode
from collections.abc import Sequence

from deepagents.backends.protocol import (
    BackendProtocol,
    DeleteResult,
    EditResult,
    FileData,
    FileDownloadResponse,
    FileInfo,
    FileUploadResponse,
    GlobResult,
    GrepMatch,
    GrepResult,
    LsResult,
    ReadResult,
    WriteResult,
)
from deepagents.backends.utils import (
    InvalidGlobPatternError,
    compile_grep_include_glob,
    perform_string_replacement,
    slice_read_response,
)

from motet.errors import FaultError
from motet.messages import FaultType
from motet_planner.deep.files import File, Files, clean_path, modified

__all__ = ["FilesBackend"]

_OF_THE_MODEL = {FaultType.INVALID_INPUT, FaultType.TOO_LARGE}
_AT_ONCE = 8
"""Contents that are read at the same time."""
_MATCHES = 1_000
"""Lines that a search gives at most."""


class FilesBackend(BackendProtocol):
    """A deepagents backend on the bus."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def als(self, path: str) -> LsResult:
        """What lies directly in a folder."""
        try:
            folder = clean_path(path).rstrip("/") + "/"
            files = await self._files.list(path)
        except FaultError as error:
            return LsResult(error=_said(error))
        inside = [each for each in files if each.path.startswith(folder)]
        entries = {
            name: _info(file)
            for file in inside
            if "/" not in (name := file.path.removeprefix(folder))
        }
        folders = {each.path.removeprefix(folder).split("/")[0] for each in inside}
        for name in folders - entries.keys():
            entries[name] = FileInfo(path=f"{folder}{name}/", is_dir=True, size=0)
        return LsResult(entries=[entries[name] for name in sorted(entries)])

    async def aread(self, file_path: str, offset: int = 0, limit: int = 2000) -> ReadResult:
        """Lines of a text; all of anything else, in Base64."""
        try:
            found = await self._files.read(file_path)
        except FaultError as error:
            return ReadResult(error=_said(error))
        if found is None:
            return ReadResult(error=f"File '{file_path}' not found")
        data = _data(*found)
        if data["encoding"] != "utf-8":
            return ReadResult(file_data=data)
        return slice_read_response(data, offset, limit)

    async def awrite(self, file_path: str, content: str) -> WriteResult:
        """Makes a file have a content."""
        try:
            await self._files.write(file_path, content.encode())
            return WriteResult(path=clean_path(file_path))
        except (FaultError, UnicodeEncodeError) as error:
            return WriteResult(error=_said(error))

    async def aedit(
        self,
        file_path: str,
        old_string: str,
        new_string: str,
        replace_all: bool = False,
    ) -> EditResult:
        """Replaces a text in a file, in the newest content that it has."""
        count = 0

        def edited(content: bytes | None) -> bytes:
            nonlocal count
            if content is None:
                raise _RefusedError(f"Error: File '{file_path}' not found")
            try:
                text = content.decode()
            except UnicodeDecodeError:
                raise _RefusedError("Error: Only texts can be edited.") from None
            result = perform_string_replacement(text, old_string, new_string, replace_all)
            if isinstance(result, str):
                raise _RefusedError(result)
            count = result[1]
            return result[0].encode()

        try:
            await self._files.change(file_path, edited)
            return EditResult(path=clean_path(file_path), occurrences=count)
        except _RefusedError as refused:
            return EditResult(error=str(refused))
        except (FaultError, UnicodeEncodeError) as error:
            return EditResult(error=_said(error))

    async def adelete(self, file_path: str) -> DeleteResult:
        """Removes a file, or all of a folder."""
        try:
            if await self._files.delete(file_path):
                return DeleteResult(path=clean_path(file_path))
        except FaultError as error:
            return DeleteResult(error=_said(error))
        return DeleteResult(error=f"Error: File '{file_path}' not found")

    async def agrep(
        self,
        pattern: str,
        path: str | None = None,
        glob: str | None = None,
        *,
        max_count: int | None = None,
    ) -> GrepResult:
        """Lines that have a text, literally."""
        try:
            files = await self._matching(path, glob)
        except (FaultError, InvalidGlobPatternError) as error:
            return GrepResult(error=_said(error))
        most = _MATCHES if max_count is None else max(0, min(max_count, _MATCHES))
        matches: list[GrepMatch] = []
        for data in await self._contents(files):
            lines = data[1]["content"].splitlines() if data[1]["encoding"] == "utf-8" else []
            for number, line in enumerate(lines, 1):
                if pattern in line:
                    if len(matches) == most:
                        return GrepResult(matches=matches, truncated=True)
                    matches.append(GrepMatch(path=data[0].path, line=number, text=line))
        return GrepResult(matches=matches)

    async def aglob(self, pattern: str, path: str | None = None) -> GlobResult:
        """Files whose paths match, those changed last first."""
        try:
            files = await self._matching(path, pattern)
        except (FaultError, InvalidGlobPatternError) as error:
            return GlobResult(error=_said(error))
        files.sort(key=lambda each: each.modified_at, reverse=True)
        return GlobResult(matches=[_info(each) for each in files])

    async def aupload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Stores bytes."""
        return [await self._uploaded(path, data) for path, data in files]

    async def adownload_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Gives the bytes of files."""
        return [await self._downloaded(path) for path in paths]

    async def _uploaded(self, path: str, data: bytes) -> FileUploadResponse:
        try:
            await self._files.write(path, data)
        except FaultError as error:
            wrong = error.fault.type == FaultType.INVALID_INPUT
            return FileUploadResponse(path, "invalid_path" if wrong else _said(error))
        return FileUploadResponse(path)

    async def _downloaded(self, path: str) -> FileDownloadResponse:
        try:
            found = await self._files.read(path)
        except FaultError as error:
            _said(error)
            return FileDownloadResponse(path, error="invalid_path")
        if found is None:
            return FileDownloadResponse(path, error="file_not_found")
        return FileDownloadResponse(path, found[1])

    async def _matching(self, path: str | None, glob: str | None) -> list[File]:
        root = clean_path(path or "/")
        files = await self._files.list(root)
        if glob is None:
            return files
        fits = compile_grep_include_glob(glob)
        below = root.rstrip("/") + "/"

        def relative(file: File) -> str:
            if file.path == root:
                return root.rpartition("/")[2]
            return file.path.removeprefix(below)

        return [each for each in files if fits(relative(each))]

    async def _contents(self, files: Sequence[File]) -> list[tuple[File, FileData]]:
        """Files with their contents; one that is removed meanwhile is left out."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(file: File) -> tuple[File, bytes] | None:
            async with places:
                return await self._files.read(file.path)

        found = await asyncio.gather(*map(read, files))
        return [(each[0], _data(*each)) for each in found if each is not None]


class _RefusedError(Exception):
    """An edit that cannot be; the message is for the model."""


def _said(error: Exception) -> str:
    """What the model is told of an error of its own; any other is raised."""
    if isinstance(error, FaultError):
        if error.fault.type not in _OF_THE_MODEL:
            raise error
        return f"Error: {error.fault.message}"
    return f"Error: {error}"


def _info(file: File) -> FileInfo:
    return FileInfo(path=file.path, is_dir=False, size=file.size, modified_at=modified(file))


def _data(file: File, content: bytes) -> FileData:
    try:
        text, encoding = content.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = standard_b64encode(content).decode(), "base64"
    return FileData(
        content=text,
        encoding=encoding,
        created_at=file.created_at.isoformat(),
        modified_at=modified(file),
    )
