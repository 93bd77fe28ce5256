"""What a skill is worth, and the end of those that are worth least.

How a skill does in use is counted, but that it was used and the task succeeded says little: it might have succeeded
anyway. So of the skills that would be offered for a task, now and then one is withheld at random, and how tasks go with
and without it is compared (a randomised trial, as in Fisher 1935).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from habilis.core import Json, Record, Skill
from habilis.memory.library._admitting import counted
from habilis.memory.library._carrying import Carrying

IN_USE = "in use"  # the context of runs in the world that the agent lives in
_DOUBTED = 2  # failures in use, more than successes there, after which a skill is verified again
_OFFERED = 5  # skills nearest to a task's words, of which one may be held back
_ENOUGH = 8  # tasks of each sort before a credit decides anything
_SURE = 2.0  # standard deviations below zero at which a skill does harm


@dataclass(frozen=True)
class Offer:
    """The skills that a task's words call up, and the one of them that is held back for it, or ""."""

    names: tuple[str, ...] = ()
    withheld: str = ""


@dataclass(frozen=True)
class Credit:
    """How tasks went for which a skill was offered, and for which it was withheld.

    ``value``: the difference of the posterior means of success; ``spread``: its standard deviation.
    """

    offered: Record = field(default_factory=Record)
    withheld: Record = field(default_factory=Record)

    @property
    def value(self) -> float:
        return self.offered.mean - self.withheld.mean

    @property
    def spread(self) -> float:
        return math.sqrt(_variance(self.offered) + _variance(self.withheld))

    @property
    def harmful(self) -> bool:
        """Whether tasks go worse with it, as far as can be told."""
        enough = min(self.offered.runs, self.withheld.runs) >= _ENOUGH
        return enough and self.value + _SURE * self.spread < 0


class Crediting(Carrying):
    """Keeps the accounts of what skills did, in the journal, and retires by them."""

    def used(self, name: str, ok: bool) -> None:
        """Count one use of a skill in the agent's own world. One that fails there more often than not is verified
        again; one whose posterior falls below ``settings.quarantine`` leaves, and one that was proven with less than
        that (where lives are short) below half of what it was proven with."""
        journal = self.home.journal
        with self._open():
            if name not in self.active():
                return
            skill = counted(self.get(name), IN_USE, ok, not ok)
            record = skill.evidence.contexts[IN_USE]
            if record.failures >= _DOUBTED and record.failures > record.successes and not skill.due:
                skill = replace(skill, due=f"in use it failed {record.failures} of {record.runs} times")
            with journal.transaction():
                self._stands(journal.rewrite_skill(skill))
                least, proven = self.settings.quarantine, skill.evidence.mean
                least = least if proven >= least else proven / 2
                if skill.posterior < least:
                    why = f"its posterior of success fell to {skill.posterior:.2f}, below {least:.2g}"
                    self.retire(name, why, status="quarantined")

    def prune(self) -> tuple[str, ...]:
        """Retire what has been outdone in all its cases and is called by none, what tasks go worse with, and what is of
        least use while more skills are active than ``settings.active_cap`` allows. Returns who went."""
        gone: list[str] = []
        with self._open():
            for skill in list(self._skills.values()):
                outdone = skill.cases and all(c.successor for c in skill.cases)
                if outdone and not self.callers(skill):
                    gone += self._retire(skill, "outdone in all its cases, and called by none", "retired")
            accounts = self._accounts()
            for name, credit in sorted(accounts.items()):
                for skill in [s for s in self._skills.values() if s.name == name and credit.harmful]:
                    if not self.callers(skill):
                        why = f"tasks go worse with it: {credit.value:+.2f} ± {credit.spread:.2f} of success"
                        with self.home.journal.transaction():
                            gone += self._retire(skill, why, "retired")
                            self._close_account(accounts, name)
            cap = self.settings.active_cap
            for fingerprint in sorted({s.fingerprint for s in self._skills.values()}):
                world = self._world(fingerprint)
                while cap is not None and len(world) > cap:
                    free = [s for s in world.values() if not self.callers(s)]
                    if not free:
                        break
                    worth = {s.name: _usefulness(s, accounts.get(s.name, Credit())) for s in free}
                    least = min(free, key=lambda s: (worth[s.name], s.created, s.name))
                    why = f"more than {cap} skills are active, and it is of least use ({worth[least.name]:.2f})"
                    gone += self._retire(least, why, "retired")
                    world = self._world(fingerprint)
        return tuple(gone)

    # ------------------------------------------------------------------ withheld at random

    def offer(self, names: Iterable[str], seed: str) -> Offer:
        """What is left of the skills that a task calls up (the nearest first): with a chance of ``settings.withhold``
        one of them is to be left out. Skills that others call never are. ``seed`` decides, so that a run repeats."""
        rng = random.Random(f"withhold:{seed}")
        drawn = rng.random() < self.settings.withhold
        with self._open():
            called = tuple(dict.fromkeys(names))[:_OFFERED]
            free = [n for n in called if not self.callers(self.get(n))]
        return Offer(called, rng.choice(free) if drawn and free else "")

    def settle(self, offer: Offer, ok: bool) -> None:
        """Note how the task went."""
        if not offer.names:
            return
        with self._open(), self.home.journal.transaction():
            accounts = self._accounts()
            for name in offer.names:
                credit = accounts.get(name, Credit())
                if name == offer.withheld:
                    accounts[name] = Credit(credit.offered, credit.withheld.plus(ok))
                else:
                    accounts[name] = Credit(credit.offered.plus(ok), credit.withheld)
            self._put_accounts(accounts, self._accounts("closed"))

    def credits(self) -> dict[str, Credit]:
        """What is known of each skill's worth so far, by name."""
        with self._open():
            return self._accounts()

    def _close_account(self, accounts: dict[str, Credit], name: str) -> None:
        """Who comes back, or is the next of that name, is not judged by what has led to this."""
        closed, credit = self._accounts("closed"), accounts.pop(name, Credit())
        known = closed.get(name, Credit())
        closed[name] = Credit(_sum(known.offered, credit.offered), _sum(known.withheld, credit.withheld))
        self._put_accounts(accounts, closed)

    def _put_accounts(self, accounts: Mapping[str, Credit], closed: Mapping[str, Credit]) -> None:
        data: dict[str, Json] = {"skills": _rows(accounts)}
        if closed:
            data["closed"] = _rows(closed)
        self.home.journal.put_versioned_state(self._account_key(), data)

    def _accounts(self, which: str = "skills") -> dict[str, Credit]:
        state = self.home.journal.get_state(self._account_key(), {})
        rows = state.get(which, {}) if isinstance(state, dict) else {}
        return {n: Credit(Record(int(r[0]), int(r[1])), Record(int(r[2]), int(r[3]))) for n, r in rows.items()}

    def _account_key(self) -> str:
        return f"withheld:{self.fingerprint or ''}"


def _usefulness(skill: Skill, credit: Credit) -> float:
    """Expected successes in use: how often it was used, by how likely it succeeds, by what it was worth when tried."""
    record = skill.evidence.contexts.get(IN_USE, Record())
    return (1 + record.runs) * skill.posterior * (1 + credit.value)


def _rows(accounts: Mapping[str, Credit]) -> dict[str, Json]:
    return {
        n: [c.offered.successes, c.offered.failures, c.withheld.successes, c.withheld.failures]
        for n, c in sorted(accounts.items())
    }


def _sum(one: Record, other: Record) -> Record:
    return Record(one.successes + other.successes, one.failures + other.failures)


def _variance(record: Record) -> float:
    """Of the posterior Beta(1 + successes, 1 + failures)."""
    a, b = 1 + record.successes, 1 + record.failures
    return a * b / ((a + b) ** 2 * (a + b + 1))
