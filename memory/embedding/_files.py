"""What embedders read from files: tokenizers, and the digest that names their weights; unit rows; and texts that
can be encoded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core.errors import MissingExtraError, ModelError
from habilis.core.extras import need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return unit


def whole(text: str) -> str:
    """Without half characters (lone surrogates), which observations may hold and no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()


def open_tokenizer(path: Path) -> Any:
    try:
        tokenizer = need("tokenizers", "this embedder", install="tokenizers").Tokenizer.from_file(str(path))
    except MissingExtraError:
        raise
    except Exception as error:
        raise ModelError(f"cannot load the tokenizer {path}: {error}; delete the file and fetch it again") from error
    tokenizer.no_padding()
    return tokenizer


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
