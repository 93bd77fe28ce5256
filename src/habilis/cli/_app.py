"""The commands. What they do is imported inside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from habilis.cli import _corpus, _distilling, _exchange, _index, _knowledge, _models, _pick, _skills, _tools, _upkeep
from habilis.cli._options import HomeOption, IndexOption, JsonOption, OptOption, WorldOption, check_home, options_of

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="An agent that gets better at its work: it sets itself tasks, proves programs, keeps them as skills.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_SKILLS = (_skills.skills, _upkeep.skills, _exchange.skills)  # one group of commands, written in three files
_TOOLS = (_tools.tools, _pick.tools)
app.add_typer(_SKILLS[0], name="skills")
app.add_typer(_TOOLS[0], name="tools")
app.add_typer(_knowledge.know, name="know")
app.add_typer(_models.models, name="models")
app.add_typer(_corpus.corpus, name="corpus")
app.add_typer(_index.index, name="index")

WriterOption = Annotated[str, typer.Option("--writer", help="search, chat, or cascade (chosen task by task)")]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", help="a chat model, provider:name; for a cascade several, cheapest first"),
]
BaseUrlOption = Annotated[str | None, typer.Option("--base-url", help="an OpenAI-compatible server")]
PriceInOption = Annotated[float | None, typer.Option("--price-in", min=0, help="USD per million tokens read")]
PriceOutOption = Annotated[float | None, typer.Option("--price-out", min=0, help="USD per million tokens written")]
PricesOption = Annotated[Path | None, typer.Option("--prices", help="a list of your own [HABILIS_PRICES]")]
AssumeOption = Annotated[bool, typer.Option("--assume-price", help="count dearly what no list knows the price of")]
UsdOption = Annotated[float, typer.Option("--max-usd", min=0, help="the most to spend in the run, in USD")]
SecondsOption = Annotated[float | None, typer.Option("--max-seconds", min=0, help="of training and tool time")]
StepsOption = Annotated[int | None, typer.Option("--max-world-steps", min=0, help="actions in worlds")]
SearchOption = Annotated[int | None, typer.Option("--max-search-steps", min=0, help="steps of thinking ahead")]
TokensOption = Annotated[int | None, typer.Option("--max-tokens", min=0, help="read and written by models")]
CallsOption = Annotated[int | None, typer.Option("--max-calls", min=0, help="of models and tools")]
SeedOption = Annotated[int, typer.Option("--seed", help="of everything random")]
UnsafeOption = Annotated[bool, typer.Option("--unsafe-no-isolation", help="run programs unconfined; recorded")]
IsolationOption = Annotated[
    str, typer.Option("--isolation", help="auto, bubblewrap, landlock, seccomp, docker:IMAGE or gvisor:IMAGE")
]
TaskBudgetOption = Annotated[
    str | None, typer.Option("--task-budget", help='of one task, such as "search_steps=20000, calls=5"')
]
EmbedderOption = Annotated[
    str, typer.Option("--embedder", help="of a new home: auto, minilm, wordllama, hash or endpoint:MODEL@URL")
]
SearchMethodOption = Annotated[
    str, typer.Option("--search", help="how the search writer plans: regression, or mcts (tree search on the belief)")
]
ReflexOption = Annotated[
    list[str] | None, typer.Option("--reflex", help="a file of reflexes, run beside the programs; repeatable")
]
ReflexesOption = Annotated[str, typer.Option("--reflexes", help="given, learned, given+learned, or none")]
TransferOption = Annotated[
    bool, typer.Option("--transfer/--no-transfer", help="offer skills of the home's other worlds, proven here first")
]
ImagesOption = Annotated[
    bool | None,
    typer.Option("--images/--no-images", help="the chat model takes pictures; else: where it is known to"),
]
NumpyOption = Annotated[bool, typer.Option("--numpy", help="programs may import numpy")]


@app.command()
def run(
    world: WorldOption = "craft",
    option: OptOption = None,
    home: HomeOption = None,
    iterations: Annotated[
        int, typer.Option("--iterations", "-n", min=1, help="tasks in all; more than before: goes on")
    ] = 160,
    writer: WriterOption = "search",
    search: SearchMethodOption = "regression",
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    price_in: PriceInOption = None,
    price_out: PriceOutOption = None,
    prices: PricesOption = None,
    assume_price: AssumeOption = False,
    max_usd: UsdOption = 0.0,
    max_seconds: SecondsOption = None,
    max_world_steps: StepsOption = None,
    max_search_steps: SearchOption = None,
    max_tokens: TokensOption = None,
    max_calls: CallsOption = None,
    seed: SeedOption = 0,
    distil_every: Annotated[int, typer.Option("--distil-every", min=0, help="new skills between two; 0: never")] = 100,
    distil_seconds: Annotated[float, typer.Option("--distil-seconds", min=30, help="of one distillation")] = 420.0,
    isolation: IsolationOption = "auto",
    unsafe_no_isolation: UnsafeOption = False,
    numpy: NumpyOption = False,
    images: ImagesOption = None,
    task_budget: TaskBudgetOption = None,
    index: IndexOption = "chroma",
    embedder: EmbedderOption = "auto",
    reflex: ReflexOption = None,
    reflexes: ReflexesOption = "given",
    transfer: TransferOption = True,
    as_json: JsonOption = False,
) -> None:
    """Learn: let the curriculum propose, work, keep what is proven.

    The same command again continues an interrupted run, and with a larger -n a finished one. Ctrl-C stops cleanly.
    """
    from habilis.cli._output import warn_unconfined
    from habilis.live import LiveView
    from habilis.run import Agent, AgentSettings

    budget = _budget(max_usd, max_seconds, max_world_steps, max_search_steps, max_tokens, max_calls)
    settings = AgentSettings(
        seed=seed,
        search=search,
        distil_every=distil_every or None,
        distil_seconds=distil_seconds,
        isolation=isolation,
        unsafe_no_isolation=unsafe_no_isolation,
        numpy=numpy,
        images=images,
        task_budget=task_budget,
        index=index,
        embedder=embedder,
        reflexes=reflexes,
        transfer=transfer,
    )
    warn_unconfined(unsafe_no_isolation)
    with Agent(
        world,
        home=home,
        writer=writer,
        model=_models_of(model),
        base_url=base_url,
        prices=_prices(price_in, price_out, prices, assume_price),
        budget=budget,
        settings=settings,
        world_options=options_of(option),
        approve=_ask,
        reflexes=reflex or (),
    ) as agent:
        if as_json:
            summary = agent.run_now(iterations)
        else:
            with LiveView().watch(agent.events) as view:
                summary = agent.run_now(iterations)
        if as_json:
            from habilis.cli._output import say_json
            from habilis.core import dump

            say_json(dump(summary))
        else:
            view.final_table(summary)
    raise typer.Exit(0 if summary.status in ("finished", "stopped") else 1)


@app.command()
def explore(
    world: WorldOption = "craft",
    option: OptOption = None,
    home: HomeOption = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="in all; more than before: goes on")] = 100,
    steps: Annotated[int, typer.Option("--steps", min=1, help="actions in one, at most")] = 30,
    policy: Annotated[
        str, typer.Option("--policy", help="random, mcts (tree search), regression or experiments")
    ] = "random",
    practice: Annotated[bool, typer.Option("--practice", help="tree search on true clones; labelled so")] = False,
    max_world_steps: StepsOption = None,
    max_search_steps: SearchOption = None,
    seed: SeedOption = 0,
    index: IndexOption = "chroma",
    as_json: JsonOption = False,
) -> None:
    """Gather experience: act in fresh worlds, at random or towards goals found there, and keep what was seen.

    The same command again continues an interrupted exploration, and with a larger -n a finished one.
    """
    from habilis.cli._output import say_json
    from habilis.core import dump
    from habilis.live import LiveView
    from habilis.run import Agent, AgentSettings

    budget = _budget(0.0, None, max_world_steps, max_search_steps, None, None)
    settings = AgentSettings(seed=seed, index=index)
    with Agent(world, home=home, budget=budget, settings=settings, world_options=options_of(option)) as agent:
        if as_json:
            say_json(dump(agent.explore_now(episodes, steps=steps, policy=policy, practice=practice)))
            return
        with LiveView().watch(agent.events) as view:
            summary = agent.explore_now(episodes, steps=steps, policy=policy, practice=practice)
        view.final_table(summary)


@app.command()
def solve(
    goal: Annotated[str, typer.Argument(help='in words, or as a goal expression: count("stick") >= 4')],
    world: WorldOption = "craft",
    option: OptOption = None,
    home: HomeOption = None,
    writer: WriterOption = "search",
    search: SearchMethodOption = "regression",
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    price_in: PriceInOption = None,
    price_out: PriceOutOption = None,
    prices: PricesOption = None,
    assume_price: AssumeOption = False,
    max_usd: UsdOption = 0.0,
    max_seconds: SecondsOption = None,
    max_world_steps: StepsOption = None,
    max_search_steps: SearchOption = None,
    max_tokens: TokensOption = None,
    max_calls: CallsOption = None,
    seed: SeedOption = 0,
    isolation: IsolationOption = "auto",
    unsafe_no_isolation: UnsafeOption = False,
    numpy: NumpyOption = False,
    images: ImagesOption = None,
    task_budget: TaskBudgetOption = None,
    index: IndexOption = "chroma",
    embedder: EmbedderOption = "auto",
    reflex: ReflexOption = None,
    reflexes: ReflexesOption = "given",
    transfer: TransferOption = True,
    as_json: JsonOption = False,
) -> None:
    """Work on one goal of yours."""
    from habilis._text import plain
    from habilis.cli._output import say_json, warn_unconfined
    from habilis.core import dump
    from habilis.run import Agent, AgentSettings

    warn_unconfined(unsafe_no_isolation)
    with Agent(
        world,
        home=home,
        writer=writer,
        model=_models_of(model),
        base_url=base_url,
        prices=_prices(price_in, price_out, prices, assume_price),
        budget=_budget(max_usd, max_seconds, max_world_steps, max_search_steps, max_tokens, max_calls),
        settings=AgentSettings(
            seed=seed,
            search=search,
            isolation=isolation,
            unsafe_no_isolation=unsafe_no_isolation,
            numpy=numpy,
            images=images,
            task_budget=task_budget,
            index=index,
            embedder=embedder,
            reflexes=reflexes,
            transfer=transfer,
        ),
        world_options=options_of(option),
        approve=_ask,
        reflexes=reflex or (),
    ) as agent:
        before = {name: bound.skill.version for name, bound in agent.skills.items()}
        episode = agent.solve_now(goal)
        if as_json:
            say_json(
                {
                    "goal": str(episode.task.goal),
                    "status": episode.status,
                    "skill": episode.skill,
                    "reason": episode.reason,
                    "cost": dump(episode.cost),
                    "program": episode.attempts[-1].program.source if episode.attempts else None,
                }
            )
        else:
            print(f"{episode.status}: {episode.task.goal}" + (f" ({episode.reason})" if episode.reason else ""))
            if episode.attempts:
                print("\n" + plain(episode.attempts[-1].program.source, 100_000, lines=True))
            if episode.skill:
                known = agent.skills.get(episode.skill)
                same = known is not None and before.get(episode.skill) == known.skill.version
                kept = (
                    f"the skill {episode.skill}, known before, does this"
                    if same
                    else f"kept as the skill {episode.skill}"
                )
                if known is not None and known.skill.whence and not same:
                    kept = f"the skill {episode.skill} does this, which is {plain(known.skill.whence)}"
                print(f"{kept}; habilis skills show {episode.skill}")
            elif not episode.attempts and not episode.solved:
                print("It knows too little for this yet; habilis run lets it learn, or another --writer may help.")
    raise typer.Exit(0 if episode.solved else 1)


app.command()(_distilling.distil)


@app.command()
def ask(
    kind: Annotated[str, typer.Argument(help="needs, yields, activity, person or help")],
    about: Annotated[str, typer.Argument(help='craft("stick") for needs, count("stick") for yields')],
    world: WorldOption = "craft",
    option: OptOption = None,
    home: HomeOption = None,
    index: IndexOption = "chroma",
    as_json: JsonOption = False,
) -> None:
    """Ask about the world: what the adopted local model says, and what the contracts say.

    What an action needs, what yields a fact; what actions were for (activity 'open("fridge"); grab("milk")'), what
    somebody is about of whom something was seen (person 'anna: open("fridge")'), and what would help them (help).
    """
    from habilis.cli._output import say_json, say_warning
    from habilis.run import Agent, AgentSettings

    check_home(home)
    with Agent(world, home=home, world_options=options_of(option), settings=AgentSettings(index=index)) as agent:
        agent.events.subscribe(say_warning)
        answer = agent.ask(kind, about)
    if as_json:
        say_json({"about": answer.about, "model": answer.said, "doubt": answer.doubt, "contracts": answer.known})
        return
    print(f"model      {answer.said if answer.said is not None else 'no model is in use'}")
    if answer.doubt:
        print(f"           which means nothing here: {answer.doubt}")
    print(f"contracts  {answer.known or 'nothing is known yet'}")


@app.command()
def report(
    home: HomeOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="where to write it [in the home]")] = None,
    run_id: Annotated[int | None, typer.Option("--run", help="which run [the latest habilis run]")] = None,
) -> None:
    """Write the HTML report of a run and print its path."""
    from habilis._reporting import write
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False, read_only=True) as opened:
        print(write(opened, out, run_id=run_id))


@app.command()
def runs(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the runs of a home."""
    from habilis.cli._output import show
    from habilis.memory.home import Home, default_home, is_owned

    folder = home or default_home()
    with Home.open(folder, create=False, read_only=True) as opened:
        known = opened.journal.runs()
        killed = any(r.status == "running" for r in known) and not is_owned(folder)  # it could not say that it ended
        rows = [
            {
                "run": r.id,
                "status": "interrupted" if killed and r.status == "running" else r.status,
                "world": r.config.get("world"),
                "writer": r.config.get("writer"),
                "seed": r.config.get("seed"),
                "episodes": opened.journal.count_episodes(r.id),
                "spent": r.spent.nonzero(),
            }
            for r in known
        ]
    show(rows, ("run", "status", "world", "writer", "seed", "episodes"), as_json=as_json, empty="no run yet")


@app.command()
def worlds(as_json: JsonOption = False) -> None:
    """List the worlds that can be named."""
    from habilis._worlds import world_origins
    from habilis.cli._output import show

    rows = [{"world": name, "from": origin} for name, origin in world_origins().items()]
    show(rows, ("world", "from"), as_json=as_json, empty="no world is installed")


@app.command()
def doctor(isolation: IsolationOption = "auto", as_json: JsonOption = False) -> None:
    """Say what this system can do: confinement, models, extras. Confinement is found out by attacking it.

    Where nothing confines programs, or not what was asked for, it ends with status 1.
    """
    from habilis._distil import can_train
    from habilis.cli._output import say_json
    from habilis.core import IsolationError
    from habilis.memory.wheels import cache_dir
    from habilis.worlds.runner import TIERS, Isolation, probe

    try:
        found = probe(isolation)
        fix = found.fix
    except IsolationError as error:
        found, fix = Isolation(0, missing=(str(error),)), None  # the error says what helps
    data = {
        "isolation": {
            "tier": found.tier,
            "backend": found.backend,
            "missing": list(found.missing),
            "fix": fix,
        },
        "train": can_train(),
        "cache": str(cache_dir()),
    }
    if as_json:
        say_json(data)
        raise typer.Exit(0 if found.tier else 1)
    print(f"confinement: tier {found.tier}, {TIERS[found.tier]}{f' ({found.backend})' if found.backend else ''}")
    for one in found.missing:
        print(f"  missing: {one}")
    if fix:
        print(f"  for more: {fix}")
    print(f"training: {'installed' if data['train'] else 'not installed: pip install habilis[train]'}")
    print(f"model cache: {data['cache']}")
    raise typer.Exit(0 if found.tier else 1)


def _models_of(given: list[str] | None) -> str | list[str] | None:
    return given[0] if given and len(given) == 1 else given or None


def _prices(price_in: float | None, price_out: float | None, file: Path | None, assume: bool) -> Any:
    from habilis._prices import price_list
    from habilis.core import InputError

    if price_in is None and price_out is None:
        return price_list(file, assume=assume)
    if file is not None or assume:
        raise InputError("give --price-in and --price-out, or a list with --prices and --assume-price, not both")
    if price_in is None or price_out is None:
        raise InputError("give both --price-in and --price-out, in USD per million tokens (0 for a server of your own)")
    return price_in, price_out


def _budget(
    usd: float, seconds: float | None, world: int | None, search: int | None, tokens: int | None, calls: int | None
) -> Any:
    from habilis.core import Budget

    return Budget(usd=usd, seconds=seconds, world_steps=world, search_steps=search, tokens=tokens, calls=calls)


def _ask(name: str, args: Any) -> bool:
    """Asked before a tool with side effects; nobody to ask means no."""
    if not os.isatty(0):
        return False
    return typer.confirm(f"allow {name}({', '.join(f'{k}={v!r}' for k, v in dict(args).items())})?", default=False)
