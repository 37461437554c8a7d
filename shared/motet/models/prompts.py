"""Prompts: files of a service's package, each with a name, a version and worked examples.

    PROMPTS = Prompts("motet_planner.prompts")
    messages = PROMPTS.load("plan").messages(goal=goal, skills=skills)

A prompt file begins with front matter (`name`, `version`, `purpose`). Its system message stands
under `# role`, `# rules` and `# form` (how the reply looks), or under `# system`; then `# user`
and `# assistant` take turns. Instructions and examples come first and what changes comes last, so
that a server which caches prefixes reads them once. `$name` stands for a value; a value is never
searched for further names.

Prompts of a folder replace those of the package: `NAME.vN.md` for all, `TENANT/NAME.vN.md` for one
tenant. Within a place the highest version counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from motet.errors import MotetError

__all__ = ["Prompt", "Prompts"]

_FILE = re.compile(r"^(?P<name>[a-z_]+)\.v(?P<version>\d+)\.md$")
_SECTION = re.compile(r"^# (role|rules|form|system|user|assistant)\n", re.MULTILINE)
_SYSTEM = {"role", "rules", "form", "system"}


@dataclass(frozen=True)
class Prompt:
    """One version of a prompt."""

    name: str
    version: int
    purpose: str
    sections: tuple[tuple[str, str], ...]
    """Pairs of a message's role and its template."""

    def messages(self, **values: str) -> list[tuple[str, str]]:
        """The messages for a model.

        Raises:
            KeyError: The prompt has a name for which no value is given.
        """
        return [(role, Template(text).substitute(values)) for role, text in self.sections]

    @property
    def examples(self) -> list[tuple[str, str]]:
        """The worked examples: pairs of what is asked and the reply."""
        turns = [section for section in self.sections if section[0] != "system"]
        return [
            (asked, reply)
            for (role, asked), (other, reply) in zip(turns[::2], turns[1::2], strict=False)
            if (role, other) == ("user", "assistant")
        ]


class Prompts:
    """The prompts of one package."""

    def __init__(self, package: str) -> None:
        """`package` is the dotted name of the package that the files are in."""
        self._package = package
        self._read: dict[tuple[str, int | None, Path | None, str], Prompt] = {}

    def load(
        self,
        name: str,
        version: int | None = None,
        *,
        folder: Path | None = None,
        tenant: str = "",
    ) -> Prompt:
        """Reads a prompt, once.

        Args:
            name: Its name.
            version: None is the newest.
            folder: Whose prompts replace the package's.
            tenant: For whom; its own folder within `folder` comes first.

        Raises:
            MotetError: There is no such prompt, or its file is malformed.
        """
        key = (name, version, folder, tenant if folder else "")
        if key not in self._read:
            self._read[key] = self._load(name, version, folder, tenant)
        return self._read[key]

    def names(self) -> list[str]:
        """The names of the package's prompts."""
        found = (_FILE.match(entry.name) for entry in files(self._package).iterdir())
        return sorted({match["name"] for match in found if match})

    def _load(self, name: str, version: int | None, folder: Path | None, tenant: str) -> Prompt:
        places: list[Traversable] = [files(self._package)]
        if folder is not None:
            places = [*([folder / tenant] if tenant else []), folder, *places]
        for place in places:
            found = _versions(name, place.iterdir() if place.is_dir() else ())
            if version in found or (version is None and found):
                entry = found[max(found) if version is None else version]
                return _parse(entry.read_text(encoding="utf-8"), entry.name)
        raise MotetError(f"There is no prompt {name!r} of version {version or 'any'}.")


def _versions(name: str, entries: Iterable[Traversable]) -> dict[int, Traversable]:
    return {
        int(match["version"]): entry
        for entry in entries
        if (match := _FILE.match(entry.name)) and match["name"] == name
    }


def _parse(text: str, file: str) -> Prompt:
    try:
        _, front, body = text.split("---\n", 2)
        facts = dict(line.split(": ", 1) for line in front.strip().splitlines())
        parts = _SECTION.split(body.strip() + "\n")[1:]
        named = [(n, content.strip()) for n, content in zip(parts[::2], parts[1::2], strict=True)]
        system = "\n\n".join(content for section, content in named if section in _SYSTEM)
        turns = [section for section in named if section[0] not in _SYSTEM]
        sections = ([("system", system)] if system else []) + turns
        prompt = Prompt(facts["name"], int(facts["version"]), facts["purpose"], tuple(sections))
    except (ValueError, KeyError) as error:
        raise MotetError(f"The prompt file {file!r} is malformed: {error}.") from None
    if file != f"{prompt.name}.v{prompt.version}.md" or not sections:
        raise MotetError(f"The prompt file {file!r} is not what its front matter says.")
    return prompt
