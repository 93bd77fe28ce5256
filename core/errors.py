"""Every error that Habilis raises on purpose.

    HabilisError
    ├── NotFoundError (LookupError)          an unknown world, writer, tool, skill, model …: says what exists
    ├── DuplicateNameError (ValueError)      a name is taken: names both owners
    ├── DefinitionError (TypeError)          a tool, world or goal was declared wrongly: names the function
    ├── GoalSyntaxError (ValueError)         a goal's text does not parse
    ├── InputError (ValueError)              any other bad input
    ├── BudgetExceeded (RuntimeError)        the next step would pass a limit: nothing was spent on it
    ├── IsolationError (RuntimeError)        this system cannot confine programs: says what is missing
    ├── HomeError (RuntimeError)
    │   ├── HomeLockedError                  another process owns the home: names it
    │   └── SchemaError                      the home was written by a newer version: untouched
    ├── JournalError (RuntimeError)          the journal could not be read or written
    ├── MissingExtraError (ImportError)      an optional dependency is absent: the command that installs it
    ├── ModelError (RuntimeError)            a model could not be loaded or called
    ├── ToolError (RuntimeError)             a tool failed; feedback for the writer, not a crash
    ├── SkillError (RuntimeError)            a skill was called and did not do what it promises
    ├── WorldError (RuntimeError)            a world raised while being driven
    └── WriterError (RuntimeError)           a writer raised, or gave no draft: names it; costs the task

Every class carries a stable ``code``. To add one: subclass here, give it a ``code``, list it above and in
``__all__`` of :mod:`habilis.core`; a test compares the three.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HabilisError(Exception):
    """Root of all errors that Habilis raises on purpose."""

    code = "habilis"


class NotFoundError(HabilisError, LookupError):
    """Something was asked for by a name that nothing has."""

    code = "not_found"

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], hint: str = "") -> NotFoundError:
        """Build the message: what was asked, what is close, what exists."""
        names = sorted(map(str, known))
        close = get_close_matches(name, names, n=1)
        text = f"there is no {kind} {name!r}"
        text += f"; did you mean {close[0]!r}?" if close else "."
        shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
        text += f" Known: {shown}." if names else f" No {kind} is known yet."
        return cls(text + (f" {hint}" if hint else ""))


class DuplicateNameError(HabilisError, ValueError):
    code = "duplicate_name"


class DefinitionError(HabilisError, TypeError):
    code = "definition"


class GoalSyntaxError(HabilisError, ValueError):
    code = "goal_syntax"


class InputError(HabilisError, ValueError):
    code = "input"


class BudgetExceeded(HabilisError, RuntimeError):
    """The next step would pass a limit. Nothing was spent on it.

    Attributes: ``limit`` (its name), ``allowed``, ``spent``, ``reserved``, ``asked`` (numbers in the limit's unit), and
    ``of``: what it limits, "" for everything together, "task" for one task.
    """

    code = "budget"

    def __init__(
        self,
        limit: str,
        allowed: float = 0.0,
        spent: float = 0.0,
        reserved: float = 0.0,
        asked: float = 0.0,
        of: str = "",
    ) -> None:
        super().__init__(limit, allowed, spent, reserved, asked, of)
        self.of = of
        self.limit, self.allowed, self.spent, self.reserved, self.asked = (
            limit,
            allowed,
            spent,
            reserved,
            asked,
        )

    def __str__(self) -> str:
        told = (
            f"{self.limit}={self.allowed:g} is reached: {self.spent:g} spent, {self.reserved:g} reserved, "
            f"{self.asked:g} more asked"
        )
        if self.of:
            return (
                f"the limit of one {self.of}, {told}; a limit of the run does not raise it, "
                f"--{self.of}-budget {self.limit}=… (AgentSettings({self.of}_budget=...)) does"
            )
        return f"the limit {told}; raise it (--max-{self.limit.replace('_', '-')}) and run again to continue"


class IsolationError(HabilisError, RuntimeError):
    code = "isolation"


class HomeError(HabilisError, RuntimeError):
    code = "home"


class HomeLockedError(HomeError):
    code = "home_locked"


class SchemaError(HomeError):
    code = "schema"


class JournalError(HabilisError, RuntimeError):
    code = "journal"


class MissingExtraError(HabilisError, ImportError):
    code = "missing_extra"


class ModelError(HabilisError, RuntimeError):
    code = "model"


class ToolError(HabilisError, RuntimeError):
    code = "tool"


class SkillError(HabilisError, RuntimeError):
    code = "skill"


class WorldError(HabilisError, RuntimeError):
    code = "world"


class WriterError(HabilisError, RuntimeError):
    code = "writer"
