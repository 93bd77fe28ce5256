"""Names for generated functions: plain ASCII whatever things are called, and no two facts alike."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from functools import lru_cache

from habilis.core import Fact, Predicate, WorldSpec

_LONGEST = 72
_PLAIN = re.compile(r"(?!any(_|$)|[0-9]+$)[a-z0-9]+(_[a-z0-9]+)*")
# what programs use themselves
_TAKEN = {"world", "skills", "tools", "n", "times", "missing", "found", "int", "max", "vain", "ahead", "remove", "look"}
_TAKEN |= {"clear_way", "obstacle"}


def skill_name(spec: WorldSpec, fact: Fact, up: bool = True) -> str:
    """The name of a skill that brings a fact about, from the predicate's phrase: ``have_stick``.

    Where another fact would be called the same, or might be, a few digits of the fact's hash follow.
    """
    return _name(spec.predicates, fact, up)


def identifier(text: str) -> str:
    """The text as a Python name that no generated program uses for something else."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    slug = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    if not slug or keyword.iskeyword(slug) or slug in _TAKEN or not slug.isidentifier():
        slug = f"make_{slug}".rstrip("_")
    return slug


def marked(name: str, of: str) -> str:
    """The name, cut where it is long, with a few digits of a hash of what it stands for."""
    return f"{name[:_LONGEST].rstrip('_')}_{hashlib.sha256(of.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


@lru_cache(maxsize=1 << 13)
def _name(predicates: tuple[Predicate, ...], fact: Fact, up: bool) -> str:
    phrases = {p.name: p.phrase or _unsaid(p.name, len(p.parameters)) for p in predicates}
    phrase = phrases.pop(fact.predicate, "") or _unsaid(fact.predicate, len(fact.args))
    words = {str(i): _words(arg) for i, arg in enumerate(fact.args)}
    slug = identifier(re.sub(r"\{(\w+)\}", lambda m: f" {words.get(m[1], '')} ", phrase))
    sure = (
        len(slug) <= _LONGEST
        and all(f"{{{i}}}" in phrase for i in words)
        and all(a >= 0 if isinstance(a, int) else _PLAIN.fullmatch(a.removeprefix("#")) for a in fact.args)
        and len({m.groups() for lazy in (True, False) if (m := _pattern(phrase, lazy).fullmatch(slug))}) == 1
        and not any(_pattern(other, True).fullmatch(slug) for other in phrases.values())
    )
    name = slug if sure else marked(slug, str(fact))
    return name if up else f"undo_{name}"


def _unsaid(predicate: str, size: int) -> str:
    return " ".join([f"make {predicate}", *(f"{{{i}}}" for i in range(size))])


def _words(arg: str | int) -> str:
    return f"any {arg[1:]}" if isinstance(arg, str) and arg.startswith("#") else str(arg)


@lru_cache(maxsize=1 << 10)
def _pattern(phrase: str, lazy: bool) -> re.Pattern[str]:
    """What the names made from a phrase look like."""
    parts = re.split(r"\{(\w+)\}", phrase)
    text = []
    for i, part in enumerate(parts):
        if i % 2 == 0:
            text += [re.escape(w) for w in re.split(r"\W+|_+", part.lower()) if w]
        elif part != "value":
            text.append(r"(\w+?)" if lazy else r"(\w+)")
    return re.compile("(?:make_)?" + "_".join(text))
