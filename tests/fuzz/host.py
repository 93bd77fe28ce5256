"""Coverage-guided fuzzing of the host's side of the protocol: whatever a worker says, what `harness.check` asks holds.

    make fuzz        or        python -m tests.fuzz.host --seconds 600

It needs atheris (``pip install -e ".[fuzz]"``). It begins from honest scripts, goes on after a finding, and keeps each
kind of finding once, in ``--findings``: a file there is a script for ``harness.check``. ``--corpus`` keeps what it
learned for the next time. It fails when it found something.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COVERED = ("_session", "_messages", "_world", "worker.wire", "worker.simulate")  # of habilis.worlds.runner
_MEGABYTES = 1_024  # that the fuzzer may take; libFuzzer calls more a finding
_LENGTH = 8_192  # bytes of a script


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.host", description="Fuzz the host's side.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="a folder to begin from and to add to; default: a temporary one")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit('fuzzing needs atheris, which is not installed; pip install -e ".[fuzz]"')
    if options.inside:
        _fuzz(options.seconds, options.seed, options.corpus, options.findings)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(_watch(options, options.corpus or Path(folder)))


def _watch(options: argparse.Namespace, corpus: Path) -> int:
    """Run the fuzzer in a process of its own, which it ends itself, and say what came of it."""
    from tests.fuzz import harness

    corpus.mkdir(parents=True, exist_ok=True)
    options.findings.mkdir(parents=True, exist_ok=True)
    before = set(options.findings.iterdir())
    for script in harness.honest():
        (corpus / hashlib.sha256(script).hexdigest()[:16]).write_bytes(script)
    given = ["--seconds", str(options.seconds), "--seed", str(options.seed)]
    folders = ["--corpus", str(corpus), "--findings", str(options.findings)]
    command = [sys.executable, "-m", "tests.fuzz.host", "--inside", *given, *folders]
    said: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as fuzzer:
        assert fuzzer.stderr is not None
        for line in fuzzer.stderr:
            said.append(line.rstrip())
            if re.match(r"#\d+\s+(INITED|pulse|DONE)|FOUND|==|SUMMARY|.*Error", line):
                print(line.rstrip(), flush=True)
    found = sorted(set(options.findings.iterdir()) - before)
    scripts = sorted(corpus.iterdir())
    print(f"\n{'file':24} lines reached by the {len(scripts)} scripts of the corpus")
    for name, reached, lines in reached_by([path.read_bytes() for path in scripts]):
        print(f"{name:24} {len(reached & lines):4} of {len(lines)}; not: {_ranges(lines - reached)}")
    units = next((line.split()[-1] for line in said if "number_of_executed_units" in line), "?")
    edges = next((m[1] for line in reversed(said) if (m := re.search(r"\bcov: (\d+)", line))), "?")
    ok = fuzzer.returncode == 0 and not found
    print(
        f"{'ok' if ok else 'FAILED'}: {units} executions, {edges} edges, {len(scripts)} scripts kept, "
        f"{len(found)} findings"
        + "".join(f"\n  {path}" for path in found)
        + (f"\nthe fuzzer ended with {fuzzer.returncode}" if fuzzer.returncode else "")
    )
    return 0 if ok else 1


def _fuzz(seconds: int, seed: int, corpus: Path, findings: Path) -> None:
    """The fuzzer itself. Does not return."""
    import atheris

    with atheris.instrument_imports(include=["habilis.worlds.runner"]):
        from tests.fuzz import harness

    known: set[str] = set()

    def one(script: bytes) -> None:
        try:
            harness.check(script)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = re.sub(r"[^A-Za-z]+", "-", str(error))[:40].strip("-")
            name = "-".join(filter(None, (type(error).__name__, Path(where.filename).stem, str(where.lineno), said)))
            if name not in known:
                known.add(name)
                (findings / name).write_bytes(script)
                print(f"FOUND {name}: {error!r:.300}", file=sys.stderr, flush=True)

    with tempfile.NamedTemporaryFile("w", suffix=".dict") as words:
        words.write(harness.dictionary())
        words.flush()
        flags = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={_LENGTH}", f"-rss_limit_mb={_MEGABYTES}"]
        flags += ["-timeout=20", "-print_final_stats=1", f"-dict={words.name}", f"-artifact_prefix={findings}/"]
        atheris.Setup([sys.argv[0], *flags, str(corpus)], one)
        atheris.Fuzz()


def reached_by(scripts: Sequence[bytes]) -> list[tuple[str, set[int], set[int]]]:
    """Of each file on the host's side: the lines that the scripts reach, and all there are."""
    from tests.fuzz import harness

    modules = {name: importlib.import_module(f"habilis.worlds.runner.{name}") for name in COVERED}
    files: dict[str, tuple[str, set[int]]] = {str(module.__file__): (name, set()) for name, module in modules.items()}

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        held = files.get(frame.f_code.co_filename)
        if held is None:
            return None
        lines = held[1]

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            lines.add(frame.f_lineno)
            return step

        return step

    sys.settrace(enter)
    try:
        for script in scripts:
            try:
                harness.check(script)
            except Exception:  # a finding, which has been told
                pass
    finally:
        sys.settrace(None)
    return [(name, lines, _lines(modules[name])) for name, lines in files.values()]


def _lines(module: ModuleType) -> set[int]:
    """The lines of functions, as the interpreter counts them; what runs on import is not counted."""
    source = Path(str(module.__file__))
    todo, found = [compile(source.read_text("utf-8"), str(source), "exec")], set()
    while todo:
        code = todo.pop()
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        todo += inner
        if code.co_flags & 2:  # the code of a function: CO_NEWLOCALS
            found |= {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
    return found


def _ranges(lines: set[int]) -> str:
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and line == parts[-1][-1] + 1:
            parts[-1].append(line)
        else:
            parts.append([line])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts) or "none"


if __name__ == "__main__":
    main()
