"""Compile the facts of the `household` world from the PyPI package ``virtualhome-eval`` (MIT): what its classes of
objects are good for.

Run from the repository root; the package (405 MB installed) need not be importable, its folder is enough:

    python scripts/compile_household_facts.py .venv-virtualhome/lib/python3.11/site-packages/virtualhome_eval

Writes ``worlds/household/data/kinds.json`` and, beside it, the licence of the data. Houses, rooms and what lies where
are our own: ``worlds/household/_furnishing.py``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "worlds" / "household" / "data"
VERSION = "0.1.1"


def compile_kinds(package: Path) -> dict[str, list[str]]:
    """By class of object: its properties, sorted."""
    raw = json.loads((package / "resources" / "properties_data.json").read_text("utf-8"))
    return {name: sorted(set(properties)) for name, properties in sorted(raw.items())}


def licence_of(package: Path) -> Path:
    found = package.parent / f"virtualhome_eval-{VERSION}.dist-info" / "LICENSE"
    if not found.is_file():
        raise SystemExit(f"no {found}: compile from virtualhome-eval=={VERSION}, whose licence goes with the data")
    return found


def main(package: Path) -> None:
    kinds = compile_kinds(package)
    HERE.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(properties)}" for name, properties in kinds.items())
    (HERE / "kinds.json").write_text(f"{{\n{lines}\n}}\n", "utf-8")
    shutil.copyfile(licence_of(package), HERE / "LICENSE-virtualhome-eval")
    print(f"{len(kinds)} classes written to {HERE / 'kinds.json'}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("say where virtualhome_eval is installed: its folder")
    main(Path(sys.argv[1]))
