"""Recall: which skills fit what someone says, best first, with the reasons.

    recall = Recall(embedder, index)
    recall.hold(skills)                      # id -> skill; the index holds their `skill_texts`
    for hit in recall.search("get four sticks", skills, Search(k=3, state=snapshot)):
        print(hit.skill.name, hit.args, hit.why)

The story, in order:

1. *Candidates*: the nearest by vector, and all that share a telling word. A skill with choices is a candidate once per
   case, so that "birch planks" finds ``have_planks`` with ``kind="birch_planks"``.
2. *Fusion*: cosine and BM25, each z-scored over the candidates, weighted (`SHARES`). A skill is listed once, by its
   best case; where the words fit all of them alike ("planks"), a case whose needs hold is taken.
3. *Contract*: against a state, what each case needs and whether its goal holds already.
4. *Abstention*: the chance that a hit serves, fitted on labelled requests (`_calibration`); below `TRUST`, no answer.
5. *Diversity*: maximal marginal relevance, so that k hits are not k near-copies. The first stays first.
6. *Budget*: hits with the source of all that they call, in order, while they fit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from habilis.core import (
    Atom,
    Case,
    Embedder,
    GoalSyntaxError,
    InputError,
    Json,
    Kind,
    Skill,
    Snapshot,
    VectorIndex,
    fill,
)
from habilis.memory.library._calibration import TRUST, chance_of, share_of
from habilis.memory.library._lexical import Lexicon
from habilis.memory.library._texts import Entry, entries, skill_text, skill_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Hit", "Recall", "Search", "estimate_tokens", "skill_text", "skill_texts"]

_POOL = 200  # candidates by vector, and as many by words: more changes the first few hits no longer


@dataclass(frozen=True)
class Hit:
    """A skill that was found.

    ``args``: the case that fits, where the skill has choices. ``dense``: cosine similarity, and ``z_dense`` how many
    standard deviations above the mean of the candidates; ``lexical``: BM25 (0: no word in common), ``z_lexical``
    likewise; ``score``: both z-scores, weighted; ``margin``: its lead over the best other skill; ``common``: the share
    of the request's telling words that its text has. ``chance``: that it serves (fitted on best hits, see
    docs/embedding.md), to be held against ``threshold``. ``lacks``: what it needs and the given state does not have;
    ``ready``: nothing lacks; ``done``: its goal, with these arguments, holds already. ``closure``: all that it calls,
    what is called first, and itself last; ``tokens``: the estimated length of their sources. ``entry``: its id in the
    index; ``also``: other cases of the skill that are among the ``k`` best texts. ``why``: all this in plain words.
    """

    skill: Skill
    score: float
    dense: float
    lexical: float
    why: str = ""
    ready: bool = True
    args: Mapping[str, Json] = field(default_factory=dict)
    z_dense: float = 0.0
    z_lexical: float = 0.0
    margin: float = 0.0
    common: float = 0.0
    chance: float = 0.0
    threshold: float = TRUST
    lacks: tuple[str, ...] = ()
    done: bool = False
    closure: tuple[Skill, ...] = ()
    tokens: int = 0
    entry: str = ""
    also: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is asked of a search.

    ``k``: how many hits at most. ``state``: what holds now; without one, needs and goals are not looked at.
    ``unready``: skills whose needs do not hold come "last", or "drop" out. ``fingerprint``: of the world whose skills
    are wanted. ``floor``: a skill with a cosine below it and no word in common is no hit. ``abstain``: answer nothing
    where no hit has the chance that is asked for. ``diversity``: 0 (by score alone) to 1 (as unlike as can be), the
    weight of being unlike the hits before. ``tokens``: how long the sources of all hits, with what they call, may be
    together (`estimate_tokens`); what does not fit is passed over. Raises `InputError`.
    """

    k: int = 5
    state: Snapshot | None = None
    unready: str = "last"
    fingerprint: str | None = None
    floor: float = 0.1
    abstain: bool = False
    diversity: float = 0.0
    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.unready not in ("last", "drop"):
            raise InputError(f"unready is 'last' or 'drop', got {self.unready!r}")
        if not 0 <= self.diversity <= 1:
            raise InputError(f"diversity is a number from 0 to 1, got {self.diversity!r}")
        if self.tokens is not None and self.tokens < 0:
            raise InputError(f"tokens is a number of at least 0, or None for no limit, got {self.tokens!r}")


@dataclass(frozen=True, slots=True)
class _Scored:
    entry: Entry
    dense: float
    lexical: float
    z_dense: float
    z_lexical: float
    score: float


class Recall:
    """The texts of the active skills, found by meaning and by words. Safe under threads."""

    def __init__(self, embedder: Embedder, index: VectorIndex) -> None:
        self.embedder, self.index = embedder, index
        self._lexicon = Lexicon()
        self._entries: dict[str, Entry] = {}
        self._named: dict[tuple[str, str], str] = {}
        self._lock = threading.RLock()

    def hold(self, skills: Mapping[str, Skill]) -> None:
        """Know exactly these skills (id -> skill) from now on. The index is not touched."""
        with self._lock:
            wanted = {e.id: e for id, skill in skills.items() for e in entries(skill, id)}
            for id in sorted(self._entries.keys() - wanted.keys()):
                self._lexicon.delete(id)
            for id, entry in wanted.items():
                if self._entries.get(id) != entry:
                    self._lexicon.put(id, entry.words)
            self._entries = wanted
            self._named = {(s.fingerprint, s.name): id for id, s in skills.items()}

    def search(self, text: str, skills: Mapping[str, Skill], wanted: Search | None = None) -> list[Hit]:
        """The hits, best first. ``skills``: the same as were held, with their evidence of today."""
        wanted = wanted or Search()
        if wanted.k <= 0 or not text.strip():
            return []
        with self._lock:
            scored = self._scored(text, skills, wanted)
            hits = self._one_each(text, scored, skills, wanted)
            hits = [hit for hit in hits if hit.ready or wanted.unready == "last"]
            if wanted.abstain and hits:
                best = self._told(text, max(hits, key=lambda h: h.score), wanted.state)
                if best.chance < best.threshold:
                    return []
            hits.sort(key=lambda h: (not h.ready, -h.score, h.skill.name, h.skill.fingerprint))
            if wanted.diversity > 0:
                groups = [[h for h in hits if h.ready], [h for h in hits if not h.ready]]
                hits = [h for group in groups for h in self._diverse(group, wanted)]
            kept = self._within(hits, skills, wanted)
            return [self._told(text, hit, wanted.state) for hit in kept]

    def close(self) -> None:
        self._lexicon.close()

    def _scored(self, text: str, skills: Mapping[str, Skill], wanted: Search) -> list[_Scored]:
        """Every candidate with its scores."""

        def asked(id: str) -> bool:
            entry = self._entries.get(id)
            if entry is None or entry.skill not in skills:
                return False
            return wanted.fingerprint in (None, skills[entry.skill].fingerprint)

        pool = max(_POOL, 10 * wanted.k)
        near = self._near(self.embedder.embed([text])[0], pool, asked)
        words = {id: score for id, score in self._lexicon.search(text, pool).items() if asked(id)}
        candidates = sorted(near.keys() | words.keys())
        # What the vectors did not reach is at most as near as the farthest that they did.
        farthest = min(near.values(), default=0.0)
        dense = {id: near.get(id, farthest) for id in candidates}
        lexical = {id: words.get(id, 0.0) for id in candidates}
        score, zd, zl = fused(dense, lexical, share_of(self.embedder))
        return [
            _Scored(self._entries[id], dense[id], lexical[id], zd[id], zl[id], score[id])
            for id in candidates
            if dense[id] >= wanted.floor or id in words
        ]

    def _near(self, vector: NDArray[np.float32], pool: int, asked: Callable[[str], bool]) -> dict[str, float]:
        """The nearest that are asked for; the index holds other worlds' skills too, so it is asked for more until
        there are enough."""
        reach = pool
        while True:
            found = self.index.query({Kind.SKILL}, vector, reach)
            kept = {n.id: n.score for n in found if asked(n.id)}
            if len(kept) >= pool or len(found) < reach:
                return dict(list(kept.items())[:pool])
            reach *= 4

    def _one_each(self, text: str, scored: Sequence[_Scored], skills: Mapping[str, Skill], wanted: Search) -> list[Hit]:
        """Each skill once, by its best case. Where the words fit all cases alike, one whose needs hold is taken."""
        ranked = sorted(scored, key=lambda s: (-s.score, s.entry.id))
        near = {s.entry.id for s in ranked[: wanted.k]}
        cases: dict[str, list[_Scored]] = {}
        for one in ranked:
            cases.setdefault(one.entry.skill, []).append(one)
        leads = [found[0].score for found in cases.values()][:2]  # of the best skill, and of the next
        hits: list[Hit] = []
        for id, found in cases.items():
            first = found[0]
            if wanted.state is not None and len(found) > 1:
                common = {self._lexicon.share(text, c.entry.id) for c in found}
                if len(common) == 1 and min(common) > 0:
                    able = (c for c in found if not _lacks(skills[id], c.entry.args, wanted.state))
                    first = next(able, first)
            also = tuple(c.entry.args for c in found if c is not first and c.entry.id in near)
            best_other = leads[0] if hits else leads[-1]
            hits.append(_hit(first, skills[id], wanted.state, first.score - best_other, also))
        return hits

    def _told(self, text: str, hit: Hit, state: Snapshot | None) -> Hit:
        """The hit with its chance and its reasons."""
        common = self._lexicon.share(text, hit.entry)
        hit = replace(hit, common=common, chance=chance_of(self.embedder, hit.dense, hit.margin, common))
        return replace(hit, why=_why(hit, state))

    def _diverse(self, hits: list[Hit], wanted: Search) -> list[Hit]:
        """Maximal marginal relevance (Carbonell & Goldstein 1998): next comes what fits well and is unlike all before.
        The first hit stays first."""
        head = hits[: max(20, 4 * wanted.k)]
        if len(head) < 3:
            return hits
        rows = self.embedder.embed([skill_text(h.skill, h.args) for h in head])
        best, worst = head[0].score, min(h.score for h in head)
        spread = max(best - worst, 1e-12)
        chosen, left = [0], list(range(1, len(head)))
        while left:
            alike = (rows[left] @ rows[chosen].T).max(axis=1)
            gain = [
                (1 - wanted.diversity) * (head[i].score - worst) / spread - wanted.diversity * float(a)
                for i, a in zip(left, alike, strict=True)
            ]
            chosen.append(left.pop(gain.index(max(gain))))
        return [head[i] for i in chosen] + hits[len(head) :]

    def _within(self, hits: Sequence[Hit], skills: Mapping[str, Skill], wanted: Search) -> list[Hit]:
        """The first ``k`` that fit, each with what it calls. What an earlier hit calls too is counted once."""
        kept: list[Hit] = []
        shown: dict[str, int] = {}
        for hit in hits:
            if len(kept) == wanted.k:
                break
            called = self._closure(hit.skill, skills)
            sizes = {f"{s.name}@{s.version}": estimate_tokens(s.program.source) for s in called}
            if wanted.tokens is not None and sum((shown | sizes).values()) > wanted.tokens:
                continue
            shown |= sizes
            kept.append(replace(hit, closure=called, tokens=sum(sizes.values())))
        return kept

    def _closure(self, skill: Skill, skills: Mapping[str, Skill]) -> tuple[Skill, ...]:
        """A skill and all that it calls in its world, what is called first. What is not there is left out."""
        done: list[Skill] = []
        seen = {skill.name}  # also those being visited, should skills call each other in a circle
        path = [(skill, iter(skill.program.calls))]
        while path:
            one, rest = path[-1]
            for name in rest:
                called = skills.get(self._named.get((one.fingerprint, name), ""))
                if called is not None and name not in seen:
                    seen.add(name)
                    path.append((called, iter(called.program.calls)))
                    break
            else:
                done.append(one)
                path.pop()
        return tuple(done)


def fused(
    dense: Mapping[str, float], lexical: Mapping[str, float], share: float
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """The weighted sum of both z-scores of each candidate, and the two z-scores. ``share``: the weight of ``dense``."""
    zd, zl = _z_scores(dense), _z_scores(lexical)
    return {id: share * zd[id] + (1 - share) * zl[id] for id in dense}, zd, zl


def estimate_tokens(text: str) -> int:
    """How many tokens a program takes in a prompt: one for every three bytes of UTF-8. Over the programs of a library
    learned in the craft world SmolLM2's tokenizer counts 6 % fewer; for a single one up to 21 % more."""
    return -(-len(text.encode("utf-8", "replace")) // 3)


def _hit(
    scored: _Scored, skill: Skill, state: Snapshot | None, margin: float, also: tuple[Mapping[str, Json], ...]
) -> Hit:
    args = dict(scored.entry.args)
    lacks = () if state is None else _lacks(skill, args, state)
    return Hit(
        skill,
        scored.score,
        scored.dense,
        scored.lexical,
        ready=not lacks,
        args=args,
        z_dense=scored.z_dense,
        z_lexical=scored.z_lexical,
        margin=margin,
        lacks=lacks,
        done=state is not None and _done(skill, args, state),
        entry=scored.entry.id,
        also=also,
    )


def _lacks(skill: Skill, args: Mapping[str, Json], state: Snapshot) -> tuple[str, ...]:
    """What this case needs and the state does not have, with the parameters filled in. What cannot be read lacks."""
    case = next((c for c in skill.cases if dict(c.args) == dict(args)), Case(needs=skill.needs))
    values = {p.name: p.default for p in skill.program.parameters} | dict(args)
    lacks = []
    for need in case.needs:
        try:
            need = fill(need, values)
            holds = state.holds(Atom.parse(need))
        except (GoalSyntaxError, InputError):
            holds = False
        if not holds:
            lacks.append(need)
    return tuple(lacks)


def _done(skill: Skill, args: Mapping[str, Json], state: Snapshot) -> bool:
    try:
        goal = skill.goal_for(args)
    except (GoalSyntaxError, InputError):
        return False
    return bool(goal.atoms) and not goal.unmet(state)


def _why(hit: Hit, state: Snapshot | None) -> str:
    said = []
    if hit.args:
        said.append(f"with {_said(hit.args)}" + "".join(f", or {_said(a)}" for a in hit.also))
    said.append(f"meaning {hit.dense:.2f} ({hit.z_dense:+.1f} sd)")
    said.append(f"words {hit.lexical:.2f} ({hit.z_lexical:+.1f} sd)" if hit.lexical > 0 else "no word in common")
    verdict = "enough" if hit.chance >= hit.threshold else "too little"
    said.append(f"chance {hit.chance:.2f}, {verdict} for {hit.threshold:.2f}")
    if hit.lacks:
        said.append(f"lacks {', '.join(hit.lacks)}")
    elif state is not None:
        said.append("what it needs holds")
    if hit.done:
        said.append("its goal holds already")
    return "; ".join(said)


def _said(args: Mapping[str, Json]) -> str:
    return ", ".join(f"{name}={args[name]}" for name in sorted(args))


def _z_scores(values: Mapping[str, float]) -> dict[str, float]:
    mean = math.fsum(values.values()) / max(1, len(values))
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values.values()) / max(1, len(values)))
    return {k: (v - mean) / spread if spread > 1e-12 else 0.0 for k, v in values.items()}
