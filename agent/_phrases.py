"""Phrases of predicates, read backwards: "have {value} {0}" finds ``count("stick") >= 4`` in "get four sticks"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from habilis.core import Atom, Fact, Goal, InputError, NotFoundError, Predicate, Snapshot, Term, Value, WorldSpec

_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()  # noqa: SIM905
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_TENS = dict(zip(_TEN_WORDS, range(20, 100, 10), strict=True))
_NUMBERS: dict[str, int] = {w: i for i, w in enumerate(_UNITS)} | _TENS | {"dozen": 12, "couple": 2, "hundred": 100}
_ARTICLES = {"a", "an", "the", "some", "of", "my", "your", "me", "us"}
_POLITE = re.compile(
    r"^(please|kindly|(can|could|will|would) you|i (want|need|would like|'d like)( you)?( to)?|you (should|must)"
    r"|let us|let's|try to|go and|now|then|also|finally)\s+",
    re.I,
)
_HAVE = {
    "have", "has", "own", "hold", "get", "make", "craft", "collect", "gather", "obtain", "acquire", "build", "mine",
    "produce", "bring", "fetch", "find", "want", "need", "create", "smelt", "cook", "harvest", "chop", "take",
}  # fmt: skip
_BE = {"be", "is", "are", "being", "stand", "go", "get", "stay", "come", "walk", "move", "to", "there", "up"}
_NEAR = {"near", "by", "beside", "to", "at", "next"}
_COMPARE = {
    "at least": ">=", "no fewer than": ">=", "no less than": ">=", "at most": "<=", "no more than": "<=",
    "up to": "<=", "exactly": "==", "just": "==", "more than": ">", "over": ">", "fewer than": "<", "less than": "<",
    "under": "<", "other than": "!=",
}  # fmt: skip
SAY = {">=": "", "==": "exactly ", "<=": "at most ", ">": "more than ", "<": "fewer than ", "!=": "other than "}
_LONGEST_NAME = 6  # words


class Names:
    """Names that arguments may have, found again in whatever form people write them."""

    def __init__(self, known: Iterable[str], spec: WorldSpec, snapshot: Snapshot) -> None:
        given = set(known)
        tags = {*spec.tags, *snapshot.tags}
        seen = {a for f in snapshot.facts for a in f.args if isinstance(a, str)}
        members = {m for group in (spec.tags, snapshot.tags) for t in group.values() for m in t}
        self.all: frozenset[str] = frozenset(given | tags | seen | members) if given else frozenset()
        self.by_form: dict[str, str] = {}
        for name in sorted(self.all, key=lambda n: (n.startswith("#"), n)):
            self.by_form.setdefault(spelling(name), name)

    def resolve(self, words: list[str]) -> str | None:
        """The known name that these words mean, or None; with nothing known, one word or a quoted text as it is."""
        if not self.all:
            text = " ".join(words)
            if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
                return text[1:-1]
            return text if len(words) == 1 else None
        if " ".join(words) in self.all:
            return " ".join(words)
        form = spelling(" ".join(words).strip("\"'"))
        if form.startswith(("any ", "#")):
            bare = form.removeprefix("any ").removeprefix("#")
            tagged = next((f"#{f}" for f in _numbers_of(bare) if f"#{f}" in self.by_form), None)
            if tagged is not None:
                return self.by_form[tagged]
        for candidate in _numbers_of(form):
            if candidate in self.by_form:
                return self.by_form[candidate]
        return next((self.by_form[f"#{f}"] for f in _numbers_of(form) if f"#{f}" in self.by_form), None)


def spelling(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.removeprefix("minecraft:").lower()).strip()


def _numbers_of(form: str) -> Iterator[str]:
    """The form itself, its singulars and its plurals, the likeliest first."""
    yield form
    if form.endswith("ies"):
        yield form[:-3] + "y"
    if form.endswith("ves"):
        yield form[:-3] + "f"
        yield form[:-3] + "fe"
    if form.endswith("es"):
        yield form[:-2]
    if form.endswith("s"):
        yield form[:-1]
    head, of, tail = form.partition(" of ")  # "loaves of bread"
    if of:
        yield tail
        yield f"{tail} {head}"
    yield form + "s"
    yield form + "es"
    if form.endswith("y"):
        yield form[:-1] + "ies"


def phrase_of(predicate: Predicate, arguments: int) -> str:
    phrase = predicate.phrase
    if not phrase:
        slots = " ".join(f"{{{i}}}" for i in range(arguments))
        phrase = f"{predicate.name.replace('_', ' ')} {slots}".strip()
    return phrase if not predicate.numeric or "{value}" in phrase else phrase + " {value}"


def form_of(predicate: Predicate) -> str:
    arguments = ", ".join(f'"{p.name}"' if p.type == "str" else p.name for p in predicate.parameters)
    return f"{predicate.name}({arguments})" + (" >= 1" if predicate.numeric else "")


def example_of(spec: WorldSpec) -> str:
    return " and ".join(form_of(p) for p in spec.predicates[:2]) or 'Judged("…")'


def by_phrases(text: str, spec: WorldSpec, names: Names) -> Goal:
    """Read the predicates' phrases backwards. Raises `NotFoundError` or `InputError`."""
    words = _tokens(text)
    joints = [i for i, w in enumerate(words) if w.lower() in ("and", ",", "then", ";")]
    starts = [0, *(j + 1 for j in joints)]
    ends = [*joints, len(words)]
    strangers: list[str] = []
    # Fewest clauses first, because a name may hold an "and" of its own ("flint and steel").
    reached: dict[int, tuple[tuple[Atom, ...], Predicate | None]] = {0: ((), None)}
    for i in range(len(starts)):
        if i not in reached:
            continue
        atoms, before = reached[i]
        for j in range(i, len(ends)):
            clause = words[starts[i] : ends[j]]
            if not clause and i < j:
                continue
            found = (None, before) if not clause else _clause(clause, spec, names, before, strangers)
            if found is None:
                continue
            atom, predicate = found
            longer = (*atoms, atom) if atom is not None else atoms
            if j + 1 not in reached or len(longer) < len(reached[j + 1][0]):
                reached[j + 1] = (longer, predicate)
    atoms = reached.get(len(starts), ((), None))[0]
    if atoms:
        return Goal(tuple(dict.fromkeys(atoms)))
    forms = ", ".join(form_of(p) for p in spec.predicates)
    if strangers:
        nearest = min(strangers, key=lambda s: (not get_close_matches(spelling(s), names.by_form, n=1), len(s), s))
        hint = f"This world can check: {forms}."
        raise NotFoundError.of("name", spelling(nearest).replace(" ", "_"), names.all, hint)
    said = "; ".join(phrase_of(p, len(p.parameters)) for p in spec.predicates if p.phrase)
    raise InputError(
        f"cannot read {text[:120]!r} as a goal of the world {spec.name!r}. It can check: {forms}. "
        f"Write it so, for example: {example_of(spec)}" + (f"; or in words: {said}" if said else "")
    )


def _tokens(text: str) -> list[str]:
    text = text.strip().rstrip(".!?")
    while (shorter := _POLITE.sub("", text, count=1)) != text:
        text = shorter
    tokens: list[str] = re.findall(r"\"[^\"]*\"|'[^']*'(?!\w)|[,;]|[^\s,;]+", text)
    return tokens


def _clause(
    words: list[str], spec: WorldSpec, names: Names, before: Predicate | None, strangers: list[str]
) -> tuple[Atom, Predicate] | None:
    while words and words[0].lower() in ("and", "then", "also", "please"):
        words = words[1:]
    positive = [w for w in words if w.lower() not in ("not", "don't", "no-longer")]
    negated = len(positive) < len(words)
    best: tuple[int, Atom, Predicate] | None = None
    for predicate in spec.predicates:
        for arguments in range(len(predicate.parameters), sum(p.required for p in predicate.parameters) - 1, -1):
            template = phrase_of(predicate, len(predicate.parameters)).split()
            if arguments < len(predicate.parameters):
                template = [t for t in template if not re.fullmatch(r"\{(\d+)\}", t) or int(t[1:-1]) < arguments]
            match = _match(template, positive, predicate, names, strangers)
            if match is not None and len(match.args) == arguments:
                # The phrase's own words beat others that may stand for them: "near" is rather near than at.
                said = len({_stem(t) for t in template} & {_stem(w) for w in positive})
                if best is None or said > best[0]:
                    best = said, _to_atom(predicate, match, negated), predicate
    if best is not None:
        return best[1:]
    if before is not None:  # "get 4 sticks and 2 planks": the verb is said once
        template = [t for t in phrase_of(before, len(before.parameters)).split() if "{" in t]
        match = _match(template, positive, before, names, strangers)
        if match is not None:
            return _to_atom(before, match, negated), before
    return None


class _Match:
    def __init__(self, args: tuple[Term, ...], op: str, value: Value) -> None:
        self.args, self.op, self.value = args, op, value


def _to_atom(predicate: Predicate, match: _Match, negated: bool) -> Atom:
    fact = Fact(predicate.name, match.args)
    if not predicate.numeric:
        return Atom(fact, "==", not negated)
    return Atom(fact, "<", match.value) if negated and match.op == ">=" else Atom(fact, match.op, match.value)


def _match(
    template: list[str], words: list[str], predicate: Predicate, names: Names, strangers: list[str]
) -> _Match | None:
    for args, op, value in _fit(template, words, predicate, names, strangers):
        if len(args) and max(args) != len(args) - 1:
            continue
        return _Match(tuple(args[i] for i in range(len(args))), op, value)
    return None


def _fit(
    template: list[str], words: list[str], predicate: Predicate, names: Names, strangers: list[str]
) -> Iterator[tuple[dict[int, Term], str, Value]]:
    """Every way to lay the words over the template; articles may be left out, "have" and "be" may be other verbs."""
    if not template:
        if not words:
            yield {}, ">=", 1
        return
    head, rest = template[0], template[1:]
    if head == "{value}":
        for taken, op, value in _number(words):
            for args, _, _ in _fit(rest, words[taken:], predicate, names, strangers):
                yield args, op, value
        yield from _fit(rest, words, predicate, names, strangers)
        return
    slot = re.fullmatch(r"(\W*)\{(\d+)\}(\W*)", head)
    if slot is not None:
        index = int(slot[2])
        named = words
        words = _without_articles(words)
        kind = predicate.parameters[index].type if index < len(predicate.parameters) else "str"
        for taken in range(min(_LONGEST_NAME, len(words)), 0, -1):
            argument: Term | None
            if kind == "int":
                number = next((v for t, _, v in _number(words) if t == taken), None)
                argument = int(number) if number is not None else None
            else:
                argument = names.resolve(words[:taken])
            if argument is None:
                if taken == len(words) and not rest and kind == "str" and names.all:
                    strangers.append(" ".join(words[:taken]))
                continue
            for args, op, value in _fit(rest, words[taken:], predicate, names, strangers):
                yield {**args, index: argument}, op, value
        if kind == "str" and len(named) > len(words) and named[0] in names.all:  # a thing that is called "a"
            for args, op, value in _fit(rest, named[1:], predicate, names, strangers):
                yield {**args, index: named[0]}, op, value
        return
    if head.lower() in _ARTICLES:
        yield from _fit(rest, words, predicate, names, strangers)
        if not words or words[0].lower() != head.lower():
            return
        yield from _fit(rest, words[1:], predicate, names, strangers)
        return
    verbs = next((group for group in (_HAVE, _BE, _NEAR) if head.lower() in group), set())
    if verbs is _BE or (verbs is _HAVE and rest and "{" not in rest[0]):  # "have killed {0}" may be said "killed …"
        yield from _fit(rest, words, predicate, names, strangers)
    words = words if verbs else _without_articles(words)
    if words and (words[0].lower() in verbs or _stem(words[0]) == _stem(head)):
        yield from _fit(rest, words[1:], predicate, names, strangers)
        if len(words) > 1 and words[1].lower() in (_BE if verbs is not _HAVE else ()):  # "go to", "next to"
            yield from _fit(rest, words[2:], predicate, names, strangers)


def _stem(word: str) -> str:
    return re.sub(r"(ing|ed|s|e)$", "", word.lower())


def _without_articles(words: list[str]) -> list[str]:
    while words and words[0].lower() in _ARTICLES:
        words = words[1:]
    return words


def _number(words: list[str]) -> Iterator[tuple[int, str, Value]]:
    """Numbers at the start of the words: how many words, the comparison they ask for, the value."""
    op, start = ">=", 0
    lowered = [w.lower() for w in words]
    for said, meant in _COMPARE.items():
        parts = said.split()
        if lowered[: len(parts)] == parts:
            op, start = meant, len(parts)
            break
    while start < len(words) and lowered[start] in ("a", "an") and len(words) > start + 1:
        if lowered[start + 1] not in _NUMBERS:
            yield start + 1, op, 1
            return
        start += 1
    if start >= len(words):
        return
    word = lowered[start]
    tens, dash, unit = word.partition("-")
    if re.fullmatch(r"-?\d+", word):
        yield start + 1, op, int(word)
    elif re.fullmatch(r"-?\d*\.\d+(e[+-]?\d+)?|-?\d+e[+-]?\d+", word):
        yield start + 1, op, float(word)
    elif dash and tens in _TENS and unit in _UNITS:
        yield start + 1, op, _TENS[tens] + _UNITS.index(unit)
    elif word in _NUMBERS:
        follows = lowered[start + 1] if start + 1 < len(words) else ""
        if word in _TENS and follows in _UNITS[1:10]:
            yield start + 2, op, _TENS[word] + _UNITS.index(follows)
        elif follows in ("dozen", "hundred"):
            yield start + 2, op, _NUMBERS[word] * _NUMBERS[follows]
        else:
            yield start + 1, op, _NUMBERS[word]
