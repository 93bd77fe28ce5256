"""What the agent remembers: the home, the journal, the skill library, the index, the embedding, fetched model files.

May import `habilis.core` only. The journal is the only source of truth; the index is derived from it.
"""

__all__: list[str] = []
