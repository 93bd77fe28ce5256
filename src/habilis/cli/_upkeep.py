"""``habilis skills``: what happens to a skill later on: history, diff, retire, restore, verify, relift."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from habilis.cli._options import HomeOption, IndexOption
from habilis.cli._skills import NameArgument, WorldOption, library_of, skills

__all__ = ["skills"]

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")]
StepsOption = Annotated[int, typer.Option("--max-world-steps", min=1, help="the most that all runs may take")]
IsolationOption = Annotated[str, typer.Option("--isolation", help="as of habilis run")]
UnsafeOption = Annotated[bool, typer.Option("--unsafe-no-isolation", help="run programs unconfined; recorded")]


@skills.command()
def history(name: NameArgument, home: HomeOption = None) -> None:
    """What happened to a skill, version by version, and why."""
    import time

    from habilis._text import plain
    from habilis.cli._skills import read_home
    from habilis.core import NotFoundError

    with read_home(home) as opened:
        moves = opened.journal.transitions(name)
        if not moves:
            raise NotFoundError.of("skill", name, {s.name for s in opened.journal.skills(None)})
    for move in moves:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(move.at))
        what = move.after if move.before == move.after else f"{move.before or 'new'} -> {move.after}"
        print(f"{when}  version {move.version}  {what}: {plain(move.reason)}")


@skills.command()
def diff(
    name: NameArgument,
    before: Annotated[int | None, typer.Option("--from", help="a version [the one before]")] = None,
    after: Annotated[int | None, typer.Option("--to", help="a version [the newest]")] = None,
    world: WorldOption = None,
    home: HomeOption = None,
) -> None:
    """How two versions of a skill differ."""
    from habilis._text import plain

    with library_of(home, name, world, read_only=True) as library:
        found = library.diff(name, before, after)
    print(plain(found, 200_000, lines=True) if found else "there is no difference")


@skills.command()
def retire(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="kept in its history")] = "retired by hand",
    world: WorldOption = None,
    home: HomeOption = None,
    index: IndexOption = "chroma",
) -> None:
    """Take a skill out of use, and what calls it; it is kept."""
    with library_of(home, name, world, index=index) as library:
        first, *others = library.retire(name, reason)
    print(f"retired {first}")
    for one in others:
        print(f"quarantined {one}: it calls {first}, directly or through others")


@skills.command()
def restore(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="kept in its history")] = "restored by hand",
    version: Annotated[int | None, typer.Option("--version", help="an older one, to go back to [the newest]")] = None,
    world: WorldOption = None,
    home: HomeOption = None,
    index: IndexOption = "chroma",
) -> None:
    """Put a skill back into use, or go back to an older version."""
    with library_of(home, name, world, index=index) as library:
        known = library.active().get(name)
        if known is not None and version in (None, known.version):
            print(f"{name} is in use already")
            return
        skill = library.restore(name, reason, version=version)
        print(f"restored {skill.name} version {skill.version}")
        for one in library.home.journal.skills("quarantined"):
            if name in one.program.calls and one.fingerprint == skill.fingerprint:
                print(f"{one.name} calls it and is still out of use; habilis skills restore {one.name}")


@skills.command()
def verify(
    names: NamesArgument = None,
    seed: Annotated[int, typer.Option("--seed", help="of the fresh worlds")] = 0,
    version: Annotated[int | None, typer.Option("--version", help="of the one skill that is named")] = None,
    max_world_steps: StepsOption = 100_000,
    world: WorldOption = None,
    isolation: IsolationOption = "auto",
    unsafe_no_isolation: UnsafeOption = False,
    home: HomeOption = None,
    index: IndexOption = "chroma",
) -> None:
    """Run skills in fresh worlds again: those named, or all that are due.

    What fails is quarantined, with what calls it; what was quarantined or imported, and passes, is in use from then
    on. The status is 1 where one failed.
    """
    from habilis._text import plain
    from habilis._upkeep import proving
    from habilis.core import InputError

    if version is not None and len(names or ()) != 1:
        raise InputError(f"--version {version} is of one skill; name it")
    failed = 0
    with _proving(proving, home, names, world, max_world_steps, isolation, unsafe_no_isolation, index) as at:
        wanted = list(names or ()) or [s.name for s in at.library.due()]
        if not wanted:
            print("no skill is due; name one to verify it all the same")
        for name in wanted:
            checked = at.library.verify(name, ledger=at.ledger, seed=seed, version=version)
            for trajectory in checked.trajectories:
                at.book.learn(trajectory)
            failed += not checked.ok
            print(f"{name} version {checked.skill.version}: {checked.skill.status}; {plain(checked.why)}")
        at.keep()
    if failed:
        raise typer.Exit(1)


@skills.command()
def relift(
    names: NamesArgument = None,
    seed: Annotated[int, typer.Option("--seed", help="of the fresh worlds")] = 0,
    max_world_steps: StepsOption = 100_000,
    world: WorldOption = None,
    isolation: IsolationOption = "auto",
    unsafe_no_isolation: UnsafeOption = False,
    home: HomeOption = None,
    index: IndexOption = "chroma",
) -> None:
    """Write skills anew from today's contracts, and keep what does better in the same worlds [all that are active]."""
    from habilis._text import plain
    from habilis._upkeep import proving

    with _proving(proving, home, names, world, max_world_steps, isolation, unsafe_no_isolation, index) as at:
        lifted = at.library.relift(at.lifter, names, ledger=at.ledger, seed=seed)
        for trajectory in lifted.trajectories:
            at.book.learn(trajectory)
        at.keep()
    for skill in lifted.promoted:
        print(f"promoted {skill.name} version {skill.version}")
    for name, why in lifted.rejected.items():
        print(f"{name} stays: {plain(why)}")
    if not lifted.promoted and not lifted.rejected:
        print("today's contracts write no skill otherwise than it is")


def _proving(
    opened: Any, home: Any, names: Any, world: Any, steps: int, isolation: str, unsafe: bool, index: str
) -> Any:
    from habilis.cli._output import warn_unconfined
    from habilis.memory.home import default_home

    warn_unconfined(unsafe)
    return opened(
        home or default_home(),
        list(names or ()),
        world=world,
        max_world_steps=steps,
        isolation=isolation,
        unsafe_no_isolation=unsafe,
        index=index,
    )
