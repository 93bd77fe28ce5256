"""The front matter of a SKILL.md: YAML between two lines ``---``, read strictly.

Every value is a text, a list or a mapping of texts: ``version: 1.0`` means "1.0", as the format's reference reader has
it. Keys may stand once only; anchors and aliases, with which a few lines can stand for gigabytes, are refused.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from habilis.core.errors import InputError

__all__ = ["departures", "front_matter", "split"]

NAME, DESCRIPTION, COMPATIBILITY = 64, 1_024, 500  # characters, as the specification has them
_FRONT = 64_000  # characters of front matter; the specification's fields take a few thousand
_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def split(text: str, where: str) -> tuple[Mapping[str, Any], str]:
    """The front matter, and the text after it. Raises `InputError` saying what is broken, and in which line."""
    text = text.removeprefix("\ufeff")
    found = _MATTER.match(text)
    if found is None:
        raise InputError(
            f"the SKILL.md of {where} has no front matter; it begins with a line ---, then name: and description:, "
            "then a line ---"
        )
    if len(found[1]) > _FRONT:
        raise InputError(
            f"the front matter of {where} has {len(found[1])} characters; the limit is {_FRONT}; put text below it"
        )
    return _read(found[1], where), text[found.end() :]


def front_matter(fields: Mapping[str, Any]) -> str:
    """The fields as front matter, in their order."""
    import yaml

    text = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=10**6)
    return f"---\n{text}---\n"


def departures(front: Mapping[str, Any], folder: str) -> list[str]:
    """Where the front matter departs from the specification (agentskills.io/specification)."""
    found = []
    name, about = front.get("name"), front.get("description")
    if not isinstance(name, str) or not name:
        found.append("it has no name")
    else:
        if len(name) > NAME or not _NAME.fullmatch(name):
            found.append(f"the name {name[:80]!r} is not lower-case letters, digits and single hyphens, {NAME} at most")
        if name != folder:
            found.append(f"the name {name[:80]!r} is not that of its folder, {folder!r}")
    if not isinstance(about, str) or not about.strip():
        found.append("it has no description")
    elif len(about) > DESCRIPTION:
        found.append(f"the description has {len(about)} characters, the limit is {DESCRIPTION}")
    fits = front.get("compatibility")
    if fits is not None and (not isinstance(fits, str) or not 0 < len(fits) <= COMPATIBILITY):
        found.append(f"compatibility is not a text of 1 to {COMPATIBILITY} characters")
    more = front.get("metadata", {})
    if not isinstance(more, Mapping) or not all(isinstance(v, str) for v in more.values()):
        found.append("metadata is no mapping of texts")
    return found


def _read(text: str, where: str) -> Mapping[str, Any]:
    import yaml

    try:
        data = yaml.load(text, _loader())
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 2}" if error.problem_mark is not None else ""
        raise InputError(f"the front matter of {where}{line}: {_said(error.problem)}; mend it") from None
    except yaml.YAMLError as error:
        raise InputError(f"the front matter of {where}: {_said(error)}; mend it and import again") from None
    except RecursionError:
        raise InputError(f"the front matter of {where} is nested too deeply; it is a flat list of fields") from None
    if not isinstance(data, dict):
        raise InputError(f"the front matter of {where} holds no fields; write name: … and description: …")
    return data


def _said(problem: object) -> str:
    return " ".join(str(problem).split())[:300]


@functools.cache
def _loader() -> Any:
    import yaml
    from yaml.composer import ComposerError
    from yaml.constructor import ConstructorError

    class Strict(yaml.BaseLoader):
        """Texts, lists and mappings; nothing else is ever made, whatever the tags say."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise ComposerError(None, None, "anchors (&) and aliases (*) are not taken", event.start_mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise ConstructorError(None, None, "a key must be a text", key.start_mark)
                if key.value in seen:
                    raise ConstructorError(None, None, f"the key {key.value[:80]!r} is there twice", key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Strict
