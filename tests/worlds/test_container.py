"""Containers: the whole protocol through the pipes of ``docker run``, with a stand-in for the command.

The stand-in starts the same bridge and server on this machine, so what is tried here is ours: options, frames, limits,
endings. What an engine adds is the engine's.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from habilis.core import InputError, IsolationError, Program, RunLimits
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner, probe

ROOT = Path(__file__).parents[2]
FAKE = """#!{python}
import json, os, sys
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(arguments) + "\\n")
if os.path.exists({broken!r}):
    sys.exit(open({broken!r}).read())
if arguments[0] == "rm":
    sys.exit(0)
assert arguments.pop(0) == "run"
valued = ("--name", "--runtime", "--network", "--cap-drop", "--security-opt", "--user", "--pids-limit", "--memory",
          "--mount", "--workdir", "--env")
environment, mounts = {{}}, {{}}
while arguments[0].startswith("--"):
    option = arguments.pop(0)
    if option in valued:
        value = arguments.pop(0)
        if option == "--env":
            name, _, text = value.partition("=")
            environment[name] = text
        elif option == "--mount":
            parts = dict(part.split("=") for part in value.split(",") if "=" in part)
            mounts[parts["target"]] = parts["source"]
image = arguments.pop(0)
for target, source in mounts.items():
    arguments = [a.replace(target + "/", source + "/") if a.startswith(target) else a for a in arguments]
python = {python!r}
arguments = [python if a == "python3" else a.replace('"python3"', json.dumps(python)) for a in arguments]
os.execve(python, arguments, environment)
"""


class Docker:
    def __init__(self, folder: Path) -> None:
        self._log, self._broken = folder / "log", folder / "broken"
        command = folder / "docker"
        python = os.path.realpath(sys.executable)
        command.write_text(FAKE.format(python=python, log=str(self._log), broken=str(self._broken)))
        command.chmod(command.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def breaks(self, says: str) -> None:
        self._broken.write_text(says)


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    folder = tmp_path_factory.mktemp("docker")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield Docker(folder)


@pytest.fixture(scope="module")
def inside(docker: Docker) -> Iterator[ConfinedRunner]:
    with ConfinedRunner(isolation="docker:python:3.12-slim") as runner:
        yield runner


class Tools:
    def names(self) -> tuple[str, ...]:
        return ("plus",)

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return "ä" * 200_000 if args == ("long",) else sum(args)


def program(body: str) -> Program:
    return Program("main", "def main(**given):\n" + "".join(f"    {line}\n" for line in body.split("\n")))


def test_a_program_acts_prints_calls_and_returns(inside: ConfinedRunner, world: Any) -> None:
    body = (
        "world.add('oak', 2)\nprint('now', world.count('oak'))\n[r.value for r in world.steps([('add', 'a')] * 5)]\n"
        "return [tools.plus(1, 2), len(tools.plus('long')), world.count('a')]"
    )
    t = inside.run(program(body), world, tools=Tools())
    assert (t.error, t.returned, t.printed, len(t.steps)) == (None, [3, 200_000, 5], "now 2\n", 6)
    assert t.tier == inside.tier > 0
    # The stand-in makes no namespaces, and is found out.
    found = inside.isolation
    assert (found.backend, found.tier) == ("docker", min(2, probe("seccomp").tier + 1))
    assert "docker: started, yet a program could see the host's files and reach the host's sockets" in found.missing


@pytest.mark.parametrize(
    ("body", "limits", "kind", "line", "says"),
    [
        ("x = 1\nwhile True: pass", RunLimits(seconds=0.3), "time", 3, "seconds=0.3"),
        ("while True: print('x' * 999)", RunLimits(), "output", 2, "output_bytes=64000"),
        ("while True: world.add('a')", RunLimits(world_steps=10), "steps", 2, "world_steps=10"),
        ("x = []\nwhile True: x.append(bytearray(1 << 24))", RunLimits(memory_mb=256), "memory", 3, "memory_mb=256"),
        ("while True: pass", RunLimits(cpu_seconds=1), "time", 2, "cpu_seconds=1"),
        ("open('/etc/passwd')", RunLimits(), "PermissionError", 2, "not permitted"),
        ("import os", RunLimits(), "import", 2, "may import"),
    ],
)
def test_limits_and_walls_hold(
    inside: ConfinedRunner, world: Any, body: str, limits: RunLimits, kind: str, line: int, says: str
) -> None:
    t = inside.run(program(body), world, limits=limits)
    assert t.error is not None
    assert (t.error.kind, t.error.line) == (kind, line), t.error
    assert says in t.error.message
    assert inside.run(program("return 1"), world).returned == 1


_ESCAPE = "os = __import__('json').codecs.builtins.__import__('os')\n"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("os._exit(3)", {"died"}),
        ("os.abort()", {"died"}),
        ("os.close(3)", {"died", "OSError", "time"}),
        ("while True: os.write(3, b'[\"observe\"]')", {"time", "calls"}),
        ("os.write(3, b'[\"win\"]')\nos.read(3, 9)", {"protocol"}),
        ("while True: os.write(4, b'x' * 9999)", {"died", "time", "protocol"}),
        ("while True: os.write(1, b'\\xff' * 60000)", {"output"}),
    ],
)
def test_what_breaks_is_a_failed_run(inside: ConfinedRunner, world: Any, body: str, kinds: set[str]) -> None:
    t = inside.run(program(_ESCAPE + body), world, limits=RunLimits(seconds=1))
    assert t.error is not None
    assert t.error.kind in kinds, t.error
    assert inside.run(program("return 1"), world).returned == 1


def test_the_container_has_nothing_that_it_does_not_need(docker: Docker, inside: ConfinedRunner, world: Any) -> None:
    inside.run(program("return 1"), world)
    command = docker.calls[0]
    said = " ".join(command)
    for option in (
        "run --rm --interactive",
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 65534:65534",
        "--pids-limit",
        "--memory",
        "target=/habilis,readonly",
    ):
        assert option in said
    assert "--privileged" not in said
    assert command[command.index("python:3.12-slim") + 1] == "python3"


@pytest.mark.parametrize("fast", [None, False, True])
def test_worlds_without_secrets_are_driven_from_the_host(docker: Docker, fast: bool | None) -> None:
    """A container has no copy of the world: replies carry no state for one, and what a tool changed is seen."""
    world = CraftWorld(view="full")
    world.reset(3)

    class Gift:
        def names(self) -> tuple[str, ...]:
            return ("gift",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            world._gain("diamond", 3, {})

    long = "for i in range(600): world.move('east'); world.move('west')\ntools.gift()\nreturn world.count('diamond')"
    with ConfinedRunner(isolation="docker:image", fast=fast) as runner, pytest.MonkeyPatch.context() as patch:
        saved, save = [], CraftWorld.save
        patch.setattr(CraftWorld, "save", lambda self: saved.append(1) or save(self))
        for had in (0, 3):
            t = runner.run(program(long), world, tools=Gift())
            assert (t.error, t.returned, len(t.steps), saved) == (None, had + 3, 1200, [])


def test_modules_are_refused_where_a_container_has_none_of_them() -> None:
    with pytest.raises(InputError, match=r"numpy was asked for with --isolation docker:image; leave it out"):
        ConfinedRunner(isolation="docker:image", modules=("numpy",))


def test_ids_repeat(inside: ConfinedRunner, docker: Docker, world: Any) -> None:
    ids = program("class T: pass\nreturn [id(T()), id(object()), str(__import__('uuid').uuid4())]")
    said = [inside.run(ids, world).returned for _ in range(2)]
    with ConfinedRunner(isolation="docker:image") as other:
        said += [other.run(ids, world).returned for _ in range(2)]
    assert all(one == said[0] for one in said)


def test_gvisor_is_the_same_with_its_runtime(docker: Docker, world: Any) -> None:
    with ConfinedRunner(isolation="gvisor:python:3.12-slim") as runner:
        assert runner.run(program("return 1"), world).returned == 1
        assert runner.isolation.backend == "gvisor"
    assert docker.calls[-1][docker.calls[-1].index("--runtime") + 1] == "runsc"


def test_a_killed_container_is_started_again(docker: Docker, world: Any) -> None:
    with ConfinedRunner(isolation="docker:image") as runner:
        assert runner.run(program("return 1"), world).returned == 1
        os.kill(runner.processes[0], 9)
        time.sleep(0.1)
        assert runner.run(program("return 2"), world).returned == 2


def test_nothing_is_left_when_it_is_closed(docker: Docker, world: Any) -> None:
    with ConfinedRunner(isolation="docker:image") as runner:
        runner.run(program("return 1"), world)
        (pid,) = runner.processes
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert children
    until = time.monotonic() + 5
    while any(Path(f"/proc/{child}").exists() for child in [pid, *children]) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [child for child in [pid, *children] if Path(f"/proc/{child}").exists()]


def test_an_engine_that_does_not_answer_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Docker(tmp_path).breaks("Cannot connect to the Docker daemon")
    with pytest.raises(IsolationError, match=r"Cannot connect to the Docker daemon.*docker run --rm python:3"):
        probe("docker:python:3")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(IsolationError, match="install Docker"):
        probe("docker:python:3")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_on_other_systems_a_container_is_the_way(docker: Docker, platform: str) -> None:
    """The host's side without anything that they lack: it refuses by itself, and runs in a container."""
    source = textwrap.dedent(f"""
        import asyncio, mmap, os, pydantic, select, signal, socket, subprocess, sys
        sys.platform = {platform!r}
        sys.modules |= dict.fromkeys(("fcntl", "resource", "termios", "pwd", "grp"))  # importing them fails
        lacked = {{
            socket: "SOCK_SEQPACKET AF_NETLINK MSG_DONTWAIT",
            select: "epoll poll" if sys.platform == "win32" else "epoll",
            signal: "pidfd_send_signal",
            os: "pidfd_open memfd_create sched_getaffinity personality",
        }}
        if sys.platform == "win32":
            lacked[socket] += " AF_UNIX send_fds recv_fds"
            lacked[signal] += " pthread_sigmask setitimer SIGUSR1 SIGKILL SIGALRM SIGCHLD"
            lacked[os] += " register_at_fork fork set_blocking getuid geteuid killpg setsid"
        for module, names in lacked.items():
            for name in names.split():
                if hasattr(module, name):
                    delattr(module, name)
        from habilis.core import IsolationError, Program, RunLimits
        from habilis.worlds.runner import ConfinedRunner
        from tests.worlds.counter import CounterWorld
        try:
            with ConfinedRunner() as runner: runner.run(Program("main", "def main(): pass"), CounterWorld())
        except IsolationError as error:
            print(error)
        with ConfinedRunner(isolation="docker:image") as runner:
            good = runner.run(Program("main", "def main(): return world.add('a').value"), CounterWorld())
            print(good.returned, good.tier > 0)
            loop = Program("main", "def main():\\n    x = 1\\n    while True: pass")
            error = runner.run(loop, CounterWorld(), limits=RunLimits(seconds=0.5)).error
            print(error.kind, error.line)
    """)
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        f"programs run on Linux, and this is {platform}; run them in a container: --isolation docker:IMAGE",
        "1 True",
        "time 3",
    ], done.stderr


@pytest.mark.parametrize("isolation", ["docker", "docker:", "docker:--privileged", "podman:x", "", "none", "tier3"])
def test_an_isolation_that_does_not_exist_is_refused(isolation: str) -> None:
    with pytest.raises(InputError, match="docker:IMAGE"):
        ConfinedRunner(isolation=isolation)
