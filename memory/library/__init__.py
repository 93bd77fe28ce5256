"""The skill library."""

from habilis.memory.library._texts import skill_text
from habilis.memory.library.recall import Hit, Recall, Search, estimate_tokens
from habilis.memory.library.similarity import normalised_source, shingle_jaccard
from habilis.memory.library.skill_library import SkillLibrary

__all__ = [
    "Hit",
    "Recall",
    "Search",
    "SkillLibrary",
    "estimate_tokens",
    "normalised_source",
    "shingle_jaccard",
    "skill_text",
]
