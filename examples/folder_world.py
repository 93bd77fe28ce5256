"""A real folder as a world: the agent tidies files through your own functions.

    python examples/folder_world.py ~/some-copy-of-a-folder

puts its file a.txt into its folder notes. It is *live*: no clones, no seeds, and what is moved is really moved. So
skills are kept as `observed`, not `verified`, and `approve=` asks before an action with side effects (`--yes`: all are
allowed). Try it on a copy.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from habilis.core import Cost, HabilisError
from habilis.tools import tool
from habilis.worlds import FunctionWorld, action, from_functions


def make_world(folder: Path) -> FunctionWorld:
    """The files directly in ``folder`` (called ".") and in its subfolders, one level deep."""
    root = folder.resolve()

    def path_of(*parts: str) -> Path:
        for part in parts:
            if part in ("", "..") or "/" in part or "\\" in part:
                raise ValueError(f"{part!r} is no name of a file or folder here; use a plain name, or . for the top")
        return root.joinpath(*parts)

    def observe() -> dict[str, Any]:
        folders = {".": root} | {p.name: p for p in root.iterdir() if p.is_dir() and not p.is_symlink()}
        files = {(f.name, n) for n, p in folders.items() for f in p.iterdir() if f.is_file() and not f.is_symlink()}
        return {"folder": set(folders), "inside": files}

    @action(adds="folder({folder})", side_effects=True)
    def make_folder(folder: str) -> None:
        """Make a folder."""
        path_of(folder).mkdir()

    @action(
        requires="inside({name}, {source}) and folder({target}) and not inside({name}, {target})",
        adds="inside({name}, {target})",
        deletes="inside({name}, {source})",
        side_effects=True,
    )
    def move(name: str, source: str, target: str) -> None:
        """Move a file from one folder to another."""
        shutil.move(path_of(source, name), path_of(target, name))

    @action(
        requires="inside({name}, {source}) and folder({target}) and not inside({name}, {target})",
        adds="inside({name}, {target})",
        side_effects=True,
    )
    def copy(name: str, source: str, target: str) -> None:
        """Copy a file from one folder to another."""
        shutil.copy2(path_of(source, name), path_of(target, name))

    @action(
        requires="inside({name}, {folder}) and not inside({new_name}, {folder})",
        adds="inside({new_name}, {folder})",
        deletes="inside({name}, {folder})",
        side_effects=True,
    )
    def rename(name: str, folder: str, new_name: str) -> None:
        """Give a file in a folder another name."""
        path_of(folder, name).rename(path_of(folder, new_name))

    @action(requires="inside({name}, {folder})")
    def word_count(name: str, folder: str) -> int:
        """How many words a text file has."""
        return len(path_of(folder, name).read_text(encoding="utf-8", errors="replace").split())

    return from_functions(
        [make_folder, move, copy, rename, word_count],
        observe=observe,
        name="folder",
        doc='Files in folders, one level deep; "." is the top. `inside(file, folder)` says where each file is.',
    )


@tool(cost=Cost(usd=0.001, calls=1), safe_to_retry=True)
def topic_of(name: str) -> str:
    """Guess from a file's name which folder it belongs to (stands for a service that asks a price)."""
    topics = {".jpg": "pictures", ".png": "pictures", ".csv": "data", ".pdf": "papers", ".txt": "notes", ".md": "notes"}
    return topics.get(Path(name).suffix.lower(), "other")


def ask(name: str, args: Mapping[str, Any]) -> bool:
    """Asked before each action with side effects; nobody to ask means no."""
    try:
        answer = input(f"allow {name}({', '.join(map(repr, args.values()))})? [y/N] ")
    except EOFError:
        print("\nnobody answered, so it was not done; --yes allows everything")
        return False
    return answer.strip().lower() in ("y", "yes")


async def main(folder: Path, yes: bool = False) -> bool:
    from habilis import Agent

    home = folder.with_name(f"{folder.name}-habilis")  # beside it, not within: the agent's own files are not tidied
    with Agent(make_world(folder), home=home, tools=[topic_of], approve=None if yes else ask) as agent:
        episode = await agent.solve('folder("notes") and inside("a.txt", "notes")')
    print(episode.status, episode.reason)
    return episode.solved


def start() -> int:
    parser = argparse.ArgumentParser(description="Put the file a.txt of a folder into its folder notes.")
    parser.add_argument("folder", type=Path, help="a copy of a folder of yours")
    parser.add_argument("--yes", action="store_true", help="allow every action without asking")
    given = parser.parse_args()
    folder = given.folder.expanduser().resolve()
    if not folder.is_dir() or not folder.name:
        parser.error(f"{folder} is no folder that can be tidied; name one with a file a.txt in it")
    try:
        return 0 if asyncio.run(main(folder, given.yes)) else 1
    except HabilisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(start())
