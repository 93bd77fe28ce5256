"""Reading what a provider's client raises, without importing any of them."""

from __future__ import annotations

import re
from collections.abc import Sequence


def scrub(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return re.sub(r"\b(sk|pk|gsk|xai|key)-[\w*.-]{4,}", "[key]", text)[:600]


def is_a(error: BaseException, *names: str) -> bool:
    # By name: the providers' packages are not imported here, and each has its own tree.
    return any(base.__name__ in names for base in type(error).__mro__)


def status_of(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and status >= 400:
            return status
    return None


def retry_after(error: Exception) -> float:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except (TypeError, ValueError):
        return 0.0


def advice(status: int) -> str:
    if status in (401, 403):
        return "; check the key and what it may use"
    if status == 404:
        return "; check the model's name and the address"
    if status == 429:
        return "; wait, or check the account's limits"
    return ""
