"""An environment that others wrote as a world: Gymnasium's CliffWalking, from its name to a proven skill.

    pip install 'habilis[gym]'
    python examples/cliff_world.py cliff-home

Nobody tells the agent what an action does, nor why one failed. It finds out, writes a program from that, and proves it
in fresh worlds. From the command line the same world is `habilis run --world examples/cliff_world.py:make_world`.
"""

from __future__ import annotations

import sys

from habilis import Agent, World
from habilis.worlds.gym import GymWorld

WIDTH, HEIGHT = 12, 4


def where(observation: int) -> dict[str, object]:
    """What the agent sees: how far the goal is, and whether there is ground on either side."""
    row, column = divmod(int(observation), WIDTH)
    return {"to_the_right": WIDTH - 1 - column, "below": HEIGHT - 1 - row, "above_the_cliff": row < HEIGHT - 1}


def make_world(render: bool = False) -> GymWorld:
    """``render``: with pictures, for the report; that needs pygame (pip install 'gymnasium[toy-text]')."""
    return World.from_gymnasium(
        "CliffWalking-v1",
        options={"render_mode": "rgb_array"} if render else None,
        actions=["up", "right", "down", "left"],
        describe=where,
        context=["to_the_right", "below"],  # they rise and fall as it moves: nothing is used up
        goal="to_the_right() <= 0 and below() <= 0",
        doc="A walk along the edge of a cliff, 4 rows by 12 columns. Who falls begins again.",
    )


def main(home: str) -> bool:
    with Agent(make_world(), home=home) as agent:
        summary = agent.run_now(12)
        episode = agent.solve_now("to_the_right() <= 0 and below() <= 0")
        print(f"{summary.solved} of {summary.tried} tasks solved; then: {episode.status} {episode.reason}")
        for name, bound in agent.skills.items():
            print(
                f"\n{name}: {bound.skill.evidence.level.value}, {bound.skill.evidence.successes} runs\n{bound.source}"
            )
    return episode.solved


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1] if len(sys.argv) > 1 else "cliff-home") else 1)
