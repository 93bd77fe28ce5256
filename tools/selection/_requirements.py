"""What an augmentation requires, directly and through others."""

from __future__ import annotations

from collections.abc import Sequence

from habilis.core import Augmentation


class Requirements:
    """By position in ``things``: ``direct``, what each requires itself; ``closure``, itself and all that it requires,
    also through others (cycles are allowed); ``missing``, the first requirement of these that nothing meets, "" if
    none."""

    def __init__(self, things: Sequence[Augmentation]) -> None:
        self._by_id = {t.id: i for i, t in enumerate(things)}
        self._by_name: dict[str, int] = {}
        if any(t.requires for t in things):
            for i, thing in enumerate(things):
                self._by_name.setdefault(thing.name, i)
        found = [[(r, self._find(r, thing)) for r in thing.requires] for thing in things]
        self.direct = [tuple(at for _, at in one if at is not None) for one in found]
        self._lacking = [next((r for r, at in one if at is None), "") for one in found]
        self.closure: list[tuple[int, ...]] = []
        self.missing: list[str] = []
        for i in range(len(things)):
            closure, missing = self._close(i)
            self.closure.append(closure)
            self.missing.append(missing)

    def _close(self, start: int) -> tuple[tuple[int, ...], str]:
        if not self.direct[start]:
            return (start,), self._lacking[start]
        seen, todo = {start: None}, [start]
        missing = ""
        while todo:
            one = todo.pop()
            missing = missing or self._lacking[one]
            for other in self.direct[one]:
                if other not in seen:
                    seen[other] = None
                    todo.append(other)
        return tuple(seen), missing

    def _find(self, requirement: str, by: Augmentation) -> int | None:
        """By id; else by name, its own kind first."""
        found = self._by_id.get(requirement)
        if found is None:
            found = self._by_id.get(f"{by.kind.value}:{requirement}")
        return self._by_name.get(requirement) if found is None else found
