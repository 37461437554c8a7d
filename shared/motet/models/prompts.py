"""Prompts: files of a service's package, each with a name, a version and worked examples.

    PROMPTS = Prompts("motet_planner.prompts")
    messages = PROMPTS.load("plan").messages(goal=goal, skills=skills)

A prompt file begins with front matter (`name`, `version`, `purpose`), followed by sections headed
`# system`, `# user` and `# assistant`. The instructions and examples come first and the only thing
that changes comes last, so that a server which caches prefixes reads them once. `$name` stands for
a value; a value is never searched for further names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from motet.errors import MotetError

__all__ = ["Prompt", "Prompts"]

_FILE = re.compile(r"^(?P<name>[a-z_]+)\.v(?P<version>\d+)\.md$")
_SECTION = re.compile(r"^# (system|user|assistant)\n", re.MULTILINE)


@dataclass(frozen=True)
class Prompt:
    """One version of a prompt."""

    name: str
    version: int
    purpose: str
    sections: tuple[tuple[str, str], ...]
    """Pairs of role and template."""

    def messages(self, **values: str) -> list[tuple[str, str]]:
        """The messages for a model.

        Raises:
            KeyError: The prompt has a name for which no value is given.
        """
        return [(role, Template(text).substitute(values)) for role, text in self.sections]


class Prompts:
    """The prompts of one package."""

    def __init__(self, package: str) -> None:
        """`package` is the dotted name of the package that the files are in."""
        self._package = package
        self._read: dict[tuple[str, int | None], Prompt] = {}

    def load(self, name: str, version: int | None = None) -> Prompt:
        """Reads a prompt; without a version, its newest.

        Raises:
            MotetError: There is no such prompt, or its file is malformed.
        """
        if (name, version) not in self._read:
            self._read[name, version] = self._load(name, version)
        return self._read[name, version]

    def _load(self, name: str, version: int | None) -> Prompt:
        found = {
            int(match["version"]): entry
            for entry in files(self._package).iterdir()
            if (match := _FILE.match(entry.name)) and match["name"] == name
        }
        if not found or (version is not None and version not in found):
            raise MotetError(f"There is no prompt {name!r} of version {version or 'any'}.")
        entry = found[version or max(found)]
        return _parse(entry.read_text(encoding="utf-8"), entry.name)


def _parse(text: str, file: str) -> Prompt:
    try:
        _, front, body = text.split("---\n", 2)
        facts = dict(line.split(": ", 1) for line in front.strip().splitlines())
        parts = _SECTION.split(body.strip() + "\n")[1:]
        sections = tuple(
            (role, content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)
        )
        prompt = Prompt(facts["name"], int(facts["version"]), facts["purpose"], sections)
    except (ValueError, KeyError) as error:
        raise MotetError(f"The prompt file {file!r} is malformed: {error}.") from None
    if file != f"{prompt.name}.v{prompt.version}.md" or not sections:
        raise MotetError(f"The prompt file {file!r} is not what its front matter says.")
    return prompt
