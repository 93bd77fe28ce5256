"""LangChain's own tests of a vector store, on ours. They run where ``langchain-tests`` is installed: it brings half a
dozen pytest plug-ins along, so it is not among our own requirements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.vectorstores import VectorStore

from habilis.memory.index import ChromaIndex, FaissIndex, MemoryIndex
from habilis.memory.index.langchain import IndexVectorStore

standard = pytest.importorskip(
    "langchain_tests.integration_tests.vectorstores", reason="pip install langchain-tests to run LangChain's own tests"
)
pytestmark = [pytest.mark.asyncio, pytest.mark.filterwarnings("ignore:.*marked with '@pytest.mark.asyncio'.*")]


class TestStandard(standard.VectorStoreIntegrationTests):  # type: ignore[misc,name-defined]
    @pytest.fixture(params=["exact", "chroma", "faiss"])
    def vectorstore(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
        make = {"chroma": ChromaIndex, "faiss": FaissIndex}.get(request.param)
        index = make(tmp_path, "fake", 6) if make else MemoryIndex(6)
        yield IndexVectorStore(index, self.get_embeddings())
        index.close()
