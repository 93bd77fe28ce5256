"""The skill library: what is admitted, how it is proven, merged and found again, and how long it lasts.

Follow a skill from `proving` to `merging`, `duel`, `skill_library` and `recall`.
"""

from habilis.memory.library._carrying import Carried
from habilis.memory.library._crediting import IN_USE, Credit, Offer
from habilis.memory.library._keeping import Checked
from habilis.memory.library._lexical import Lexicon
from habilis.memory.library._relifting import Lifted
from habilis.memory.library.clauses import learn as learn_contract
from habilis.memory.library.proving import AdmissionSettings, Proof, narrowed, prove
from habilis.memory.library.recall import Hit, Recall, Search, estimate_tokens, skill_text, skill_texts
from habilis.memory.library.settings import LibrarySettings
from habilis.memory.library.similarity import normalised_source, shingle_jaccard
from habilis.memory.library.skill_library import SkillLibrary
from habilis.memory.library.writing import skill_of

__all__ = [
    "IN_USE",
    "AdmissionSettings",
    "Carried",
    "Checked",
    "Credit",
    "Hit",
    "Lexicon",
    "LibrarySettings",
    "Lifted",
    "Offer",
    "Proof",
    "Recall",
    "Search",
    "SkillLibrary",
    "estimate_tokens",
    "learn_contract",
    "narrowed",
    "normalised_source",
    "prove",
    "shingle_jaccard",
    "skill_of",
    "skill_text",
    "skill_texts",
]
