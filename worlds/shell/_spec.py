"""What the shell world offers, in words: primitives, predicates and the page that a writer of programs reads."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from habilis.core import Parameter, Predicate, Primitive, WorldSpec
from habilis.worlds.shell._judging import TOLD
from habilis.worlds.shell.orders import KINDS

EDITION = 1  # of the orders and of what is observed; raise it when either changes
_PATH = Parameter("path")
_COMMAND = (
    Parameter("command", doc='for bash; "$1", "$2", … stand for the texts that follow'),
    Parameter("argument", required=False, doc="taken as it is, whatever signs are in it"),
)
PRIMITIVES = (
    Primitive(
        "run",
        "Run a command of bash in the folder. Its value is {'stdout', 'stderr', 'exit'}; it fails where the exit "
        "status is not 0.",
        _COMMAND,
        variadic=True,
    ),
    Primitive("lines", "As run; its value is the list of the lines that were printed.", _COMMAND, variadic=True),
)
_SEEN = (
    Predicate("exists", "whether there is such a file or folder", (_PATH,), phrase="have {0} be there", context=True),
    Predicate("is_dir", "whether it is a folder", (_PATH,), phrase="have a folder {0}", context=True),
    Predicate("links_to", "where a link leads", (_PATH, Parameter("target")), phrase="have {0} lead to {1}",
              context=True),
    Predicate("mode", "its permissions, as in 644", (_PATH,), numeric=True, phrase="have permissions {value} on {0}",
              context=True),
    Predicate("size", "its bytes", (_PATH,), numeric=True, phrase="have {value} bytes in {0}", context=True),
    Predicate("line_count", "its lines", (_PATH,), numeric=True, phrase="have {value} lines in {0}", context=True),
    Predicate("content", "what is in a file: the text itself where it is one short line, else its hash",
              (_PATH, Parameter("text")), phrase="have {1} in {0}", context=True),
    Predicate("printed", "what the last command printed, told as contents are", (Parameter("text"),),
              phrase="print {0}", context=True),
    Predicate("exit_code", "the exit status of the last command", numeric=True, phrase="have exit status {value}",
              context=True),
)  # fmt: skip
_NUMBERS = frozenset({"column", "count", "low", "high", "size", "mode", "first", "second"})


def _ordered() -> tuple[Predicate, ...]:
    """The orders: only the host knows whether one is carried out, so to programs they are always false."""
    found = []
    for kind in KINDS.values():
        of_modes = kind.family == "permissions"
        slots = tuple(
            Parameter(s, "int" if s in _NUMBERS or (of_modes and s in ("files", "folders")) else "str")
            for s in kind.slots
        )
        about = f"an order ({kind.family}, level {kind.level}); what came of it, only the host sees"
        found.append(Predicate(kind.name, about, slots, phrase=kind.phrase))
    return tuple(found)


_TOLD = Predicate(
    TOLD,
    "a task from a file, in its own words; what came of it, only the host sees",
    (Parameter("query"),),
    phrase="do as told: {0}",
)
PREDICATES = (*_SEEN, *_ordered(), _TOLD)
_DOC = """\
bash in a confined copy of a folder. `world.run(command, *arguments)` runs one command there; write `"$1"`, `"$2"` in it
for the arguments, so that blanks and signs in names do no harm:

    world.run('sort -- "$1" | uniq > "$2"', src, dst)
    for path in world.lines('find "$1" -type f -name "*$2"', folder, suffix).value:
        world.run('mv -- "$1" "$2"', path, target)

Paths are relative to the folder. A command that ends with another status than 0 raises ActionFailed. Nothing lasts from
command to command but what is in the folder: no directory, variable, process or temporary file. There is no network;
all else is read-only.

`exists(path)`, `is_dir`, `mode`, `size`, `line_count`, `content` and `printed` tell what stands there and what the
last command printed. Whether an order is carried out, programs are not told: do what its words say, and leave the
rest of the folder as it is."""


@lru_cache(maxsize=1)
def fingerprint() -> str:
    told = repr((EDITION, [(k.name, k.slots, k.phrase) for k in KINDS.values()]))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def spec(*, practice: bool) -> WorldSpec:
    capabilities = {"seed", "clone", "checkpoint", "affordances", "goals", "orders", "ends"}
    if practice:
        capabilities |= {"simulator", "practice", "forms"}
    return WorldSpec(
        name="shell",
        doc=_DOC,
        primitives=PRIMITIVES,
        predicates=PREDICATES,
        fingerprint=fingerprint(),
        capabilities=frozenset(capabilities),
    )
