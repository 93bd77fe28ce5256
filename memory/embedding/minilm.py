"""all-MiniLM-L6-v2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from habilis.core.errors import ModelError
from habilis.core.extras import need
from habilis.memory.embedding._files import digest, open_tokenizer, unit_rows, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class MiniLmEmbedder:
    """all-MiniLM-L6-v2 through onnxruntime: mean of the last hidden states, 256 tokens at most, 384-d.

    ``threads``: onnxruntime's; for texts this short a second one gains little (docs/embedding.md). Texts go in one at
    a time: the int8 model scales its activations over the whole batch, so in a batch a text's vector would depend on
    its neighbours.
    """

    dim = 384
    max_tokens = 256

    def __init__(self, model: Path, tokenizer: Path, *, threads: int = 1) -> None:
        ort = need("onnxruntime", "this embedder", install="onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take CPU from the worlds that run beside.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"cannot load {model}: {error}; delete the file and fetch it again") from error
        self._tokenizer = open_tokenizer(tokenizer)
        self._tokenizer.enable_truncation(max_length=self.max_tokens)
        self.fingerprint = f"minilm:{digest(model)}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384) float32 unit rows; what lies beyond 256 tokens of a text is not seen."""
        import numpy as np

        result = np.zeros((len(texts), self.dim), dtype=np.float32)
        seen: dict[str, int] = {}
        for i, text in enumerate(texts):
            if text in seen:
                result[i] = result[seen[text]]
                continue
            seen[text] = i
            ids = np.array([self._tokenizer.encode(whole(text)).ids], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            hidden = self._session.run(None, feed)[0]  # (1, tokens, 384)
            result[i] = hidden[0].mean(axis=0)
        return unit_rows(result)
