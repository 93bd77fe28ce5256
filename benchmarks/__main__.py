"""List the benchmarks, each with the first line of its description."""

from __future__ import annotations

import ast
from pathlib import Path


def described() -> dict[str, str]:
    """Each benchmark's name and the first line of its docstring, read without importing it."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.name.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            found[path.stem] = text.partition("\n")[0]
    return found


def main() -> None:
    for name, line in described().items():
        print(f"{name:12} {line}")
    print("\nRun one with: python -m benchmarks.NAME [--quick] [--seeds N] [--json FILE]")


if __name__ == "__main__":
    main()
