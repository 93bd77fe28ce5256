"""What the agent remembers, a room for each: `journal`, `contracts`, `library` (the skills), `index` (vectors),
`embedding` (texts to vectors), `exchange` (skills from and for others); beside them the home, pictures that were seen,
the worlds' interfaces, learned reflexes, fetched model files, and the wording of prompts and corpus questions.

May import `habilis.core` only. The journal is the only source of truth; the index is derived from it.
"""

from habilis.memory.embedding import EndpointEmbedder, fetch_embedder, open_embedder
from habilis.memory.home import Home, default_home
from habilis.memory.images import ImageStore
from habilis.memory.index import (
    ChromaIndex,
    ChromaServerIndex,
    FaissIndex,
    MemoryIndex,
    open_index,
    sync_index,
    text_id,
)
from habilis.memory.journal import Journal, ModelRecord, RunRecord, Transition, UseRecord
from habilis.memory.library import Hit, SkillLibrary, normalised_source, shingle_jaccard, skill_of, skill_text
from habilis.memory.wheels import cache_dir, fetch_wheel

__all__ = [
    "ChromaIndex",
    "ChromaServerIndex",
    "EndpointEmbedder",
    "FaissIndex",
    "Hit",
    "Home",
    "ImageStore",
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
    "open_index",
    "shingle_jaccard",
    "skill_of",
    "skill_text",
    "sync_index",
    "text_id",
]
