"""How the parts of an agent are put together. Used by `habilis.run` only, and imported when an agent is made."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from habilis._approval import approving
from habilis._assembly import Assembly
from habilis._distil import check_seconds
from habilis._embedders import home_embedder, keep_vectors
from habilis._knowledge import learn_from
from habilis._minds import Minds
from habilis._overruns import OverrunNotes
from habilis._prices import UserPrices, check_prices, price_list
from habilis._settings import REFLEXES, WRITERS, AgentSettings
from habilis._worlds import open_world, world_tools
from habilis.agent.curriculum import Curriculum, CurriculumSettings
from habilis.agent.helping import Helping
from habilis.agent.local.hunches import Hunches
from habilis.agent.local.ordering import Ordering
from habilis.agent.loop import Parts
from habilis.agent.reflexes import Practice
from habilis.agent.writers import ChosenCascade
from habilis.agent.writers.search import SEARCHES, SearchSettings, SearchWriter
from habilis.core import (
    Approve,
    Budget,
    Cloneable,
    Event,
    EventStream,
    InputError,
    Json,
    Kind,
    Ledger,
    NotFoundError,
    Reflex,
    RunLimits,
    Runner,
    World,
    Writer,
    check_given,
    load_reflexes,
    used_by,
)
from habilis.memory.contracts import ContractBook, Endings, Priors, priors_of
from habilis.memory.home import Home, default_home
from habilis.memory.index import open_index
from habilis.memory.journal import Journal
from habilis.memory.library import SkillLibrary
from habilis.memory.reflexes import ready_reflexes
from habilis.tools import Catalogue, KnowledgeBase, ToolRegistry, load_registrations
from habilis.worlds.reflexive import Beside, reflexive
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier


def compose(
    world: World | str,
    *,
    home: Path | str | None,
    writer: str | Writer,
    model: Any,
    base_url: str | None,
    prices: UserPrices,
    tools: list[Any],
    know: list[Any],
    limit: Budget,
    approve: Approve | None,
    reflexes: list[Reflex | str],
    fresh: Callable[[], World] | None,
    settings: AgentSettings,
    events: EventStream,
    world_options: Mapping[str, Any],
) -> Assembly:
    """Put an agent together. Whatever was opened is closed again when a part cannot be made."""
    _check(world, home, writer, base_url, prices, approve, fresh)
    if isinstance(writer, str) and writer not in WRITERS:
        raise NotFoundError.of("writer", writer, WRITERS)
    if settings.distil_every is not None:
        check_seconds(settings.distil_seconds, "--distil-seconds")
    beside = _reflexes(reflexes, settings.reflexes)
    if settings.search not in SEARCHES:
        raise NotFoundError.of("method of search", settings.search, SEARCHES)
    models = list(model) if isinstance(model, (list, tuple)) else [model] if model is not None else []
    if writer in ("chat", "cascade") and not models:
        raise InputError(f"the writer {writer!r} needs a model: model='openai:gpt-…' (--model), with base_url if local")
    if settings.images is not None and not models:
        raise InputError(
            f"images={settings.images} is about a chat model, and none is given: add model= (--model), or leave it out"
        )
    if len(models) > 1 and writer != "cascade":
        raise InputError(
            f"{len(models)} models are for the cascade to choose from: writer='cascade' (--writer), not {writer!r}"
        )
    if isinstance(world, str):
        name = world
        make = open_world(world, world_options)
        world = make()
        if {"seed"} <= world.spec.capabilities and "live" not in world.spec.capabilities:
            fresh = fresh or make
    else:
        name = world.spec.name
    fresh, given = _fresh(world, fresh, approve), world
    world = approving(given, approve)
    with contextlib.ExitStack() as stack:
        opened = Home.open(home if home is not None else default_home())
        stack.callback(opened.close)
        ledger = Ledger(limit)
        holder: list[Assembly] = []
        notes = OverrunNotes(
            opened.journal, events, lambda: holder[0].run_id if holder and holder[0].current is not None else None
        )
        # A server's embeddings are paid from the run in hand.
        embedder = home_embedder(
            opened,
            settings.embedder,
            lambda: holder[0].ledger if holder else ledger,
            prices=price_list(prices),
            overruns=settings.overruns or "reprice",
            on_overrun=notes.tell,
        )
        anew = opened.embedder is None  # whatever made the index, nobody knows any more
        index = open_index(settings.index, opened.path, embedder.fingerprint, embedder.dim, replace=anew)
        stack.callback(index.close)
        runner = ConfinedRunner(
            isolation=settings.isolation,
            unsafe_no_isolation=settings.unsafe_no_isolation,
            modules=("numpy",) if settings.numpy else (),
        )
        stack.callback(runner.close)
        _refuse_unconfined(runner)
        journal, plain = opened.journal, fresh
        at_work = Beside(beside) if "learned" in settings.reflexes else None
        world, fresh = reflexive(world, at_work or beside, runner), _with_reflexes(fresh, at_work or beside, runner)
        book = ContractBook(
            world.spec,
            journal.contracts(world.spec.fingerprint),
            _priors(journal, world) if settings.transfer and settings.keep_contracts else None,
            Endings(journal.get_state(f"endings:{world.spec.fingerprint}")),
        )
        chats = [_chat(one, base_url, prices, settings.images) for one in models]
        for one in chats:
            one.standing.keep(journal, settings.overruns or "reprice", notes.tell)
        chat = chats[0] if chats else None
        limits = RunLimits()
        judge = GoalJudge(_chat_judge(chat) if chat is not None else None)
        library = SkillLibrary.open(
            opened,
            embedder=embedder,
            index=index,
            fingerprint=world.spec.fingerprint,
            verifier=WorldVerifier(fresh, runner, judge, limits=limits) if fresh is not None else None,
            passing=world.spec.passing,
            warn=lambda message: events.emit("warning", None, message=message),
        )
        stack.callback(library.close)
        if at_work is not None:
            at_work.learned(ready_reflexes(journal, world.spec.fingerprint, library.active()))
        keep_vectors(opened, embedder)
        registry = ToolRegistry(
            approve=approve, overruns=settings.overruns or "refuse", standings=journal, on_overrun=notes.tell
        )
        stack.callback(registry.close)
        for one in [*world_tools(given), *tools]:
            registry.add_all(one)
        for registration in load_registrations(journal):
            for one in registration.tools():
                if one.name not in registry or registry.get(one.name).owner != one.owner:
                    registry.add(one)
        registry.add_entry_points()
        stop = threading.Event()
        minds = Minds(opened, events, world.spec)

        def telling(kind: str) -> Callable[[Mapping[str, Json]], None]:
            def tell(told: Mapping[str, Json]) -> None:
                loop = holder[0].current
                if loop is not None:
                    journal.append_event(loop.run_id, Event(kind, told, loop.iteration))
                    events.emit(kind, loop.iteration, **told)

            return tell

        def cascade(writers: Sequence[Writer]) -> Writer:
            tell = telling("writer_chosen")
            return ChosenCascade(writers, embedder, store=journal, world=world.spec.fingerprint, tell=tell)

        hunches = Hunches(minds.adopted, world.spec, store=journal, line_steps=minds.line_steps, tell=telling("hunch"))
        orders = Ordering(minds.adopted, world.spec, store=journal, action_steps=minds.action_steps)
        searching = SearchWriter(book, runner, SearchSettings(method=settings.search), orders=orders, guesser=hunches)
        writing = _writer(writer, searching, chats, cascade)
        uses = used_by(writing)
        helping = Helping(
            registry,
            # What this writer cannot use is not offered to it; the vectors of it are left as they are.
            Catalogue(library.index, embedder, shared={Kind.SKILL, *(set(Kind) - uses)}),
            journal,
            events,
            lambda: holder[0].run_id,
            approve,
            fingerprint=world.spec.fingerprint,
            uses=uses,
        )
        helping.know(library.active().values())
        base = KnowledgeBase(journal)
        for path in know:
            learn_from(base, path)
        if Kind.DOCUMENT in uses:
            helping.stock(base.augmentations())
        if Kind.DEMONSTRATION in uses:
            helping.remember(journal.episodes(status="solved", with_trajectories=False))
        parts = Parts(
            world=world,
            book=book,
            library=library,
            journal=journal,
            runner=runner,
            judge=judge,
            writer=writing,
            curriculum=Curriculum(
                world.spec, book, CurriculumSettings(strategy=settings.curriculum), seed=settings.seed
            ),
            ledger=ledger,
            events=events,
            help=helping,
            images=opened.images,
            stop=stop.is_set,
            practice=_practice(plain, at_work, runner),
            beside=at_work.learned if at_work is not None else None,
        )
        assembly = Assembly(
            world=world,
            given=given,
            home=opened,
            library=library,
            runner=runner,
            account=ledger,
            events=events,
            settings=settings,
            registry=registry,
            helping=helping,
            limits=limits,
            embedder=embedder,
            loop_parts=parts,
            minds=minds,
            world_name=name,
            world_options=world_options,
            writer_name=writer if isinstance(writer, str) else writer.name,
            chat=chat,
            chats=chats,
            proposer=_proposer(chat) if writer == "chat" else None,
            fresh=fresh,
            stop=stop,
            reflexes=tuple(one.name for one in beside),
        )
        holder.append(assembly)
        stack.pop_all()
    return assembly


def _refuse_unconfined(runner: ConfinedRunner) -> None:
    """Raises `IsolationError` where programs cannot be confined: now, before anything is spent."""
    _ = runner.tier  # finds out, and raises


def _check(world: Any, home: Any, writer: Any, base_url: Any, prices: Any, approve: Any, fresh: Any) -> None:
    """The types of what users hand in. Raises `InputError` naming the argument."""
    if isinstance(world, type):
        raise InputError(f"world= is the class {world.__name__}; make one: {world.__name__}(…)")
    if not isinstance(world, (str, World)):
        raise InputError(
            f"world= is of type {type(world).__name__}; give a world's name, or one with spec, reset, observe and act"
        )
    if home is not None and not isinstance(home, (str, Path)):
        raise InputError(f"home= is of type {type(home).__name__}; give the path of a folder, or leave it out")
    if isinstance(writer, type):
        raise InputError(f"writer= is the class {writer.__name__}; make one: {writer.__name__}(…)")
    if not isinstance(writer, str) and not (
        isinstance(getattr(writer, "name", None), str) and callable(getattr(writer, "drafts", None))
    ):
        raise InputError(f"writer= is of type {type(writer).__name__}; give a name, or an object with name and drafts")
    if base_url is not None and not isinstance(base_url, str):
        raise InputError(f"base_url= is of type {type(base_url).__name__}; give the address of a server as a text")
    check_prices(prices)
    for name, function in (("approve", approve), ("fresh", fresh)):
        if function is not None and not callable(function):
            raise InputError(f"{name}= is of type {type(function).__name__}; give a function")


def _fresh(world: World, given: Callable[[], World] | None, approve: Approve | None) -> Callable[[], World] | None:
    """How to make a world of the same rules, or None where that cannot be done."""
    capabilities = world.spec.capabilities
    if "live" in capabilities or "seed" not in capabilities:
        if given is not None:
            raise InputError(
                "fresh= needs a world that resets to a seed and is not live; give it reset=, or leave fresh="
            )
        return None
    if given is None and isinstance(world, Cloneable) and "clone" in capabilities:
        given = world.clone
    made = given
    return None if made is None else lambda: approving(made(), approve)


def _reflexes(given: list[Reflex | str], which: str) -> tuple[Reflex, ...]:
    """The reflexes that were handed in, where they are wanted. Raises `InputError`, `NotFoundError`."""
    if which not in REFLEXES:
        raise NotFoundError.of("choice of reflexes", which, REFLEXES)
    found: list[Reflex] = []
    for one in given:
        if not isinstance(one, (Reflex, str)):
            raise InputError(f"reflexes= holds a {type(one).__name__}; give what @reflex made, or path/to/file.py")
        found += load_reflexes(one) if isinstance(one, str) else [one]
    check_given(found)
    return tuple(found) if "given" in which else ()


def _with_reflexes(
    fresh: Callable[[], World] | None, beside: Sequence[Reflex] | Beside, runner: Runner
) -> Callable[[], World] | None:
    return fresh if fresh is None or not beside else lambda: reflexive(fresh(), beside, runner)


def _practice(fresh: Callable[[], World] | None, at_work: Beside | None, runner: Runner) -> Practice | None:
    """Makes worlds in which reflexes are tried, where they are to be learned and lives come to an end."""
    if fresh is None or at_work is None or not {"ends", "affordances"} <= fresh().spec.capabilities:
        return None
    return lambda more: reflexive(fresh(), [*at_work.now, *more], runner)


def _priors(journal: Journal, world: World) -> Priors:
    """What is supposed of this world from what was seen in others, and how that fared until now."""
    fared = journal.get_state(f"priors:{world.spec.fingerprint}")
    return Priors(world.spec, priors_of(journal, world.spec), fared)


def _writer(
    writer: str | Writer,
    search: SearchWriter,
    chats: Sequence[Any],
    cascade: Callable[[Sequence[Writer]], Writer],
) -> Writer:
    if not isinstance(writer, str):
        return writer
    if writer == "search":
        return search
    from habilis.agent.writers.chat import ChatWriter

    if writer == "chat":
        return ChatWriter(chats[0])
    if len(chats) == 1:
        return cascade((search, ChatWriter(chats[0])))
    return cascade((search, *(ChatWriter(one, name=f"chat:{one.name}") for one in chats)))


def _chat(model: Any, base_url: str | None, prices: UserPrices, images: bool | None) -> Any:
    from habilis.agent.chat.model import Prices, as_priced, open_chat_model

    if not isinstance(model, str):
        return as_priced(model)
    given = Prices(*prices) if isinstance(prices, (tuple, list)) else price_list(prices)
    return open_chat_model(model, base_url=base_url, prices=given, images=images)


def _chat_judge(chat: Any) -> Any:
    from habilis.agent.chat_judge import ChatJudge

    return ChatJudge(chat)


def _proposer(chat: Any) -> Any:
    from habilis.agent.proposer import ChatProposer

    return ChatProposer(chat)


__all__ = ["compose"]
