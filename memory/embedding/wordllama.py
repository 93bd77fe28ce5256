"""WordLlama's table of token vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from habilis.core.errors import ModelError
from habilis.memory.embedding._files import digest, open_tokenizer, unit_rows, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class WordLlamaEmbedder:
    """The mean of fixed token vectors; 512 tokens at most, 256-d."""

    dim = 256
    max_tokens = 512

    def __init__(self, table: Path, tokenizer: Path) -> None:
        self._table = _read_table(table, self.dim)
        self._tokenizer = open_tokenizer(tokenizer)
        self._tokenizer.enable_truncation(max_length=self.max_tokens)
        self.fingerprint = f"wordllama:{digest(table)}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 256) float32 unit rows; what lies beyond 512 tokens of a text is not seen."""
        import numpy as np

        result = np.zeros((len(texts), self.dim), dtype=np.float32)
        encoded = self._tokenizer.encode_batch([whole(t) for t in texts], add_special_tokens=False)
        for row, tokens in zip(result, encoded, strict=True):
            ids = [i for i in tokens.ids if i < len(self._table)]
            row[:] = self._table[ids].astype(np.float32).mean(axis=0) if ids else 1.0
        return unit_rows(result)


def _read_table(path: Path, dim: int) -> NDArray[np.float16]:
    """The one tensor of a safetensors file: 8 bytes length, a JSON header, the data."""
    import numpy as np

    try:
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        (entry,) = (v for k, v in json.loads(data[8 : 8 + size]).items() if k != "__metadata__")
        rows, columns = entry["shape"]
        table = np.frombuffer(data, dtype=np.float16, count=rows * columns, offset=8 + size).reshape(rows, columns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the table {path}: {error}; delete the file and fetch it again") from error
    if columns != dim or entry["dtype"] != "F16":
        raise ModelError(f"{path} holds {entry['dtype']} vectors of {columns}, expected F16 of {dim}; fetch it again")
    return table
