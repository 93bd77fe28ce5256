"""Families of programs that differ in constants only, at random: what merging has to take, and to give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from habilis.core import Case, Evidence, EvidenceLevel, Fact, Parameter, Program, Record, Skill
from habilis.memory.library.merging import Merged, Plain

N = Parameter("n", "int", 1, False)
_ODD = "\"'\\{}#()[]:;,%\n\t\u2028\x85\x0c äß語😀"
TEXTS = st.one_of(
    st.sampled_from(["oak", "ash_log", "iron ore", "#wood", "räuber", "{kind}", "{0}", "kind", "part", '"', "\\", "}"]),
    st.text(st.sampled_from(_ODD + "abkindpart_0"), max_size=9),
)
WORDS = st.sampled_from(["oak", "ash", "birch", "oak_log", "iron_ore", "stone", "feather"])
_STATEMENTS = (
    "world.gather(@)",
    "while world.count(@) < n:\n    world.craft(@)  # until there are enough: ä語 ) ( \u2028 \x0c'",
    "found = [@, %, @]",
    "if world.count(@) >= %:\n    pass\nelse:\n    world.craft(@); world.craft(@)",
    "told = f'{n} of {world.count(\"x\")!r:>3} {{}} \\u2028'",
    "table = {@: %, 'fixed': @, -%: [@]}\nprint(table.get(@, -%))",
    "what = {'a': 1, @: 2}[@]",
    "much = lambda item, more=2: world.count(item) + len(@) + more\nmuch(@)",
    'def ~fetch(item="thing", *rest, also=3):\n    """Get (it): \'ä\'"""\n    world.gather(item); return @\n'
    "~fetch(@, also=%)",
    'def ~told():\n    """Only a text."""\n~told()',
    "skills.other(n, @)\nskills.other(n=-%, thing=@, )",
    "small = -% - % ** 2\nsmall += ~%",
    "try:\n    world.craft(@)\nexcept ValueError as error:\n    print(error, @)\nfinally:\n    pass",
    "seen = {x: @ for x in (@, 'y') if x != @}",
    "if (late := @) and not n:\n    raise ValueError(@)",
    "words = ('one ' 'two', @ 'and', '''\n  long \"text\"\n''')",
    "match n:\n    case 1 | 2:\n        print('few')\n    case _:\n        pass",
    "hinted: 'list[str]' = [@]",
    "class Thing:\n    name = @\n    def told(self, other='a'):\n        'of a thing'\n        return other + @",
    "for i, item in enumerate([@, @]):\n    if i > %:\n        continue\n    world.gather(item)",
    "print(0x10, 1_000, 1.5, None, True, b'bytes', ...)",
    "'''a text that says nothing'''",
    "part = @\nkind = part\nprint(kind, part)",
)
_HEADS = (
    "def {name}(n=1):",
    "def {name}(n: int = 1) -> None:",
    "def {name}( n : int=1 ) :  # (how) many",
    "def {name}(\n    n: int = 1,  # how many :)\n) -> 'list[(str)]':",
)
_DOCS = (
    "",
    '    """Get some (of it)."""\n',
    "    '''Räuber:\n    \"and\" more\n    '''\n",
    "    # only a comment :(\n",
)


@dataclass(frozen=True)
class Family:
    """``members`` are the same but for constants; ``goals`` of them stand in the goal."""

    members: tuple[Plain, ...]
    calls: tuple[str, ...] = ()
    other: Mapping[str, str] = field(default_factory=dict)


@st.composite
def families(draw: st.DrawFn, size: int = 3, texts: st.SearchStrategy[str] = TEXTS) -> Family:
    """``size`` programs of one shape with goals of their own."""
    goals = draw(st.integers(1, 2))
    columns = goals + draw(st.integers(0, 3))
    numbers = draw(st.integers(1, 2))
    rows = draw(
        st.lists(
            st.tuples(*[texts] * columns),
            min_size=size,
            max_size=size,
            unique_by=lambda row: row[:goals],
        )
    )
    counts = draw(st.lists(st.tuples(*[st.integers(0, 99)] * numbers), min_size=size, max_size=size))
    fixed = draw(texts)
    chosen = draw(st.lists(st.sampled_from(_STATEMENTS), min_size=1, max_size=6))
    body = "\n".join(chosen)
    # Which constant of the text follows which column: -1 is the same for all.
    spots = [draw(st.integers(-1, columns - 1)) for _ in range(body.count("@"))]
    amounts = [draw(st.integers(0, numbers - 1)) for _ in range(body.count("%"))]
    head, doc = draw(st.sampled_from(_HEADS)), draw(st.sampled_from(_DOCS))
    own = draw(st.booleans())  # helpers are named after the case
    shown = draw(st.sampled_from([repr, _raw]))
    members = []
    for number, (row, count) in enumerate(zip(rows, counts, strict=True)):
        name = f"get_{number}_things"
        texts_, numbers_ = [fixed if i < 0 else row[i] for i in spots], [count[i] for i in amounts]
        written = _written(body, texts_, numbers_, shown, name if own else "")
        source = f"{head.format(name=name)}\n{doc}" + "\n".join(f"    {line}" for line in written.split("\n"))
        goal = " and ".join(f"{Fact(f'has{i}', (row[i], 'here'))} >= {{n}}" for i in range(goals))
        case = Case({}, float(number + 1), (f'near("{number}")',), (str(number),), None, Record(number, 1))
        members.append(Plain(name, f"get thing {number} please", source + "\n", goal, (N,), case))
    return Family(tuple(members), ("other",) if "skills.other" in body else ())


def _raw(value: str) -> str:
    """In double quotes, as little escaped as may be."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


def _written(body: str, texts: Sequence[str], numbers: Sequence[int], shown: Callable[[str], str], own: str) -> str:
    told: list[str] = []
    waiting, amounts = list(texts), list(numbers)
    prefix = f"_{own}_" if own else "_"
    i = 0
    while i < len(body):
        sign = body[i]
        if sign == "@":
            told.append(shown(waiting.pop(0)))
        elif sign == "%":
            told.append(str(amounts.pop(0)))
        elif sign == "~" and body[i + 1].isalpha():
            told.append(prefix)
        else:
            told.append(sign)
        i += 1
    return "".join(told)


def skill_of(merged: Merged) -> Skill:
    """A merged program as a skill."""
    return Skill(
        merged.program.name,
        1,
        merged.program,
        merged.doc,
        merged.goal_template,
        "toy",
        "toy-1",
        Evidence(EvidenceLevel.VERIFIED),
        cases=merged.cases,
    )


def plain_skill(plain: Plain, calls: tuple[str, ...] = ()) -> Skill:
    """A member of a family as a skill of its own."""
    return Skill(
        plain.name,
        1,
        Program(plain.name, plain.source, plain.parameters, calls),
        plain.doc,
        plain.goal_template,
        "toy",
        "toy-1",
        Evidence(EvidenceLevel.VERIFIED),
        plain.case.needs,
        plain.case.cost,
        plain.case.sources,
    )
