"""What the agent remembers: the home, the journal, the skill library, the index, the embedding, fetched model files.

May import `habilis.core` only. The journal is the only source of truth; the index is derived from it.
"""

from habilis.memory.embedding import fetch_embedder, open_embedder
from habilis.memory.home import Home, default_home
from habilis.memory.index import ChromaIndex, MemoryIndex, sync_index, text_id
from habilis.memory.journal import Journal, ModelRecord, RunRecord, Transition, UseRecord
from habilis.memory.library import Hit, SkillLibrary, skill_text
from habilis.memory.similarity import normalised_source, shingle_jaccard
from habilis.memory.wheels import cache_dir, fetch_wheel

__all__ = [
    "ChromaIndex",
    "Hit",
    "Home",
    "Journal",
    "MemoryIndex",
    "ModelRecord",
    "RunRecord",
    "SkillLibrary",
    "Transition",
    "UseRecord",
    "cache_dir",
    "default_home",
    "fetch_embedder",
    "fetch_wheel",
    "normalised_source",
    "open_embedder",
    "shingle_jaccard",
    "skill_text",
    "sync_index",
    "text_id",
]
