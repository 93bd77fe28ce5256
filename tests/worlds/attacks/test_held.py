"""Every attack, at every tier that this system has: held there, and shown by its control to be an attack."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.attacks.conftest import HERE
from tests.worlds.attacks.payloads import PAYLOADS, Payload

from habilis.worlds.runner import ConfinedRunner, probe

each = pytest.mark.parametrize("payload", PAYLOADS, ids=lambda p: f"{p.family}: {p.name}")


@each
def test_confinement_holds(payload: Payload, confined: ConfinedRunner, world: Any, targets: dict[str, Any]) -> None:
    t = confined.run(payload.program(), world, args=targets, limits=payload.limits)
    assert not payload.succeeded(t), t
    assert t.tier == confined.tier
    assert t.seconds < (payload.limits.seconds or 0) + 2
    assert Path(targets["secret"]).read_text() == "canary-file"
    assert sorted(p.name for p in Path(targets["secret"]).parent.iterdir()) == ["secret.txt", "socket"]
    os.kill(targets["victim"], 0)
    if payload.family == "protocol":
        assert t.error is not None
        assert (t.error.kind, t.steps, t.returned, world.acts) == ("protocol", (), None, 0)
    assert confined.run(payload.program("return 'next'"), world).returned == "next"


@each
def test_it_is_an_attack(
    payload: Payload, unconfined: ConfinedRunner, runner: ConfinedRunner, world: Any, targets: dict[str, Any]
) -> None:
    by = runner if payload.confined_control else unconfined
    t = by.run(payload.program(payload.control), world, args=targets, limits=payload.free)
    assert payload.succeeded(t), t


def test_there_are_enough_of_each_family() -> None:
    families = Counter(p.family for p in PAYLOADS)
    assert len(PAYLOADS) >= 80
    assert min(families.values()) >= 5
    names = Counter((p.family, p.name) for p in PAYLOADS)
    assert max(names.values()) == 1


def test_the_tier_that_is_required_is_there() -> None:
    required = int(os.environ.get("HABILIS_REQUIRE_TIER", "1"))
    found = probe()
    assert found.tier >= required, found
    assert set(range(1, required + 1)) <= set(HERE), f"attacked at the tiers {HERE}, and {required} is required"


def test_what_is_not_covered_is_said_and_fails_where_it_is_required(tmp_path: Path) -> None:
    """The suite itself, on a system without bubblewrap."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            f"{__file__}::test_the_tier_that_is_required_is_there",
        ],
        env={**os.environ, "PATH": str(tmp_path), "HABILIS_REQUIRE_TIER": "3"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError: Isolation(tier=" in done.stdout
    assert "confinement tier 1, seccomp: covered" in done.stdout
    last = "confinement tier 3, seccomp, Landlock and namespaces: NOT COVERED (bwrap is not installed)"
    assert last in done.stdout
