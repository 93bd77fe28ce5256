"""The skill library."""

from habilis.memory.library.similarity import normalised_source, shingle_jaccard
from habilis.memory.library.skill_library import Hit, SkillLibrary, skill_text

__all__ = ["Hit", "SkillLibrary", "normalised_source", "shingle_jaccard", "skill_text"]
