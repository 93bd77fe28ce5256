"""The skill library alone: no agent, no language model, no torch.

    python examples/skill_library.py library-home

Two programs are proven in fresh worlds and kept; they differ in constants only, so that they become one skill with
choices. A third calls it. Run it again: what is there already is evidence.
"""

from __future__ import annotations

import sys

from habilis.memory import Home, SkillLibrary, open_embedder, skill_of
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

LOG = """
def have_{wood}_log(n: int = 1):
    while world.count("{wood}_log") < n:
        if world.here("{wood}_log") < 1:
            world.find("{wood}_log", 0)
        world.gather("{wood}_log")
"""
PLANKS = """
def have_oak_planks(n: int = 1):
    while world.count("oak_planks") < n:
        skills.have_log(1, kind="oak_log")
        world.craft("oak_planks")
"""


def main(path: str) -> None:
    spec = CraftWorld().spec
    with Home.open(path) as home, ConfinedRunner() as runner:
        verifier = WorldVerifier(CraftWorld, runner, GoalJudge())
        with SkillLibrary.open(home, embedder=open_embedder(), verifier=verifier, passing=spec.passing) as library:
            for wood in ("oak", "birch"):
                goal = f'count("{wood}_log") >= {{n}}'
                kept = library.admit(skill_of(LOG.format(wood=wood), goal, spec), "written by hand")
                print(f"{kept.name} version {kept.version}, proven for {[dict(c.args) for c in kept.settings]}")
            library.admit(skill_of(PLANKS, 'count("oak_planks") >= {n}', spec), "written by hand")
            for hit in library.search("I need some planks of oak", k=2):
                print(f"found {hit.skill.name}: {hit.why}")
            print(library.verify("have_log", seed=1).why)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "library-home")
