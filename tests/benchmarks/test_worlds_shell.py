"""The shell benchmark: what is held against what, on a small part of it."""

from __future__ import annotations

import pytest
from benchmarks import _worlds_shell as bench

from habilis.core import Evidence, EvidenceLevel, Parameter, Program, Skill
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.shell.orders import HELD_OUT, fingerprint


def test_a_skill_is_held_against_orders_that_it_has_not_seen() -> None:
    assert fingerprint("test", HELD_OUT) == bench.FROZEN
    names = ("src", "dst")

    parameters = tuple(Parameter(n, "str", "x", required=False) for n in names)
    right = "def it(src='x', dst='x'):\n    world.run('cp -- \"$1\" \"$2\"', src, dst)\n"
    lucky = right.replace("cp --", 'test ! -e "$2.x" && mv --')
    for source, share in ((right, 1.0), (lucky, 0.0)):
        skill = Skill(
            "it", 1, Program("it", source, parameters), "", 'file_copied("{src}", "{dst}")', "shell", "f",
            Evidence(EvidenceLevel.VERIFIED),
        )  # fmt: skip
        with ConfinedRunner() as runner:
            assert bench.share({"it": skill}, "file_copied", range(2), runner) == share
            assert bench.share({"it": skill}, "file_renamed", range(2), runner) == 0


def test_rivals_and_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RANDOM_COMMANDS", 4)
    assert all(bench.by_hand(name, 0) for name in ("lines_sorted", "files_found"))
    chances = [bench.at_random("file_renamed", seed) for seed in range(2)]
    assert chances == [bench.at_random("file_renamed", seed) for seed in range(2)]
    figures = bench.speeds(10)
    assert {"shell_commands_per_s", "shell_protocol_ratio"} <= figures.keys()
    assert all(f.value > 0 for f in figures.values())
