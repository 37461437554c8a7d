"""The folder of an embedded store: whose it is, and what is in it.

Invariants:

- At most one process has the folder claimed; the claim ends with the process, however it ends.
- `store.json` says by what the contents were made. It is written before there are any, and contents
  made otherwise are refused, never mixed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from motet.errors import SetupError

__all__ = ["StoreFolder"]

QDRANT = "qdrant"
"""The store of a folder that does not say."""
KINDS = {QDRANT: "qdrant", "catalogue": "faiss, chroma or milvus"}
"""The settings that work with a folder, by what it says of its store."""


class StoreFolder:
    """A claimed folder."""

    def __init__(self, path: Path, made_by: Mapping[str, str | int]) -> None:
        """Claims `path`, which is made if need be.

        Raises:
            SetupError: The folder cannot be written, another process has it, or its contents were
                made by something else than `made_by`.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            # Not bound to a thread: the claim is the process's.
            self._lock = FileLock(path / "lock", timeout=0, thread_local=False)
            self._lock.acquire()
        except Timeout:
            raise SetupError(
                f"The passage store {path} is open in another process. Stop that one, or set "
                "MOTET_RETRIEVER_STORE_DIR to a folder of its own for this one."
            ) from None
        except OSError as error:
            raise SetupError(
                f"The passage store {path} cannot be written: {error.strerror or error}. Make the "
                "folder writable, or set MOTET_RETRIEVER_STORE_DIR to another."
            ) from error
        try:
            self._check(made_by)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Ends the claim."""
        self._lock.release()

    def _check(self, made_by: Mapping[str, str | int]) -> None:
        file = self.path / "store.json"
        if not file.exists():
            new = file.with_suffix(".new")
            new.write_text(json.dumps(made_by, indent=2) + "\n", encoding="utf-8")
            new.replace(file)
            return
        try:
            there: dict[str, str | int] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SetupError(
                f"{file} is damaged ({error}). Restore it, or remove the folder {self.path} and "
                "ingest the documents again."
            ) from None
        kind, wanted = there.get("store", QDRANT), made_by.get("store", QDRANT)
        if kind != wanted:
            raise SetupError(
                f"{self.path} holds a passage store made with MOTET_RETRIEVER_STORE="
                f"{KINDS.get(str(kind), kind)}, and this process is set to {KINDS[str(wanted)]}. "
                "Set it back, or set MOTET_RETRIEVER_STORE_DIR to a new folder and ingest the "
                "documents again."
            )
        if there.get("format") != made_by["format"]:
            raise SetupError(
                f"The passage store {self.path} has format {there.get('format')!r}, and this "
                f"version of the retriever works with {made_by['format']!r}. Remove the folder "
                "and ingest the documents again."
            )
        different = [
            f"{name} {there.get(name)!r}, and this process works with {value!r}"
            for name, value in made_by.items()
            if there.get(name) != value
        ]
        if different:
            raise SetupError(
                f"The passage store {self.path} was made with {'; '.join(different)}. Set it back "
                "(MOTET_EMBEDDING_MODEL says which embedding model is used), or set "
                "MOTET_RETRIEVER_STORE_DIR to a new folder and ingest the documents again."
            )
