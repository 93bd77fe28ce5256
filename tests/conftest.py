"""For the whole suite: properties are tried with the same examples each time, and the end says which tiers of
confinement were attacked here, and which could not be."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

from habilis.core import IsolationError
from habilis.worlds.runner import TIERS, probe

# The models here are so small that a second thread costs more than it does. Read when torch is first imported, which
# the tests of any folder may be the first to do.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("searching", deadline=None)  # HYPOTHESIS_PROFILE=searching looks for new ones
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

NAMES = {1: "seccomp", 2: "landlock", 3: "bubblewrap"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("HABILIS_LONG"):
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="takes long; set HABILIS_LONG=1 to run it"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not any("worlds" in str(arg) or arg == "tests" for arg in config.args):
        return
    for tier, name in NAMES.items():
        try:
            probe(name)
        except IsolationError as error:
            said = f"NOT COVERED ({error})"
        else:
            said = "covered"
        terminalreporter.write_line(f"confinement tier {tier}, {TIERS[tier]}: {said}")
