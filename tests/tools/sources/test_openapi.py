"""OpenAPI documents as sources of tools: a real service on loopback, and documents that are wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra mcp, which brings starlette, is not installed")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from habilis.core import Cost, InputError, Json, Ledger
from habilis.tools import LeftOutWarning, SourceOptions, ToolRegistry, openapi

PET = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": "string", "nullable": True},
        "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "parent": {"$ref": "#/components/schemas/Pet"},
    },
}
SPEC = """
openapi: 3.0.3
info: {title: pets, version: "1", x-day: 2024-02-03}
paths:
  /pets/{pet-id}:
    parameters:
      - $ref: '#/components/parameters/PetId'
    get:
      operationId: getPet
      summary: Get a pet.
      description: All that is known of it.
      parameters:
        - {name: fields, in: query, description: what to tell, schema: {type: array, items: {type: string}}}
        - {name: sort, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: filter, in: query, style: deepObject, schema: {type: object}}
        - {name: X-Trace, in: header, schema: {type: string}}
        - {name: Authorization, in: header, required: true, schema: {type: string}}
        - {name: key, in: query, schema: {type: string}}
      responses: {200: {description: ok}}
    delete:
      responses: {204: {description: gone}}
  /pets:
    post:
      operationId: new-pet
      requestBody: {$ref: '#/components/requestBodies/Pet'}
  /form:
    put:
      requestBody:
        content: {application/x-www-form-urlencoded: {schema: {type: object}}}
  /what/{kind}:
    get:
      operationId: what
      parameters: [{name: kind, in: path, required: true, schema: {type: string}}]
components:
  parameters:
    PetId: {name: pet-id, in: path, required: true, schema: {type: integer}}
  requestBodies:
    Pet: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
  schemas:
    Pet: PET_HERE
""".replace("PET_HERE", json.dumps(PET))


async def echo(request: Request) -> Response:
    """What came."""
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": sorted(map(list, request.query_params.multi_items())),
            "trace": request.headers.get("x-trace"),
            "authorization": request.headers.get("authorization"),
            "body": body.decode(),
            "type": request.headers.get("content-type"),
        }
    )


async def what(request: Request) -> Response:
    kind = request.path_params["kind"]

    async def flood() -> Any:
        for _ in range(10_000):
            yield b"x" * 100_000

    async def drip() -> Any:
        for _ in range(100):
            yield b"x"
            await asyncio.sleep(0.1)

    answers: dict[str, Callable[[], Response]] = {
        "text": lambda: PlainTextResponse("héllo"),
        "nothing": lambda: Response(status_code=204),
        "nan": lambda: Response('{"x": NaN}', media_type="application/json"),
        "broken": lambda: Response("{", media_type="application/json"),
        "picture": lambda: Response(b"\x89PNG", media_type="image/png"),
        "missing": lambda: PlainTextResponse("no such thing " + "x" * 5_000, status_code=404),
        "locked": lambda: PlainTextResponse("who are you", status_code=401),
        "away": lambda: RedirectResponse("http://elsewhere.invalid/x?secret=1"),
        "moved": lambda: RedirectResponse("/what/text"),
        "round": lambda: RedirectResponse("/what/round"),
        "flood": lambda: StreamingResponse(flood(), media_type="text/plain"),
        "flood_json": lambda: StreamingResponse(flood(), media_type="application/json"),
        "drip": lambda: StreamingResponse(drip(), media_type="text/plain"),
    }
    return answers[kind]() if kind in answers else JSONResponse(kind)


APP = Starlette(
    routes=[
        Route("/what/{kind:path}", what),
        Route("/spec.yaml", lambda _: PlainTextResponse("servers: [{url: /v1}]" + SPEC)),
        Route("/{rest:path}", echo, methods=["GET", "POST", "PUT", "DELETE"]),
    ]
)


@pytest.fixture(scope="module")
def address(http_service: Callable[[Any], AbstractContextManager[str]]) -> Iterator[str]:
    with http_service(APP) as found:
        yield found


@pytest.fixture
def registry(tmp_path: Path, address: str) -> Iterator[ToolRegistry]:
    (tmp_path / "spec.yaml").write_text(SPEC)
    with ToolRegistry([openapi(tmp_path / "spec.yaml", base_url=address)], allow_side_effects=True) as opened:
        yield opened


def call(registry: ToolRegistry, name: str, **args: Json) -> Any:
    return registry.call_sync(name, args, Ledger()).unwrap()


def error(registry: ToolRegistry, name: str, **args: Json) -> str:
    ledger = Ledger()
    result = registry.call_sync(name, args, ledger)
    assert result.error is not None, result.value
    assert ledger.spent.calls == 1
    return result.error


# -- what a document gives --------------------------------------------------------------------------------------------


def test_operations_become_tools(registry: ToolRegistry, address: str) -> None:
    assert registry.names() == ("delete_pets_pet_id", "getPet", "new_pet", "put_form", "what")
    assert {t.name for t in registry if t.side_effects} == {"delete_pets_pet_id", "new_pet", "put_form"}
    assert not any(t.safe_to_retry for t in registry)
    one = registry.get("getPet")
    assert one.doc == "Get a pet.\n\nAll that is known of it."
    assert one.where == f"GET {address}/pets/{{pet-id}}"
    told = {p.name: (p.type, p.required, p.doc) for p in one.parameters}
    assert told["pet_id"] == ("int", True, "")
    assert told["fields"] == ("json", False, "what to tell")
    assert set(told) == {"pet_id", "fields", "sort", "filter", "X_Trace", "key"}  # Authorization is nobody's argument


def test_references_are_resolved_and_old_words_put_into_todays(registry: ToolRegistry) -> None:
    new = {"name": None, "age": 3, "parent": {"name": "Tom"}}
    assert json.loads(call(registry, "new_pet", body=new)["body"]) == new  # `id` is for the answer
    for change, told in (
        ({"name": 3}, "['name']: 3 is not of type"),
        ({"age": 0}, "0 is less than or equal to the minimum of 0"),
        ({"parent": {}}, "['parent']: 'name' is a required property"),
    ):
        ledger = Ledger()
        result = registry.call_sync("new_pet", {"body": {"name": "x", **change}}, ledger)
        assert told in str(result.error)
        assert ledger.spent == Cost()


def test_arguments_go_where_they_belong(registry: ToolRegistry) -> None:
    seen = call(registry, "getPet", pet_id=7, fields=["a b", "c&d"], sort=["x", "y"], filter={"k": True}, X_Trace="t")
    assert (seen["method"], seen["path"], seen["trace"]) == ("GET", "/pets/7", "t")
    assert seen["query"] == [["fields", "a b"], ["fields", "c&d"], ["filter[k]", "true"], ["sort", "x,y"]]
    seen = call(registry, "put_form", body={"a": "1 2", "b": [3, True]})
    assert (seen["body"], seen["type"]) == ("a=1+2&b=3&b=true", "application/x-www-form-urlencoded")
    assert call(registry, "new_pet", body={"name": "x"})["type"] == "application/json"
    assert call(registry, "what", kind="a/../b?c#d") == "a/../b?c#d"  # one segment, whatever is in it
    for kind in ("..", ".", ""):
        assert "another path" in error(registry, "what", kind=kind)
    assert "plain ASCII" in error(registry, "getPet", pet_id=1, X_Trace="a\r\nHost: b")


def test_answers(registry: ToolRegistry) -> None:
    assert call(registry, "what", kind="text") == "héllo"
    assert call(registry, "what", kind="nothing") is None
    assert call(registry, "what", kind="moved") == "héllo"
    assert call(registry, "what", kind="flood").endswith("[cut at 7999000 bytes]")
    for kind, told in (
        ("nan", "NaN is not JSON"),
        ("broken", "what is no JSON"),
        ("picture", "4 bytes of image/png, which is no text"),
        ("missing", "what answered 404 Not Found: no such thing xxx"),
        ("locked", "give a key: headers="),
        ("away", "was sent to http://elsewhere.invalid/x, which was not followed"),
        ("round", "which was not followed"),
        ("flood_json", "more than 7999000 bytes"),
    ):
        said = error(registry, "what", kind=kind)
        assert told in said
        assert len(said) < 800


def test_a_service_that_hangs_or_drips_or_is_gone(tmp_path: Path, address: str) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    source = openapi(tmp_path / "spec.yaml", base_url=address, timeout=0.5, only=["what"], cost=Cost(usd=0.1))
    with ToolRegistry([source]) as registry:
        start, ledger = time.monotonic(), Ledger()
        told = registry.call_sync("what", {"kind": "drip"}, ledger).error
        assert "within 0.5 seconds" in str(told)
        assert time.monotonic() - start < 5
        assert ledger.spent == Cost(usd=0.1, calls=1)
    gone = ToolRegistry([openapi(tmp_path / "spec.yaml", base_url="http://127.0.0.1:9")])
    assert "cannot reach http://127.0.0.1:9" in error(gone, "what", kind="x")


# -- addresses and keys -----------------------------------------------------------------------------------------------


def test_a_document_from_a_url_names_its_server(address: str) -> None:
    with ToolRegistry([f"openapi:{address}/spec.yaml"]) as registry:
        assert registry.get("getPet").where == f"GET {address}/v1/pets/{{pet-id}}"
        assert call(registry, "getPet", pet_id=1)["path"] == "/v1/pets/1"
        assert registry.get("getPet").owner == f"openapi:{address}/spec.yaml"


def test_keys_are_taken_from_the_environment_and_blotted_out(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    options = SourceOptions(
        headers={"Authorization": "Bearer env:PET_KEY"}, query={"key": "env:PET_KEY"}, base_url=address
    )
    with pytest.raises(InputError, match="needs the environment variable PET_KEY, which is not set"):
        ToolRegistry().add(f"openapi:{tmp_path / 'spec.yaml'}", options)
    monkeypatch.setenv("PET_KEY", "pet-secret-9")
    with ToolRegistry() as registry:
        registry.add(f"openapi:{tmp_path / 'spec.yaml'}", options)
        assert "key" not in {p.name for p in registry.get("getPet").parameters}  # what the user has said is no argument
        seen = call(registry, "getPet", pet_id=1)
    assert (seen["authorization"], seen["query"]) == ("Bearer ***", [["key", "***"]])


# -- documents that are wrong -----------------------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join([f'*{before}'] * 10)}]\n" for before, c in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "neither JSON nor YAML"),
        ("a: [", "neither JSON nor YAML"),
        ("hello", "no OpenAPI 3.0 or 3.1 document (no version)"),
        ("swagger: '2.0'", "swagger='2.0'"),
        ("openapi: 4.0.0", "openapi='4.0.0'"),
        ("openapi: 3.1.0\npaths: []", "paths"),
        ("openapi: 3.1.0\npaths: {}", "does not say at which address"),
        ("openapi: 3.1.0\nservers: [{url: 'file:///etc'}]\npaths: {}", "does not say at which address"),
        (BOMB, "more than 2000000 parts"),
    ],
)
def test_a_document_that_cannot_be_used_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        ToolRegistry().add_all(openapi(path))
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_document_that_cannot_be_had_is_named(tmp_path: Path, address: str) -> None:
    for place in (
        tmp_path / "gone.yaml",
        "http://127.0.0.1:9/spec.yaml",
        f"{address}/what/missing",
        f"{address}/what/away",
    ):
        with pytest.raises(InputError, match=str(place)):
            ToolRegistry().add_all(openapi(place))


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ({"parameters": [{"in": "query"}]}, "has no name, or no place"),
        ({"parameters": {"a": 1}}, "not a list"),
        ({"parameters": [{"$ref": "#/components/parameters/gone"}]}, "'#/components/parameters/gone'"),
        ({"parameters": [{"$ref": "other.yaml#/a"}]}, "bundle it into one file"),
        ({"parameters": [{"name": "a", "in": "cookie", "required": True}]}, "cookie"),
        ({"parameters": [{"name": "a", "in": "query", "schema": {"type": "strange"}}]}, "schema"),
        ({"parameters": [{"name": "a", "in": "query", "style": "matrix"}]}, "'matrix'"),
        ({"requestBody": {"content": {"multipart/form-data": {}}}}, "multipart/form-data"),
        ({"servers": [{"url": "http://evil.invalid"}]}, "a server of its own"),
        ({"parameters": [{"$ref": "#/components/parameters/loop"}]}, "refers to itself"),
    ],
)
def test_an_operation_that_cannot_be_used_costs_only_itself(tmp_path: Path, operation: Any, told: str) -> None:
    document = {
        "openapi": "3.1.0",
        "servers": [{"url": "http://{host}:9", "variables": {"host": {"default": "127.0.0.1"}}}],
        "paths": {"/good": {"get": {"operationId": "good"}}, "/bad": {"post": operation}},
        "components": {"parameters": {"loop": {"$ref": "#/components/parameters/loop"}}},
    }
    (tmp_path / "spec.json").write_text(json.dumps(document))
    with pytest.warns(LeftOutWarning, match="POST /bad is left out") as warned:
        added = ToolRegistry().add_all(openapi(tmp_path / "spec.json"))
    assert [t.where for t in added] == ["GET http://127.0.0.1:9/good"]
    assert told in str(warned[0].message)
