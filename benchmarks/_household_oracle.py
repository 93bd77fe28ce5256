"""What ``virtualhome-eval`` itself does with its programs, for the household benchmark to compare with.

Run by another interpreter, one that has the package (``pip install virtualhome-eval==0.1.1``, 405 MB); imports nothing
of ours. Prints one JSON line per program: the outcome of each step, the outcomes of actions that were only asked about
(``probes``), and the time that the steps took.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

OBJECT = re.compile(r"<(.+?)>\s*\((.+?)\)")
NAMES_AT = "resources/virtualhome/id2task.json"
DATA = "dataset/programs_processed_precond_nograb_morepreconds"


def lines_of(path: Path) -> list[str]:
    """The steps, with ids as whole numbers."""
    steps = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip().startswith("[")]
    return [OBJECT.sub(lambda m: f"<{m[1]}> ({m[2].rpartition('.')[2]})", step) for step in steps]


def asked(rng: random.Random, nodes: list[dict[str, Any]], near: list[int], actions: dict[str, int]) -> str:
    """A random action: of its objects three in four are close to the character, so that some of them work."""
    name = rng.choice(sorted(actions))
    by_id = {n["id"]: n for n in nodes}

    def thing() -> str:
        node = by_id[rng.choice(near)] if near and rng.random() < 0.75 else rng.choice(nodes)
        return f"<{node['class_name']}> ({node['id']})"

    return " ".join([f"[{name}]", *(thing() for _ in range(actions[name]))])


def main(probes: int, limit: int) -> None:
    from virtualhome_eval.simulation.evolving_graph import execution, scripts
    from virtualhome_eval.simulation.evolving_graph.environment import EnvironmentGraph, EnvironmentState, Relation

    logging.disable(logging.CRITICAL)
    package = Path(execution.__file__).resolve().parents[2]
    counts = {a.name: a.value[1] for a in scripts.Action if a.name in execution_names(execution)}
    programs = {p.stem.removeprefix("file"): p for p in (package / DATA / "executable_programs").rglob("*.txt")}
    ids = sorted(json.loads((package / NAMES_AT).read_text("utf-8")))
    for name in ids[:limit] if limit else ids:
        path = programs[name]
        graph_path = Path(str(path).replace("executable_programs", "init_and_final_graphs")).with_suffix(".json")
        graph = EnvironmentGraph(json.loads(graph_path.read_text("utf-8"))["init_graph"])
        executor = execution.ScriptExecutor(graph, {})
        nodes = [n.to_dict() for n in graph.get_nodes()]
        rng = random.Random(name)

        def attempt(state: Any, line: str, modify: bool = True, executor: Any = executor) -> tuple[Any, Any]:
            script = scripts.Script([scripts.parse_script_line(line, 0)])
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    found = executor.call_action_method(script, state, execution.ExecutionInfo(), 0, modify)
                    after = next(found, None) if found is not None else None
            except Exception as error:  # the oracle's own mistakes are told, and compared with nothing
                return None, type(error).__name__
            return after, after is not None

        steps = lines_of(path)
        state = EnvironmentState(graph, {}, instance_selection=True)
        parsed = [scripts.Script([scripts.parse_script_line(line, 0)]) for line in steps]
        began = time.perf_counter()
        for script in parsed:
            info = execution.ExecutionInfo()
            found = executor.call_action_method(script, state, info, 0)
            state = next(found, None) or state
        seconds = time.perf_counter() - began

        state = EnvironmentState(graph, {}, instance_selection=True)
        told = []
        for line in [None, *steps]:
            ok = None
            if line is not None:
                after, ok = attempt(state, line)
                state = after or state
            me = next(iter(state.get_char_node(0)))
            near = sorted(n.id for n in state.get_nodes_from(me, Relation.CLOSE))
            extra = [asked(rng, nodes, near, counts) for _ in range(probes)]
            told.append({"line": line, "ok": ok, "probes": [[q, attempt(state, q, False)[1]] for q in extra]})
        print(json.dumps({"name": name, "graph": str(graph_path), "steps": told, "seconds": seconds}), flush=True)


def execution_names(execution: Any) -> set[str]:
    return {a.name for a in execution.ScriptExecutor._action_executors}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
