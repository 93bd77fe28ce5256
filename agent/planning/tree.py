"""Monte-Carlo tree search on an imagined world: a way to a goal where nothing is known of the rules.

UCT (Kocsis & Szepesvári 2006), with the reward of E2WM (Xiang et al. 2023, arXiv:2305.10626, section 3.1): 2 for each
atom of the goal that comes true, -0.1 for each step. As there, only actions about a few things are tried: first what is
about the goal's things alone, then what is about one of them, then the rest by chance. The goal is reached piece by
piece: as soon as one atom more holds, what led there is kept and the search goes on from there. A state is looked at
once, as far as it is about the goal's things or lasts when the agent moves on. What was found is cut to what is needed
by leaving actions out.

The world that is searched on is handed in: a belief about the real one, or (in practice, and labelled so) a clone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations

from habilis.agent.planning.meter import SearchMeter, act_paid
from habilis.core import Action, Affording, Cloneable, Fact, Goal, Value
from habilis.memory.contracts import ContractBook

__all__ = ["TreeSearch", "TreeSettings"]


@dataclass(frozen=True)
class TreeSettings:
    """``rollouts``: for one atom more, at most (a goal about two things takes some dozens). ``depth``: actions from the
    last piece to the next, at most; ``beyond``: random ones of these after a new leaf. ``width``: actions tried from
    one state; ``wide``: of these, as many as this times the root of its visits, the others later (progressive widening,
    Coulom 2007). ``atom``, ``step``: the rewards; ``curiosity``: UCT's constant, in units of one atom's reward."""

    rollouts: int = 300
    depth: int = 10
    beyond: int = 8
    width: int = 24
    wide: float = 1.0
    atom: float = 2.0
    step: float = -0.1
    curiosity: float = 0.7


@dataclass
class _Node:
    world: Cloneable
    depth: int
    untried: list[Action]
    children: dict[Action, _Node] = field(default_factory=dict)
    visits: int = 0
    value: float = 0.0  # the sum of what rollouts through it have earned


class TreeSearch:
    """One search. ``book``: learns from every imagined action, where it is given."""

    def __init__(self, settings: TreeSettings | None = None, *, book: ContractBook | None = None) -> None:
        self.settings = settings or TreeSettings()
        self._book = book

    def plan(
        self, goal: Goal, root: Cloneable, meter: SearchMeter, seed: int, others: Sequence[Cloneable] = ()
    ) -> list[Action] | None:
        """Actions after which the goal holds in a clone of ``root``, which is left as it is; None where none was found.
        ``others``: beliefs of other seeds. What is superfluous in ``root`` is left out only if it is so in all of those
        in which the whole plan works.

        Search steps are paid before they are taken; raises `BudgetExceeded`.
        """
        if not goal.atoms:
            return None
        rng = random.Random(f"tree:{seed}")
        plan: list[Action] = []
        world = root.clone()
        while goal.unmet(world.observe()):
            piece = self._piece(goal, world, meter, rng)
            if piece is None:
                return None
            for action in piece:
                act_paid(world, action, meter)
            plan += piece
        return self.shortened(goal, root, plan, meter, others)

    # ------------------------------------------------------------------ inside

    def _piece(self, goal: Goal, start: Cloneable, meter: SearchMeter, rng: random.Random) -> list[Action] | None:
        """Actions after which more atoms hold than before."""
        s = self.settings
        lacking = len(goal.unmet(start.observe()))
        root = self._node(goal, start, 0, rng)
        seen = {self._sight(goal, start)}
        for _ in range(s.rollouts):
            node, path = root, [root]
            taken: list[Action] = []
            while node.children and (not node.untried or len(node.children) > s.wide * math.sqrt(node.visits)):
                action = max(node.children, key=lambda a, n=node: (self._bound(n, n.children[a]), str(a)))  # type: ignore[misc]
                node = node.children[action]
                path.append(node)
                taken.append(action)
            if node is root and not node.untried and not node.children:
                return None
            leaf = self._expanded(goal, node, seen, meter, rng)
            if leaf is not None:
                action, node = leaf
                path.append(node)
                taken.append(action)
            won = lacking - len(goal.unmet(node.world.observe()))
            if won <= 0:
                more, won = self._rollout(goal, node, lacking, meter, rng)
                taken += more
            if won > 0:
                return taken
            earned = s.step * len(taken)
            for one in path:
                one.visits += 1
                one.value += earned
        return None

    def _bound(self, parent: _Node, child: _Node) -> float:
        """UCB1: what it has earned on average, and how little that is known."""
        wide = math.sqrt(math.log(parent.visits + 1) / child.visits)
        return child.value / child.visits + self.settings.curiosity * self.settings.atom * wide

    def _expanded(
        self, goal: Goal, node: _Node, seen: set[frozenset[tuple[Fact, Value]]], meter: SearchMeter, rng: random.Random
    ) -> tuple[Action, _Node] | None:
        """The next action of a node that leads to a new state, with that state."""
        while node.untried:
            action = node.untried.pop(0)
            world = node.world.clone()
            if self._act(world, action, meter) and (sight := self._sight(goal, world)) not in seen:
                seen.add(sight)
                child = node.children[action] = self._node(goal, world, node.depth + 1, rng)
                return action, child
        return None

    def _sight(self, goal: Goal, world: Cloneable) -> frozenset[tuple[Fact, Value]]:
        """What tells one state from another."""
        wanted = {a for atom in goal.atoms for a in atom.fact.args}
        passing = world.spec.passing
        facts = world.observe().facts.items()
        return frozenset((f, v) for f, v in facts if f.predicate not in passing or not wanted.isdisjoint(f.args))

    def _rollout(
        self, goal: Goal, node: _Node, lacking: int, meter: SearchMeter, rng: random.Random
    ) -> tuple[list[Action], int]:
        """A few actions by chance, the likelier ones more often; (what was done, how many atoms more hold)."""
        world, taken = node.world.clone(), list[Action]()
        for _ in range(min(self.settings.beyond, self.settings.depth - node.depth)):
            options = self._options(goal, world, rng)
            if not options:
                break
            action = options[min(int(rng.expovariate(1.0) * 3), len(options) - 1)]
            if not self._act(world, action, meter):
                continue
            taken.append(action)
            won = lacking - len(goal.unmet(world.observe()))
            if won > 0:
                return taken, won
        return [], 0

    def _node(self, goal: Goal, world: Cloneable, depth: int, rng: random.Random) -> _Node:
        return _Node(world, depth, self._options(goal, world, rng) if depth < self.settings.depth else [])

    def _options(self, goal: Goal, world: Cloneable, rng: random.Random) -> list[Action]:
        """What is worth trying, likeliest first: what is afforded, and looking for what the goal names."""
        wanted = {a for atom in goal.atoms for a in atom.fact.args}
        afforded = list(world.affordances()) if isinstance(world, Affording) else []
        known = {p.name for p in world.spec.primitives if p.seeks}
        looking = [Action(name, (str(a),)) for name in sorted(known) for a in sorted(wanted, key=str)]
        options = sorted({*afforded, *looking}, key=str)
        rng.shuffle(options)

        def far(action: Action) -> tuple[int, bool]:
            about = set(action.args)
            return (0 if about and about <= wanted else 1 if about & wanted else 2, action.name in known)

        return sorted(options, key=far)[: self.settings.width]

    def _act(self, world: Cloneable, action: Action, meter: SearchMeter) -> bool:
        """Act on an imagined world; whether that changed anything."""
        before = world.observe()
        outcome = act_paid(world, action, meter)
        if self._book is not None:
            self._book.observe(action, outcome, before)
        return outcome.ok and bool(outcome.changes)

    def shortened(
        self,
        goal: Goal,
        root: Cloneable,
        plan: Sequence[Action],
        meter: SearchMeter,
        others: Sequence[Cloneable] = (),
    ) -> list[Action] | None:
        """The plan without what can be left out, alone or with one other (what undoes it, as closing does opening).
        ``root``, ``others``: as of `plan`."""
        kept = list(plan)
        tested = [root, *(other for other in others if kept and self._works(goal, other, kept, meter))]
        smaller = True
        while smaller:
            smaller = False
            for out in chain(combinations(range(len(kept)), 1), combinations(range(len(kept)), 2)):
                shorter = [a for i, a in enumerate(kept) if i not in out]
                if shorter and all(self._works(goal, start, shorter, meter) for start in tested):
                    kept, smaller = shorter, True
                    break
        return kept or None

    def _works(self, goal: Goal, start: Cloneable, plan: Sequence[Action], meter: SearchMeter) -> bool:
        """Whether each action works, and the goal holds at the end: what fails in passing may have been there for a
        reason elsewhere."""
        world = start.clone()
        return all(act_paid(world, action, meter).ok for action in plan) and not goal.unmet(world.observe())
