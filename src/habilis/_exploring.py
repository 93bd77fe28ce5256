"""An exploration: episodes in fresh worlds, one after another, with a clean end."""

from __future__ import annotations

from habilis._assembly import Assembly
from habilis._autonomous import summary
from habilis._interrupts import interruptible
from habilis._settings import Summary
from habilis.agent.practice.exploring import Explorer, ExploreSettings
from habilis.agent.threads import in_thread
from habilis.core import BudgetExceeded, InputError, dump, span

__all__ = ["explore"]


async def explore(parts: Assembly, episodes: int, settings: ExploreSettings) -> Summary:
    """Explore up to this many episodes in all. A limit or Ctrl-C ends it; the same again goes on."""
    if isinstance(episodes, bool) or not isinstance(episodes, int) or episodes < 1:
        raise InputError(f"an exploration has 1 episode or more, not {episodes!r}; change episodes (--episodes)")
    with span("habilis.explore", {"habilis.world": parts.world_name, "habilis.policy": settings.policy}) as here:
        loop = parts.session("explore", episodes, how={"explore": dump(settings)})
        parts.ended, first = False, loop.iteration
        status, reason = "stopped", "asked to stop; explore again to continue"
        try:
            explorer = Explorer(loop, parts.fresh, settings)
            with interruptible(parts.stop, parts.home.journal):
                while not parts.stop.is_set():
                    if loop.iteration >= episodes:
                        status, reason = "finished", f"all {episodes} episodes done"
                        if loop.iteration == first:
                            reason = f"this exploration already has {first} episodes; ask for more to continue it"
                        break
                    await in_thread("an exploration", explorer.episode)
        except BudgetExceeded as error:
            reason = str(error)
        except BaseException as error:
            interrupted = not isinstance(error, Exception)
            status = "stopped" if interrupted else "failed"
            reason = "interrupted; explore again to continue" if interrupted else str(error) or type(error).__name__
            raise
        finally:
            parts.end(status, reason)
            if status == "finished":
                parts.current = None
        told = summary(parts, loop, status, reason)
        here.cost(told.spent)
    return told
