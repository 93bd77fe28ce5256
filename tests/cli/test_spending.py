"""What a run has spent, to the cent: stopped at a limit and topped up, and killed in the middle of a request."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habilis.testing.chat import Response, Server, serve_openai

from .conftest import Cli

PRICE = 10.0  # USD per million tokens, read or written
COUNTED = (1000, 50)  # tokens of every answer
EACH = sum(COUNTED) * PRICE / 1e6


class Endpoint:
    """A model that never writes a program, and may kill who asks instead of answering."""

    def __init__(self) -> None:
        self.asking: subprocess.Popen[str] | None = None
        self.kill_at = 0  # the how manieth request from now on
        self.answered = 0
        self.cut_short: list[float] = []  # the most that each of them can have cost

    def __call__(self, request: dict[str, Any]) -> Response:
        self.kill_at -= 1
        if self.kill_at == 0 and self.asking is not None:
            self.cut_short.append(most(request["messages"]))
            self.asking.kill()
            self.asking.wait()
            return Response(drop=True)
        self.answered += 1
        return Response("I would rather not.", usage_counts=COUNTED)

    @property
    def spent(self) -> float:
        return self.answered * EACH + sum(self.cut_short)


def most(messages: list[dict[str, str]]) -> float:
    """A token for every byte, some for the roles, and the longest reply."""
    return (16 + sum(len(m["content"].encode()) + 8 for m in messages) + 1500) * PRICE / 1e6


@pytest.fixture
def endpoint() -> Iterator[tuple[Endpoint, Server]]:
    model = Endpoint()
    with serve_openai(model) as server:
        yield model, server


def command(home: Path, server: Server, usd: float, *more: str) -> list[str]:
    chat = ["--writer", "chat", "--model", "openai:x", "--base-url", server.base_url]
    prices = ["--price-in", str(PRICE), "--price-out", str(PRICE), "--max-usd", str(usd)]
    return ["run", "--home", str(home), "--distil-every", "0", *chat, *prices, *more]


def spent(cli: Cli, home: Path) -> float:
    (run,) = cli("runs", "--json", "--home", home).json
    return float(run["spent"]["usd"])


def test_a_run_that_a_limit_stopped_goes_on_with_a_larger_one(
    cli: Cli, tmp_path: Path, endpoint: tuple[Endpoint, Server]
) -> None:
    model, server = endpoint
    first = cli.apart(*command(tmp_path / "home", server, 0.2, "--json"))
    assert first.code == 0, first.err
    assert (first.json["status"], first.json["spent"]["usd"]) == ("stopped", pytest.approx(model.spent))
    assert "the limit usd=0.2 is reached" in first.json["reason"]
    assert "--max-usd" in first.json["reason"]
    asked = model.answered
    assert asked > 3
    again = cli.apart(*command(tmp_path / "home", server, 0.2, "--json"))
    assert again.json["status"] == "stopped"
    assert model.answered == asked  # nothing is left for another request
    more = cli.apart(*command(tmp_path / "home", server, 0.4, "--json"))
    assert model.answered > asked
    assert more.json["run_id"] == first.json["run_id"] == 1
    assert more.json["spent"]["usd"] == pytest.approx(model.spent, abs=1e-9)
    assert 0.2 < model.spent <= 0.4


def test_a_budget_of_zero_asks_nothing_and_says_why(
    cli: Cli, tmp_path: Path, endpoint: tuple[Endpoint, Server]
) -> None:
    model, server = endpoint
    done = cli.apart(*command(tmp_path / "home", server, 0.0, "--json"))
    assert (done.json["status"], model.answered) == ("stopped", 0)
    assert "the limit usd=0 is reached" in done.json["reason"]


def test_killed_in_the_middle_of_requests_each_is_charged_once(
    cli: Cli, tmp_path: Path, endpoint: tuple[Endpoint, Server]
) -> None:
    model, server = endpoint
    home = tmp_path / "home"
    for round_number, kill_at in enumerate((1, 4, 2)):
        model.kill_at = kill_at
        model.asking = cli.start(*command(home, server, 1.0))
        model.asking.communicate(timeout=120)
        assert model.asking.returncode == -9
        assert len(model.cut_short) == round_number + 1
    model.asking = None
    last = cli.apart(*command(home, server, 1.0, "-n", "2", "--json"))
    assert last.code == 0, last.err
    assert last.json["spent"]["usd"] == pytest.approx(model.spent, abs=1e-9)
    assert spent(cli, home) == pytest.approx(model.spent, abs=1e-9)
    assert "was under way when the process ended" not in last.err  # told in the round after each kill, not again


def test_what_a_kill_left_open_is_told_when_the_run_goes_on(
    cli: Cli, tmp_path: Path, endpoint: tuple[Endpoint, Server]
) -> None:
    model, server = endpoint
    model.kill_at = 2
    model.asking = cli.start(*command(tmp_path / "home", server, 1.0))
    model.asking.communicate(timeout=120)
    model.asking = None
    told = cli.apart(*command(tmp_path / "home", server, 1.0, "-n", "1"))
    assert "a request to x was under way when the process ended, so the most that it may have cost is charged" in (
        told.out + told.err
    )
