"""What the command line says of confinement: what holds, what is missing, what helps; and going around it is loud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.worlds.sabotage import sabotaged

from habilis.memory import Home
from habilis.worlds.runner import TIERS, probe

WARNING = "WARNING: --unsafe-no-isolation: programs run unconfined and may do anything that you may."


def tiers_of(home: Path) -> set[int]:
    """Those of all attempts, and of all trials that proved a skill."""
    with Home.open(home) as opened:
        attempts = {
            a.trajectory.tier for r in opened.journal.runs() for e in opened.journal.episodes(r.id) for a in e.attempts
        }
        trials = {trial.tier for skill in opened.journal.skills(status=None) for trial in skill.evidence.trials}
        return attempts | trials


def test_doctor_says_what_holds_what_is_missing_and_what_helps(cli: Any) -> None:
    told, found = cli("doctor", "--json"), probe()
    assert told.code == 0
    said = told.json["isolation"]
    assert sorted(said) == ["backend", "fix", "missing", "tier"]
    assert (said["tier"], said["backend"], said["missing"]) == (found.tier, found.backend, list(found.missing))
    assert said["fix"] == found.fix
    assert (said["tier"] == 3) == (said["missing"] == []) == (said["fix"] is None)
    shown = cli("doctor").out
    for part in (f"tier {found.tier}, {TIERS[found.tier]}", *found.missing, found.fix or ""):
        assert part in shown


def test_doctor_without_bubblewrap_says_so_and_how_to_get_it(cli: Any, tmp_path: Path) -> None:
    said = cli.apart("doctor", "--json", PATH=str(tmp_path)).json["isolation"]
    assert (said["tier"], said["backend"]) == (min(2, probe().tier), "")
    assert "bubblewrap: bwrap is not installed" in said["missing"]
    assert "install bubblewrap (Debian, Ubuntu, Fedora: the package bubblewrap)" in said["fix"]


@pytest.mark.parametrize(
    ("replaced", "tier", "missing", "fix"),
    [
        ({"landlock__version": "raise OSError(38, 'no such call')"}, 1, "landlock: no such call", "use Linux 5.13"),
        ({"seccomp__install": "return None"}, 0, "seccomp: installed, yet a program could", "--isolation docker:IMAGE"),
    ],
)
def test_doctor_tells_what_a_system_without_a_feature_can_do(
    cli: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replaced: dict[str, str],
    tier: int,
    missing: str,
    fix: str,
) -> None:
    sabotaged(tmp_path, monkeypatch, **replaced)
    told = cli("doctor", "--json")
    said = told.json["isolation"]
    assert (told.code, said["tier"]) == (0 if tier else 1, tier)
    assert any(one.startswith(missing) for one in said["missing"])
    assert fix in said["fix"]
    assert f"tier {tier}, {TIERS[tier]}" in cli("doctor").out


def test_where_nothing_confines_a_run_is_refused_before_anything_is_spent(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotaged(tmp_path, monkeypatch, seccomp__install="return None")
    told = cli("run", "-n", "1", "--home", tmp_path / "home")
    assert told.code == 1
    assert "this system cannot confine programs (" in told.err
    for way in ("--isolation docker:IMAGE", "--unsafe-no-isolation"):
        assert way in told.err
    assert cli("runs", "--json", "--home", tmp_path / "home").json == []


def test_going_around_it_is_loud_and_recorded(cli: Any, home: Path, tmp_path: Path) -> None:
    quiet = cli("solve", 'count("dirt") >= 1', "--home", tmp_path / "confined")
    assert (quiet.code, WARNING in quiet.err) == (0, False)
    assert tiers_of(tmp_path / "confined") == {probe().tier}
    loud = cli("solve", 'count("dirt") >= 1', "--home", tmp_path / "free", "--unsafe-no-isolation")
    assert (loud.code, loud.err.count(WARNING)) == (0, 1)
    assert tiers_of(tmp_path / "free") == {0}
    loud = cli("run", "-n", "3", "--distil-every", "0", "--home", tmp_path / "free", "--unsafe-no-isolation")
    assert (loud.code, loud.err.count(WARNING)) == (0, 1)
    assert tiers_of(tmp_path / "free") == {0}
    # Proving skills again runs programs as well.
    name = cli("skills", "list", "--home", home, "--json").json[0]["name"]
    for command in ("verify", "relift"):
        assert WARNING not in cli("skills", command, name, "--home", home).err
        assert 0 not in tiers_of(home)
    assert cli("skills", "verify", name, "--home", home, "--unsafe-no-isolation").err.count(WARNING) == 1
    assert 0 in tiers_of(home)
    assert cli("skills", "relift", name, "--home", home, "--unsafe-no-isolation").err.count(WARNING) == 1
