"""Attacks on the shell world's sandbox: each is answered, the world goes on, nothing stays behind or gets out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis.core import Action, Fact, Outcome
from habilis.worlds.shell import Limits, ShellWorld


@pytest.fixture
def world() -> Iterator[ShellWorld]:
    made = ShellWorld(orders=1, limits=Limits(seconds=30))
    yield made
    place = made.place
    made.close()
    assert not place.exists()
    assert not about(place)


def about(place: Path) -> list[str]:
    """The command lines that name a world's copy: those of its sandboxes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(place) in line:
            found.append(line)
    return found


def run(world: ShellWorld, command: str, *args: str) -> Outcome:
    return world.act(Action("run", (command, *args)))


ENDED = {
    "a loop": ("while :; do :; done", "longer than 0.5 s"),
    "deaf": ("trap '' TERM INT HUP; sleep 60", "longer than 0.5 s"),
    "a pipe nobody writes to": ("mkfifo p; cat p", "longer than 0.5 s"),
    "a stopped shell": ("kill -STOP $$", "longer than 0.5 s"),
    "a killed shell": ("kill -KILL $$", "ended by its own command"),
    "everybody killed": ("kill -KILL -1; sleep 1", "ended by its own command"),
    "a fork bomb": ("f() { f | f & }; f; sleep 5", "64 processes|longer"),
    "a flood": ("yes", "1048576 bytes|longer"),
    "memory": ("a=$(tr '\\0' a < /dev/zero)", "of memory|allocate|longer|exit status"),
    "its commands eaten": ("cat /proc/$$/fd/0", "longer than 0.5 s|tampered"),
    "a forged answer": ("echo '99 0' > /proc/$$/fd/5; sleep 5", "tampered|longer"),
}


@pytest.mark.parametrize("attack", ENDED, ids=str)
def test_what_does_not_end_is_ended(world: ShellWorld, attack: str) -> None:
    command, said = ENDED[attack]
    world._sandbox.limits = Limits(seconds=0.5)
    outcome = run(world, command)
    world._sandbox.limits = Limits(seconds=30)
    assert not outcome.ok
    assert not outcome.done
    assert any(part in outcome.message for part in said.split("|"))
    assert world.act(Action("lines", ("echo on",))).value == ["on"]


@pytest.mark.parametrize(
    "command",
    [
        "for i in 1 2 3 4 5 6; do head -c 15M /dev/zero > z$i; done",
        "for i in {1..2500}; do : > f$i; done",
        "mkdir q; cd q; for i in {1..300}; do mkdir d && cd d || break; done",
    ],
    ids=["bytes", "files", "depth"],
)
def test_a_folder_without_end_is_given_up(command: str) -> None:
    world = ShellWorld(orders=1)
    start = world.save()
    outcome = run(world, command)
    assert not outcome.ok
    assert outcome.done
    assert "given up" in outcome.message
    assert not list(world.place.iterdir())
    assert run(world, "echo on").done
    world.load(start)
    assert run(world, "echo on").ok
    assert world.save()["files"] == start["files"]


def test_nothing_lasts_but_the_folder(world: ShellWorld) -> None:
    assert run(world, "cd /tmp; x=1; touch /tmp/left; setsid sleep 60 >/dev/null 2>&1 & disown; echo hi").ok
    told = world.act(Action("lines", ('pwd; echo "[$x]"; ls /tmp; ls -d /proc/[0-9]* | wc -l',))).value
    assert told[:2] == ["/work", "[]"]
    assert int(told[-1]) <= 5
    assert len(told) == 3


def test_nothing_else_can_be_written_to_or_reached(world: ShellWorld, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("for the user alone")
    for command in (
        'cat "$1"',
        'echo x > "$1"',
        "touch /x || touch /usr/x || touch /dev/x || touch /dev/shm/x || touch /proc/x || touch /etc/x",
        "exec 3<>/dev/tcp/1.1.1.1/53",
        "mount -t tmpfs none /work",
        "mknod d b 8 0 || mknod d c 1 1",
        "unshare -r true",
        "kill -KILL 1 && sleep 0.2 && test ! -e /proc/1",
    ):
        assert not run(world, command, str(secret)).ok, command
    assert secret.read_text() == "for the user alone"


def test_no_name_or_value_of_the_hosts_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABILIS_TOLD", "value-of-the-host")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/path-of-the-host")
    world = ShellWorld(orders=1, limits=Limits(seconds=30))
    told = world.act(Action("lines", ("env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'",))).value
    world.close()
    assert any(line == "HOME=/tmp" for line in told)
    assert not [line for line in told if "HABILIS" in line or "-of-the-host" in line]


def test_links_lead_the_host_nowhere(world: ShellWorld, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("theirs")
    start = world.save()
    places = sorted({p.split("/")[0] for p in start["files"]})
    assert run(world, 'rm -rf -- "$1"; ln -s -- "$2" "$1"; ln -s -- "$2/file" l', places[0], str(outside)).ok
    assert Fact("links_to", ("l", f"{outside}/file")) in world.observe().facts
    assert not any(f.predicate == "content" and f.args[0] == "l" for f in world.observe().facts)
    twin = world.clone()
    assert (twin.place / "l").is_symlink()
    assert twin.observe().facts == world.observe().facts
    world.load(start)  # what stands behind the link is not what is put back
    assert world.save()["files"] == start["files"]
    twin.close()
    assert sorted(p.name for p in outside.iterdir()) == ["file"]
    assert (outside / "file").read_text() == "theirs"
    assert not outside.is_symlink()


def test_shut_folders_special_files_and_a_folder_that_is_deleted(world: ShellWorld) -> None:
    start = world.save()
    assert run(world, "mkdir u; touch u/x; chmod 000 u; mkfifo p; : > s; chmod 000 s").ok
    assert world.observe().facts[Fact("exists", ("p",))] is True
    twin = world.clone()
    assert twin.observe().facts == world.observe().facts
    assert Fact("exists", ("u/x",)) not in world.observe().facts
    assert run(world, "rm p").ok
    shut = world.save()
    twin.load(start)
    twin.load(shut)  # what stands in a shut folder is not shown, and not lost
    assert twin.observe().facts == world.observe().facts
    for one in (twin, world):
        assert run(one, "chmod 700 u; chmod 600 s").ok
    assert world.observe().facts[Fact("exists", ("u/x",))] is True
    assert twin.observe().facts == world.observe().facts
    twin.close()
    run(world, "rm -rf /work /work/* /work/.*; chmod 000 /work")
    assert run(world, "echo on > here").ok
    world.load(start)
    assert world.save()["files"] == start["files"]


def test_what_stands_in_shut_folders_is_counted(world: ShellWorld) -> None:
    for number in "12345":
        filled = run(world, 'mkdir -p "$1/in"; head -c 15M /dev/zero > "$1/in/x"; chmod 0 "$1"', number)
        if not filled.ok:
            break
    assert "more than 64 MB" in filled.message
    assert filled.done


def test_a_command_may_take_things_away_while_the_folder_is_looked_at() -> None:
    world = ShellWorld(orders=1, limits=Limits(seconds=2))
    try:
        busy = run(world, "while :; do mkdir d; touch d/{1..400}; mkdir d/s{1..100}; rm -r d; done")
        assert "longer than 2 s" in busy.message
        assert run(world, "rm -rf d; echo on").value["stdout"] == "on\n"
    finally:
        world.close()


def test_what_gets_hold_of_our_bash_stands_still_while_the_host_writes(world: ShellWorld) -> None:
    """A process that would not stop is ended before the host changes anything."""
    assert run(world, "echo on").ok
    sandbox = world._sandbox
    with sandbox.still():
        states = {p: (Path("/proc") / str(p) / "stat").read_text().rpartition(")")[2].split()[0] for p in inside(world)}
        assert set(states.values()) == {"T"}
    assert run(world, "echo on").ok
    _, bash = inside(world)
    os.kill(bash, 9)
    time.sleep(0.05)
    with sandbox.still():
        assert not about(world.place)
    assert run(world, "echo on").ok


def inside(world: ShellWorld) -> list[int]:
    """The sandbox's processes, as the host numbers them."""
    from habilis.worlds.shell._processes import family

    return family(world._sandbox._first, 16)


def test_a_killed_host_leaves_no_process(tmp_path: Path) -> None:
    script = (
        "import os, time\nfrom habilis.core import Action\nfrom habilis.worlds.shell import Limits, ShellWorld\n"
        "w = ShellWorld(orders=1, limits=Limits(seconds=60))\n"
        "print(w.place, flush=True)\nw.act(Action('run', ('sleep 50',)))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    host = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert host.stdout is not None
    place = Path(host.stdout.readline().strip())
    until = time.monotonic() + 20
    while not about(place) and time.monotonic() < until:
        time.sleep(0.02)
    assert about(place)
    host.kill()
    host.wait()
    until = time.monotonic() + 10
    while about(place) and time.monotonic() < until:
        time.sleep(0.02)
    assert not about(place)
    host.stdout.close()
