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
from dataclasses import dataclass, field, replace

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
from habilis.memory._binding import bind, bind_atom, complete, unify, variables

_SHARED = 0.6  # share of siblings that must agree before a never-tried action is predicted to behave likewise
_BELIEVED = 8.0  # times that a told effect should have come by now; if it never did, it is false (e^-8)
_SUSPECTS = 4  # how many facts at once are taken to be what a failure lacked
_KEPT_BELOW = 0.5  # mean consumption under which a thing counts as kept (tools wear out now and then)


@dataclass
class _Condition:
    atom: Atom
    consumed: float = 0.0  # sum over ``weighed`` successes, or the assumed amount while ``weighed`` is 0
    weighed: int = 0
    confirmed: int = 0


@dataclass
class _Entry:
    """The evidence on one action, as sums."""

    conditions: dict[tuple[Fact, str], _Condition] = field(default_factory=dict)
    amounts: dict[Fact, float] = field(default_factory=dict)
    values: dict[Fact, bool] = field(default_factory=dict)
    seen: Counter[Fact] = field(default_factory=Counter)
    context: Counter[Atom] = field(default_factory=Counter)
    told: dict[Fact, float] = field(default_factory=dict)
    successes: int = 0
    failures: int = 0
    steps: int = 0
    source: str = "induced"
    held: frozenset[Fact] = frozenset()


class ContractBook:
    """All contracts of one world. ``version`` rises whenever a plan might now come out differently."""

    def __init__(self, spec: WorldSpec, contracts: Iterable[Contract] = ()) -> None:
        self.spec = spec
        self.version = 0
        self._entries: dict[Action, _Entry] = {}
        self._producers: dict[tuple[Fact, bool], set[Action]] = {}
        self._produced: dict[Action, set[tuple[Fact, bool]]] = {}
        self._dirty: set[Action] = set()
        self._cache: dict[Action, Contract] = {}
        self._schemas: dict[str, Contract | None] = {}
        self._lifted: dict[str, Contract] = {}
        self._contexts = {p.name for p in spec.predicates if p.context}
        self._sought = {p.seeks for p in spec.primitives if p.seeks}
        self._reasons = "reasons" in spec.capabilities
        self._seeking = {p.name: p.seeks for p in spec.primitives if p.seeks}
        for contract in contracts:
            self._restore(contract)

    # ------------------------------------------------------------------ reading

    def __contains__(self, action: Action) -> bool:
        return action in self._entries

    def __iter__(self) -> Iterator[Contract]:
        for action in sorted(self._entries, key=str):
            yield self.contract(action)

    def __len__(self) -> int:
        return len(self._entries)

    def contract(self, action: Action) -> Contract:
        """The contract of an action: learned, else predicted from its siblings, else empty."""
        if action not in self._entries:
            return self.predicted(action)
        if action not in self._cache:
            self._cache[action] = self._build(action, self._entries[action])
        return self._cache[action]

    def tried(self, action: Action) -> bool:
        """Whether the action has succeeded at least once."""
        entry = self._entries.get(action)
        return entry is not None and entry.successes > 0

    def producers(self, fact: Fact, up: bool = True, candidates: Iterable[Action] = ()) -> list[Contract]:
        """The actions known to raise this fact or make it true (``up=False``: lower it or make it false), and those
        among ``candidates`` predicted to; in a fixed order."""
        found = [self.contract(a) for a in sorted(self._producers.get((fact, up), ()), key=str)]
        for action in sorted(set(candidates) - self._entries.keys(), key=str):
            predicted = self.predicted(action)
            if predicted.effect_on(fact, up):
                found.append(predicted)
        return found

    def instances(self, fact: Fact, up: bool, facts: Facts) -> list[Contract]:
        """Never-tried actions that would bring this fact about by a contract that the world declares for all arguments.

        What siblings have in common is trusted for actions that the world affords, not to make up new ones. Arguments
        that the fact leaves open are filled from the observed ``facts`` that the conditions mention.
        """
        found: dict[Action, Contract] = {}
        for primitive in self.spec.primitives:
            schema = self._lifted.get(primitive.name)
            if schema is None:
                continue
            size = len(schema.action.args)
            for effect in schema.effects:
                binding = unify(effect.fact, fact, {}) if _rises(effect) is up else None
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
        """What an action of this primitive usually needs and does, for one that was never tried."""
        schema = self._lifted.get(action.name) or self._schema(action.name)
        if schema is None:
            return Contract(action, self.spec.fingerprint)
        return self._bound(schema, action)

    def _bound(self, schema: Contract, action: Action) -> Contract:
        binding: dict[Term, Term] = {f"${i}": a for i, a in enumerate(action.args)}
        return Contract(
            action,
            self.spec.fingerprint,
            tuple(Condition(bind_atom(c.atom, binding), c.consumed) for c in schema.conditions),
            tuple(Effect(bind(e.fact, binding), e.amount, e.value) for e in schema.effects),
        )

    def take_dirty(self) -> list[Contract]:
        """The contracts that changed since the last call, to be written to the journal.

        What is kept here is then read back from them, so that a resumed run goes on exactly as this one does.
        """
        changed = [self.contract(a) for a in sorted(self._dirty, key=str)]
        self._dirty.clear()
        for contract in changed:
            self._restore(contract)
            self._cache.pop(contract.action, None)
            self._schemas.pop(contract.action.name, None)
        return changed

    # ------------------------------------------------------------------ learning

    def learn(self, trajectory: Trajectory) -> None:
        """Take in every step of a trajectory, in order. Nothing is learned from one that the clock ended."""
        if trajectory.inconclusive:
            return
        facts = dict(trajectory.before.facts)
        state = Snapshot(facts, self.spec.tags)
        for step in trajectory.steps:
            self.observe(step.action, step.outcome, state)
            for change in step.outcome.changes:
                facts[change.fact] = change.after

    def observe(self, action: Action, outcome: Outcome, before: Snapshot) -> None:
        """Take in one step, given the state in which it was taken."""
        primitive = self.spec.primitive(action.name)
        if primitive is None:
            return
        if action not in self._entries and action.name in self._lifted:
            self.declare([self._bound(self._lifted[action.name], action)])
        entry = self._entries.setdefault(action, _Entry())
        self._touch(action)
        entry.steps += outcome.steps
        if outcome.ok:
            self._success(action, entry, outcome, before)
        else:
            self._failure(action, entry, outcome, before)

    def declare(self, contracts: Iterable[Contract], source: str = "declared") -> None:
        """Take in what a world declares or a document tells; induced evidence stays and is added to."""
        for contract in contracts:
            if any(str(a).startswith("$") for a in contract.action.args):
                if self._lifted.get(contract.action.name) != contract:
                    self._lifted[contract.action.name] = contract
                    self.version += 1
                continue
            entry = self._entries.setdefault(contract.action, _Entry())
            fresh = False
            # What was declared before and is gone was refuted by what happened since.
            again = entry.source == source != "induced"
            settled = again and (entry.successes or (entry.failures and "reasons" in self.spec.capabilities))
            for condition in () if settled else contract.conditions:
                key = (condition.atom.fact, condition.atom.op)
                known = entry.conditions.get(key)
                if known is None or known.atom != condition.atom:
                    entry.conditions[key] = _Condition(condition.atom, condition.consumed, 0, 1)
                    fresh = True
            for effect in () if again and entry.successes else contract.effects:
                if effect.fact not in entry.seen and effect.fact not in entry.told:
                    entry.told[effect.fact] = effect.amount or 1.0
                    if effect.value is not None:
                        entry.values[effect.fact] = bool(effect.value)
                    self._produces(contract.action, effect.fact, _rises(effect))
                    fresh = True
            if fresh:
                entry.source = source
                self._changed(contract.action)

    def forget(self) -> None:
        """Drop everything (an ablation)."""
        version = self.version
        self.__init__(self.spec)  # type: ignore[misc]
        self.version = version + 1

    # ------------------------------------------------------------------ inside

    def _success(self, action: Action, entry: _Entry, outcome: Outcome, before: Snapshot) -> None:
        entry.successes += 1
        if entry.successes == 1:
            self._changed(action)
        for key, condition in list(entry.conditions.items()):
            if not before.holds(condition.atom):
                del entry.conditions[key]
                self._changed(action)
        if action.name in self._seeking:
            return
        used: dict[Fact, float] = {}
        for change in outcome.changes:
            self._effect(action, entry, change.fact, change.before, change.after, used)
        self._weigh(action, entry, used)
        if not self._reasons:
            true = frozenset(f for f, v in before.facts.items() if v and f.predicate not in self._contexts)
            entry.held = true if entry.successes == 1 else entry.held & true
        for fact, value in before.facts.items():
            if fact.predicate in self._contexts and not isinstance(value, bool):
                entry.context[Atom(fact, "==", value)] += 1

    def _effect(
        self, action: Action, entry: _Entry, fact: Fact, before: Value, after: Value, used: dict[Fact, float]
    ) -> None:
        if isinstance(after, bool) or isinstance(before, bool):
            value = bool(after)
            if entry.values.get(fact) != value or fact not in entry.seen:
                self._changed(action)
            entry.values[fact] = value
            entry.seen[fact] += 1
            self._produces(action, fact, value)
            return
        delta = after - before
        if delta < 0 and fact.predicate not in self._contexts:
            used[fact] = used.get(fact, 0.0) - delta
        if delta != 0 and (delta > 0 or fact.predicate in self._contexts):
            if fact not in entry.seen:
                self._changed(action)
            entry.amounts[fact] = entry.amounts.get(fact, 0.0) + delta
            entry.seen[fact] += 1
            self._produces(action, fact, delta > 0)

    def _weigh(self, action: Action, entry: _Entry, used: dict[Fact, float]) -> None:
        """Attribute what was used up to the conditions; what no condition explains becomes one."""
        left = dict(used)
        for condition in entry.conditions.values():
            fact, amount = condition.atom.fact, 0.0
            for member in self._members(fact) if _is_stock(condition.atom) else ():
                amount += left.pop(member, 0.0)
            before = _rate(condition)
            if condition.weighed == 0:
                condition.consumed = 0.0
            condition.consumed += amount
            condition.weighed += 1
            if (before < _KEPT_BELOW) != (_rate(condition) < _KEPT_BELOW):
                self._changed(action)
        for fact, amount in sorted(left.items(), key=str):
            if fact.predicate in self._sought or self._widen(action, entry, fact, amount):
                continue
            whole = int(amount) if float(amount).is_integer() else amount
            entry.conditions[fact, ">="] = _Condition(Atom(fact, ">=", whole), amount, 1, 1)
            self._changed(action)

    def _widen(self, action: Action, entry: _Entry, fact: Fact, amount: float) -> bool:
        """Two alternatives for the same amount become the smallest tag that holds both."""
        for key, condition in list(entry.conditions.items()):
            old = condition.atom
            if old.op != ">=" or old.value != amount or old.fact.predicate != fact.predicate:
                continue
            if old.fact.args[1:] != fact.args[1:] or not old.fact.args or condition.weighed < 2:
                continue
            both = {m.args[0] for m in self._members(old.fact)} | {fact.args[0]}
            tags = [t for t, members in self.spec.tags.items() if both <= set(members)]
            if not tags:
                continue
            tag = min(tags, key=lambda t: (len(self.spec.tags[t]), t))
            del entry.conditions[key]
            wide = Fact(fact.predicate, (tag, *fact.args[1:]))
            entry.conditions[wide, ">="] = _Condition(
                Atom(wide, ">=", old.value), condition.consumed + amount, condition.weighed, condition.confirmed
            )
            self._changed(action)
            return True
        return False

    def _failure(self, action: Action, entry: _Entry, outcome: Outcome, before: Snapshot) -> None:
        entry.failures += 1
        if outcome.unmet is None:
            self._suspect(action, entry, before)
        if not outcome.unmet:
            return
        unmet = [a for a in outcome.unmet if a.fact.predicate != self._seeking.get(action.name)]
        for atom in unmet:
            key = (atom.fact, atom.op)
            known = entry.conditions.get(key)
            if known is None or known.atom != atom:
                assumed = float(atom.value) if _is_stock(atom) and atom.fact.predicate not in self._sought else 0.0
                measured = known if known is not None and known.weighed else _Condition(atom, assumed, 0, 1)
                entry.conditions[key] = replace(measured, atom=atom)
                self._changed(action)
            else:
                known.confirmed += 1
        listed = {(a.fact, a.op) for a in outcome.unmet}
        for key, condition in list(entry.conditions.items()):
            if key not in listed and not before.holds(condition.atom):
                del entry.conditions[key]
                self._changed(action)

    def _suspect(self, action: Action, entry: _Entry, before: Snapshot) -> None:
        """A failure without reasons, of an action that has worked: what held at every success but does not now.

        Facts about the same things as the action are suspected first; a success without a suspect clears it.
        """
        if not entry.held or any(not before.holds(c.atom) for c in entry.conditions.values()):
            return
        missing = [f for f in sorted(entry.held, key=str) if not before.value(f)]
        own = [f for f in missing if set(f.args) & set(action.args)]
        for fact in (own or missing)[:_SUSPECTS]:
            atom = Atom(fact, ">=", 1) if self._is_numeric(fact) else Atom(fact)
            entry.conditions[fact, atom.op] = _Condition(atom, 0.0, 0, 1)
            self._changed(action)

    def _is_numeric(self, fact: Fact) -> bool:
        predicate = self.spec.predicate(fact.predicate)
        return predicate is not None and predicate.numeric

    def _members(self, fact: Fact) -> list[Fact]:
        if fact.args and isinstance(fact.args[0], str) and fact.args[0].startswith("#"):
            return [Fact(fact.predicate, (m, *fact.args[1:])) for m in sorted(self.spec.tags.get(fact.args[0], ()))]
        return [fact]

    def _produces(self, action: Action, fact: Fact, up: bool) -> None:
        self._producers.setdefault((fact, up), set()).add(action)
        self._produced.setdefault(action, set()).add((fact, up))

    def _touch(self, action: Action) -> None:
        self._dirty.add(action)
        self._cache.pop(action, None)

    def _changed(self, action: Action) -> None:
        self._touch(action)
        self._schemas.pop(action.name, None)
        self.version += 1

    def _build(self, action: Action, entry: _Entry) -> Contract:
        conditions = tuple(
            Condition(c.atom, _round(_rate(c)), c.weighed > 0, c.confirmed)
            for _, c in sorted(entry.conditions.items(), key=lambda item: str(item[1].atom))
        )
        effects = []
        for fact in sorted(set(entry.seen) | set(entry.told), key=str):
            seen = entry.seen[fact]
            if fact in entry.values:
                effects.append(Effect(fact, 0.0, entry.values[fact], seen))
            elif seen:
                effects.append(Effect(fact, _round(entry.amounts[fact] / entry.successes), None, seen))
            elif abs(entry.told[fact]) * entry.successes < _BELIEVED:
                effects.append(Effect(fact, _round(entry.told[fact] / (1 + abs(entry.told[fact]) * entry.successes))))
        tries = entry.successes + entry.failures
        return Contract(
            action,
            self.spec.fingerprint,
            conditions,
            tuple(effects),
            entry.successes,
            entry.failures,
            entry.source,
            tuple(sorted(entry.context.items(), key=str)),
            _round(entry.steps / tries) if tries else 1.0,
            tuple(sorted(entry.held, key=str)),
        )

    def _restore(self, contract: Contract) -> None:
        entry = _Entry(successes=contract.successes, failures=contract.failures, source=contract.source)
        for wanted in self._produced.pop(contract.action, ()):
            self._producers[wanted].discard(contract.action)
        for c in contract.conditions:
            weighed = max(1, contract.successes) if c.known else 0
            consumed = c.consumed * weighed if c.known else c.consumed
            entry.conditions[c.atom.fact, c.atom.op] = _Condition(c.atom, consumed, weighed, c.confirmed)
        for effect in contract.effects:
            if effect.value is not None:
                entry.values[effect.fact] = bool(effect.value)
            elif effect.seen:
                entry.amounts[effect.fact] = effect.amount * contract.successes
            if effect.seen:
                entry.seen[effect.fact] = effect.seen
            else:
                faded = 1 - abs(effect.amount) * contract.successes  # undoes what `_build` did
                entry.told[effect.fact] = effect.amount / faded if effect.amount and faded > 0 else effect.amount or 1.0
            self._produces(contract.action, effect.fact, _rises(effect))
        entry.context.update(dict(contract.context))
        entry.steps = round(contract.cost * (contract.successes + contract.failures))
        entry.held = frozenset(contract.held)
        self._entries[contract.action] = entry

    def _schema(self, name: str) -> Contract | None:
        if name not in self._schemas:
            self._schemas[name] = self._generalise(name)
        return self._schemas[name]

    def _generalise(self, name: str) -> Contract | None:
        siblings = [
            self.contract(a) for a in sorted(self._entries, key=str) if a.name == name and self._entries[a].successes
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
            tuple(Condition(a, _round(consumed[a] / n)) for a, n in sorted(conditions.items(), key=str) if n >= enough),
            tuple(
                Effect(f, sum(amounts[f]) / len(amounts[f]), v)
                for (f, v), n in sorted(effects.items(), key=str)
                if n >= enough
            ),
        )


def _rate(condition: _Condition) -> float:
    return condition.consumed / condition.weighed if condition.weighed else condition.consumed


def _is_stock(atom: Atom) -> bool:
    """Whether the atom asks for an amount to be there, which may then be used up."""
    return atom.is_numeric and atom.op in (">=", ">", "==")


def _rises(effect: Effect) -> bool:
    return effect.value if isinstance(effect.value, bool) else effect.amount > 0


def _round(number: float) -> float:
    """Enough digits to plan with; few enough that a stored contract reads back equal."""
    return round(number, 6)
