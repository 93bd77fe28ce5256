"""What is known about the actions of one world: contracts, learned from every step that the host records.

A failure that lists its unmet atoms adds them as conditions, and refutes any condition that neither held nor was
listed, for the list is complete. A success adds effects and consumption, and refutes conditions that did not hold.
Nothing is compressed from traces: what is kept is the contract (what an action needs and does), from which programs
are generated.

A never-tried action is *predicted* from its siblings, the tried actions of the same primitive, by replacing each
action's arguments with variables and keeping what most siblings share (least general generalisation, Plotkin 1970).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from habilis.core import (
    Action,
    Atom,
    Condition,
    Contract,
    Effect,
    Fact,
    Facts,
    Outcome,
    Snapshot,
    Term,
    Trajectory,
    Value,
    WorldSpec,
)
from habilis.memory.contracts._binding import bind, bind_atom, complete, unify, variables
from habilis.memory.contracts._stored import built, restored, rises, rounded
from habilis.memory.contracts._tally import Reader, TalliedCondition, Tally, rate
from habilis.memory.contracts.endings import Endings
from habilis.memory.contracts.priors import Priors

_ODD = 0.1  # share of successes that may speak against what actions of a kind are taken to need
_SELDOM = 10  # successes with what many tries say is needed that outweigh one without
_SHARED = 0.6  # share of siblings that must agree before a never-tried action is predicted to behave likewise


class ContractBook:
    """All contracts of one world. ``version`` rises whenever a plan might now come out differently. ``priors``: what is
    supposed of actions that never succeeded here, from other worlds; ``endings``: how lives in it ended."""

    def __init__(
        self,
        spec: WorldSpec,
        contracts: Iterable[Contract] = (),
        priors: Priors | None = None,
        endings: Endings | None = None,
    ) -> None:
        self._spec = spec
        self.version = 0
        self.priors, self.endings = priors or Priors(spec), endings or Endings()
        self._clear()
        for contract in contracts:
            self._restore(contract)

    @property
    def spec(self) -> WorldSpec:
        """What the world said of itself when it was last looked at."""
        return self._spec

    # ------------------------------------------------------------------ reading

    def __contains__(self, action: Action) -> bool:
        return action in self._entries

    def __iter__(self) -> Iterator[Contract]:
        for action in sorted(self._entries, key=str):
            yield self._own(action)

    def __len__(self) -> int:
        return len(self._entries)

    def contract(self, action: Action) -> Contract:
        """The contract of an action: learned, else supposed or predicted from its siblings, else empty."""
        if not self.understands(action):
            return self.predicted(action)
        own = self._own(action)
        if not self._entries[action].successes and (prior := self.priors.of(action)) is not None:
            return self._with(prior, own)
        return self._like_its_kind(own) if self._alike else own

    def _own(self, action: Action) -> Contract:
        """What was learned, declared or told of an action in this world."""
        if action not in self._cache:
            self._cache[action] = built(action, self._entries[action], self.spec.fingerprint)
        return self._cache[action]

    def _like_its_kind(self, own: Contract) -> Contract:
        """With what its siblings need, if that was so whenever it worked: few tries do not tell needs."""
        schema = self._schema(own.action.name) if own.successes else None
        if schema is None:
            return own
        told = {c.atom for c in own.conditions}
        kin = [c for c in self._bound(schema, own.action).conditions if c.atom not in told]
        more = tuple(c for c in kin if c.atom.fact in own.held)
        return replace(own, conditions=own.conditions + more) if more else own

    def understands(self, action: Action) -> bool:
        """Whether there is something to go by but its siblings. Where a world poses orders, and gives no reasons, an
        action that has only failed teaches less than they do: it is one of them, with other words."""
        entry = self._entries.get(action)
        if entry is None:
            return False
        return bool(not self._alike or entry.successes or entry.conditions or entry.source != "induced")

    def tried(self, action: Action) -> bool:
        """Whether the action has succeeded at least once."""
        entry = self._entries.get(action)
        return entry is not None and entry.successes > 0

    def declares(self, action: Action) -> bool:
        """Whether the world declares what this action does, as one contract for all arguments."""
        schema = self._declared_schemas.get(action.name)
        return schema is not None and bool(schema.effects)

    def producers(self, fact: Fact, up: bool = True) -> list[Contract]:
        """The actions known to raise this fact or make it true (``up=False``: lower it or make it false), in a fixed
        order."""
        return [self.contract(a) for a in sorted(self._producers.get((fact, up), ()), key=str)]

    def supposed(self, fact: Fact, up: bool = True) -> list[Contract]:
        """The actions that never succeeded here and brought this fact about (``up=False``: ended it) elsewhere."""
        unproven = [a for a in self.priors.producers(fact, up) if not self.tried(a)]
        return [c for c in map(self.contract, unproven) if c.effect_on(fact, up) is not None]

    def instances(self, fact: Fact, up: bool, facts: Facts) -> list[Contract]:
        """Never-tried actions that would bring this fact about by a contract that the world declares for all arguments.

        What siblings have in common is trusted for actions that the world affords, not to make up new ones. Arguments
        that the fact leaves open are filled from the observed ``facts`` that the conditions mention.
        """
        found: dict[Action, Contract] = {}
        for primitive in self.spec.primitives:
            schema = self._declared_schemas.get(primitive.name)
            if schema is None:
                continue
            size = len(schema.action.args)
            for effect in schema.effects:
                binding = unify(effect.fact, fact, {}) if rises(effect) is up else None
                if binding is None:
                    continue
                for full in complete(binding, size, schema, facts):
                    action = Action(primitive.name, tuple(full[f"${i}"] for i in range(size)))
                    if action not in self._entries:
                        found[action] = self._bound(schema, action)
        return [found[a] for a in sorted(found, key=str)]

    def produced(self) -> list[Fact]:
        """Every fact that some action is known to raise or make true."""
        return sorted((f for (f, up), actions in self._producers.items() if up and actions), key=str)

    def predicted(self, action: Action) -> Contract:
        """What an action of this primitive usually needs and does, for one that was never tried: what the world
        declares, what the same action did in another world, or what its siblings have in common."""
        schema = self._declared_schemas.get(action.name)
        if schema is None and (prior := self.priors.of(action)) is not None:
            return prior
        schema = schema or self._schema(action.name)
        if schema is None:
            return Contract(action, self.spec.fingerprint)
        return self._bound(schema, action)

    def _with(self, prior: Contract, own: Contract) -> Contract:
        """What is supposed of an action that has only failed so far, beside what that has told."""
        known, told = {c.atom.fact for c in own.conditions}, {e.fact for e in own.effects}
        return replace(
            prior,
            conditions=(*own.conditions, *(c for c in prior.conditions if c.atom.fact not in known)),
            effects=(*own.effects, *(e for e in prior.effects if e.fact not in told)),
            failures=own.failures,
        )

    def _bound(self, schema: Contract, action: Action) -> Contract:
        binding: dict[Term, Term] = {f"${i}": a for i, a in enumerate(action.args)}
        return Contract(
            action,
            self.spec.fingerprint,
            tuple(Condition(bind_atom(c.atom, binding), c.consumed) for c in schema.conditions),
            tuple(Effect(bind(e.fact, binding), e.amount, e.value) for e in schema.effects),
            chance=schema.chance,
        )

    def take_dirty(self) -> list[Contract]:
        """The contracts that changed since the last call, to be written to the journal.

        What is kept here is then read back from them, so that a resumed run goes on exactly as this one does.
        """
        changed = [self._own(a) for a in sorted(self._dirty, key=str)]
        self._dirty.clear()
        for contract in changed:
            self._restore(contract)
            self._cache.pop(contract.action, None)
            self._schemas.pop(contract.action.name, None)
        return changed

    # ------------------------------------------------------------------ learning

    def look_at(self, spec: WorldSpec) -> None:
        """Take in what the world says of itself now: one of plain functions learns its predicates as it goes."""
        self._spec = spec

    def learn(self, trajectory: Trajectory) -> None:
        """Take in every step of a trajectory, in order. Nothing is learned from one that the clock ended."""
        if trajectory.inconclusive:
            return
        self.endings.hear(trajectory)
        facts = dict(trajectory.before.facts)
        state = Snapshot(facts, self.spec.tags)
        for step in trajectory.steps:
            if step.outcome.status in ("done", "failed"):  # pre-empted, or dead before it was done, says nothing of it
                self.observe(step.action, step.outcome, state)
            for change in step.outcome.changes:
                facts[change.fact] = change.after

    def observe(self, action: Action, outcome: Outcome, before: Snapshot) -> None:
        """Take in one step, given the state in which it was taken."""
        primitive = self.spec.primitive(action.name)
        if primitive is None:
            return
        if action not in self._entries and action.name in self._declared_schemas:
            self.declare([self._bound(self._declared_schemas[action.name], action)])
        entry = self._entries.setdefault(action, Tally())
        self._touch(action)
        if not entry.successes and self.priors.hear(action, outcome, before):
            entry.changes += 1
        entry.steps += outcome.steps
        held = entry.held
        if outcome.ok:
            self._reader.success(self.spec, action, entry, outcome, before)
        else:
            self._reader.failure(self.spec, action, entry, outcome, before)
        for fact, up in entry.produced:
            self._produces(action, fact, up)
        if self._alike and entry.held != held:  # what its siblings need may not be what it needs
            entry.changes += 1
        if entry.changes:
            self._changed(action, entry.changes)
        entry.produced.clear()
        entry.changes = 0

    def declare(self, contracts: Iterable[Contract], source: str = "declared") -> None:
        """Take in what a world declares or a document tells; induced evidence stays and is added to."""
        for contract in contracts:
            if any(str(a).startswith("$") for a in contract.action.args):
                if self._declared_schemas.get(contract.action.name) != contract:
                    self._declared_schemas[contract.action.name] = contract
                    self.version += 1
                continue
            entry = self._entries.setdefault(contract.action, Tally())
            fresh = False
            # What was declared before and is gone was refuted by what happened since.
            again = entry.source == source != "induced"
            settled = again and (entry.successes or (entry.failures and "reasons" in self.spec.capabilities))
            for condition in () if settled else contract.conditions:
                key = (condition.atom.fact, condition.atom.op)
                known = entry.conditions.get(key)
                if known is None or known.atom != condition.atom:
                    entry.conditions[key] = TalliedCondition(condition.atom, condition.consumed, 0, 1)
                    fresh = True
            for effect in () if again and entry.successes else contract.effects:
                if effect.fact not in entry.seen and effect.fact not in entry.told:
                    entry.told[effect.fact] = effect.amount or 1.0
                    if effect.value is not None:
                        entry.values[effect.fact] = bool(effect.value)
                    self._produces(contract.action, effect.fact, rises(effect))
                    fresh = True
            if fresh:
                entry.source = source
                self._changed(contract.action)

    def revise(self, action: Action, needs: Iterable[Atom], chance: float) -> None:
        """Take these for all that an action needs beside what it uses up: what was induced from many tries. A need
        that is not among them is dropped; of what it is known to do nothing changes. ``chance``: that it then works."""
        entry = self._entries.get(action)
        if entry is None:
            return
        wanted = {(a.fact, a.op): a for a in needs}
        kept = {k: c for k, c in entry.conditions.items() if (c.weighed and rate(c) > 0) or k in wanted}
        for key, atom in wanted.items():
            if key not in kept or kept[key].atom != atom:
                kept[key] = TalliedCondition(atom, 0.0, max(1, entry.successes), 1)
            kept[key].confirmed = max(kept[key].confirmed, entry.successes // _SELDOM)
        entry.chance = chance
        self._touch(action)
        if kept.keys() != entry.conditions.keys() or any(kept[k].atom != entry.conditions[k].atom for k in kept):
            entry.conditions = kept
            self._changed(action)

    def forget(self) -> None:
        """Drop everything (an ablation)."""
        self._clear()
        self.priors = Priors(self._spec)
        self.version += 1

    # ------------------------------------------------------------------ inside

    def _clear(self) -> None:
        self._entries: dict[Action, Tally] = {}
        self._producers: dict[tuple[Fact, bool], set[Action]] = {}
        self._produced: dict[Action, set[tuple[Fact, bool]]] = {}
        self._dirty: set[Action] = set()
        self._cache: dict[Action, Contract] = {}
        self._schemas: dict[str, Contract | None] = {}
        self._declared_schemas: dict[str, Contract] = {}
        self._reader = Reader(self._spec)
        capabilities = self._spec.capabilities
        self._alike = "orders" in capabilities and "reasons" not in capabilities

    def _produces(self, action: Action, fact: Fact, up: bool) -> None:
        self._producers.setdefault((fact, up), set()).add(action)
        self._produced.setdefault(action, set()).add((fact, up))

    def _touch(self, action: Action) -> None:
        self._dirty.add(action)
        self._cache.pop(action, None)

    def _changed(self, action: Action, times: int = 1) -> None:
        self._touch(action)
        self._schemas.pop(action.name, None)
        self.version += times

    def _restore(self, contract: Contract) -> None:
        for wanted in self._produced.pop(contract.action, ()):
            self._producers[wanted].discard(contract.action)
        if contract.action.name in self._spec.seeking:  # an earlier version took what was seen for brought about
            kept = tuple(e for e in contract.effects if e.fact.predicate in self._spec.past)
            contract = replace(contract, effects=kept)
        entry = self._entries[contract.action] = restored(contract)
        for fact, up in entry.produced:
            self._produces(contract.action, fact, up)
        entry.produced.clear()

    def _nobody_without(self, atom: Atom, siblings: list[Contract]) -> bool:
        """Whether what some siblings need was so whenever one of the others worked: where no reasons are given, that
        one needs it too may only not have shown yet. One in ten may be otherwise."""
        against = sum(c.successes for c in siblings if not self._consistent(atom, c))
        return against <= _ODD * sum(c.successes for c in siblings)

    @staticmethod
    def _consistent(atom: Atom, contract: Contract) -> bool:
        binding: dict[Term, Term] = {f"${i}": a for i, a in enumerate(contract.action.args)}
        bound = bind_atom(atom, binding)
        return bound.fact in contract.held or any(c.atom == bound for c in contract.conditions)

    def _schema(self, name: str) -> Contract | None:
        if name not in self._schemas:
            self._schemas[name] = self._generalise(name)
        return self._schemas[name]

    def _generalise(self, name: str) -> Contract | None:
        siblings = [
            self._own(a) for a in sorted(self._entries, key=str) if a.name == name and self._entries[a].successes
        ]
        if len(siblings) < 2:
            return None
        conditions: Counter[Atom] = Counter()
        consumed: dict[Atom, float] = {}
        effects: Counter[tuple[Fact, Value | None]] = Counter()
        amounts: dict[Fact, list[float]] = {}
        for contract in siblings:
            names = variables(contract.action)
            for c in contract.conditions:
                shared = bind_atom(c.atom, names)
                conditions[shared] += 1
                consumed[shared] = consumed.get(shared, 0.0) + c.consumed
            for e in contract.effects:
                lifted = bind(e.fact, names)
                effects[lifted, e.value] += 1
                amounts.setdefault(lifted, []).append(e.amount)
        enough = max(2, _SHARED * len(siblings))
        return Contract(
            Action(name, ()),
            self.spec.fingerprint,
            tuple(
                Condition(a, rounded(consumed[a] / n))
                for a, n in sorted(conditions.items(), key=str)
                if n >= enough or (self._alike and n >= 2 and self._nobody_without(a, siblings))
            ),
            tuple(
                Effect(f, sum(amounts[f]) / len(amounts[f]), v)
                for (f, v), n in sorted(effects.items(), key=str)
                if n >= enough
            ),
            chance=self._chance(siblings) if self._alike else 1.0,
        )

    def _chance(self, siblings: list[Contract]) -> float:
        return rounded(sum(c.successes * c.chance for c in siblings) / sum(c.successes for c in siblings))
