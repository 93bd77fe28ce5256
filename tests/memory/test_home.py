"""Homes: one owner, facts that last, clear words when something is in the way."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from habilis.core import HomeError, HomeLockedError, InputError, JournalError, NotFoundError, SchemaError
from habilis.memory.home import Home, default_home, is_owned
from habilis.memory.journal import SCHEMA_VERSION
from habilis.memory.library import SkillLibrary
from habilis.testing.embedding import HashEmbedder

OWNER = """
import sys
from habilis.memory.home import Home
home = Home.open(sys.argv[1], clock=lambda: 0.0)
home.journal.start_run({})
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_home_is_made_and_keeps_its_facts(tmp_path: Path) -> None:
    with Home.open(tmp_path / "a" / "home", embedder="hash:v1-512") as home:
        assert home.embedder == "hash:v1-512"
        assert not home.read_only
    facts_file = tmp_path / "a" / "home" / "home.json"
    facts = json.loads(facts_file.read_text())
    assert facts == {"schema_version": SCHEMA_VERSION, "embedder": "hash:v1-512"}
    facts_file.write_text(json.dumps(facts | {"from_the_future": [1]}))
    with Home.open(tmp_path / "a" / "home") as home:
        home.set_embedder("minilm:abc")
    assert json.loads(facts_file.read_text()) == {
        "schema_version": SCHEMA_VERSION,
        "embedder": "minilm:abc",
        "from_the_future": [1],
    }


def test_another_embedder_is_refused_and_the_lock_given_back(tmp_path: Path) -> None:
    Home.open(tmp_path, embedder="hash:v1-512").close()
    with pytest.raises(HomeError, match=r"hash:v1-512.*minilm:abc.*rebuild"):
        Home.open(tmp_path, embedder="minilm:abc")
    served = "endpoint:bge@http://127.0.0.1:80/v1#64"
    with pytest.raises(HomeError, match=f"--embedder '{served}'"):  # as a shell takes it
        Home.open(tmp_path, embedder=served)
    Home.open(tmp_path, embedder="hash:v1-512").close()


def test_a_second_process_is_told_who_owns_the_home(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        with pytest.raises(HomeLockedError, match=rf"process {owner.pid} .*since 1970-01-01 00:00:00 UTC"):
            Home.open(tmp_path)
        # Listing needs no lock.
        with Home.open(tmp_path, read_only=True) as seen:
            assert [r.status for r in seen.journal.runs()] == ["running"]
            with pytest.raises(JournalError, match="for reading only"):
                seen.journal.put_state("a", 1)
            with pytest.raises(HomeError, match="for reading only"):
                seen.set_embedder("x")
    finally:
        owner.kill()
        owner.wait()
    Home.open(tmp_path).close()  # the lock dies with its owner


def test_the_same_process_cannot_own_it_twice(tmp_path: Path) -> None:
    with (
        Home.open(tmp_path),
        pytest.raises(HomeLockedError, match=f"process {os.getpid()}, which is this one.*close it"),
    ):
        Home.open(tmp_path)


def test_a_home_that_was_dropped_is_free_again(tmp_path: Path) -> None:
    Home.open(tmp_path, embedder="another")
    gc.collect()
    Home.open(tmp_path).close()
    with pytest.raises(HomeError, match="another"):
        SkillLibrary.open(Home.open(tmp_path), embedder=HashEmbedder(64))
    gc.collect()
    with Home.open(tmp_path) as home:
        home.close()
        Home.open(tmp_path).close()


FORKS = """
import os, sys
from habilis.memory.home import Home, is_owned
home = Home.open(sys.argv[1])
here, there = os.pipe()
if os.fork() == 0:                  # as a tool's own child may, which lives on
    os.close(there)
    os.read(here, 1)
    os._exit(0)
assert is_owned(sys.argv[1])        # the child has not given back what is not its own
home.close()
Home.open(sys.argv[1]).close()
os.write(there, b"x")
os.wait()
"""


def test_a_child_that_was_forked_does_not_keep_the_home_locked(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKS, tmp_path / "home"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_lock_that_outlives_its_owner_is_told_as_such(tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with (tmp_path / "home.lock").open("r+") as file:
        file.write(json.dumps({"pid": gone.pid, "command": "agent.py", "since": 0}))
        file.truncate()
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(HomeLockedError, match=rf"what process {gone.pid} .* has started, though it has ended"):
            Home.open(tmp_path)


def test_a_home_that_does_not_exist_says_how_to_make_one(tmp_path: Path) -> None:
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(NotFoundError, match=r"habilis run --home"):
            Home.open(tmp_path / "none", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def _bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "home.lock"}


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_journal_is_refused_untouched(tmp_path: Path, read_only: bool) -> None:
    Home.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = _bytes(tmp_path)
    with pytest.raises(SchemaError, match=rf"has schema {SCHEMA_VERSION + 1}.*knows up to {SCHEMA_VERSION}"):
        Home.open(tmp_path, read_only=read_only)
    assert _bytes(tmp_path) == before


def test_a_newer_journal_is_seen_in_the_write_ahead_log_too(tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    code = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        f"db.execute('PRAGMA user_version = {SCHEMA_VERSION + 1}'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "journal.sqlite")], check=True)
    before = (tmp_path / "journal.sqlite").read_bytes(), (tmp_path / "journal.sqlite-wal").read_bytes()
    assert before[1]
    with pytest.raises(SchemaError):
        Home.open(tmp_path)
    assert ((tmp_path / "journal.sqlite").read_bytes(), (tmp_path / "journal.sqlite-wal").read_bytes()) == before


def test_newer_facts_are_refused_untouched(tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    (tmp_path / "home.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    before = _bytes(tmp_path)
    with pytest.raises(SchemaError):
        Home.open(tmp_path)
    assert _bytes(tmp_path) == before


def test_damaged_facts_and_journals_are_named_and_left(tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    facts = (tmp_path / "home.json").read_text()
    for text, said in (
        ("{", "Expecting"),
        ("[" * 100_000, "recursion"),
        ("\udcff", "utf-8"),
        ("[]", "schema_version: none"),
        ('{"schema_version": true}', "schema_version: True"),
        ('{"schema_version": -3}', "schema_version: -3"),
        ('{"schema_version": "1"}', "schema_version: '1'"),
        ('{"embedder": 5}', "embedder: 5"),
        ('{"embedder": true}', "embedder: True"),
        ('{"embedder": ""}', "embedder: ''"),
    ):
        (tmp_path / "home.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        for read_only in (False, True):
            with pytest.raises(
                HomeError, match=rf"home\.json is damaged \(.*{said}.*\); put back a copy, or delete it"
            ):
                Home.open(tmp_path, read_only=read_only)
    (tmp_path / "home.json").write_text(facts)
    (tmp_path / "journal.sqlite").write_bytes(b"not a database at all")
    with pytest.raises(JournalError, match="is not a journal"):
        Home.open(tmp_path)
    assert (tmp_path / "journal.sqlite").read_bytes() == b"not a database at all"


def test_a_corrupted_page_is_reported(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        for i in range(2000):
            home.journal.put_document("recipe", str(i), "x" * 400)
        assert home.journal.check() == []
    file = tmp_path / "journal.sqlite"
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    with Home.open(tmp_path) as home:
        assert home.journal.check() != []
        with pytest.raises(JournalError, match=r"damaged.*\.recover"):
            home.journal.documents("recipe")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "names no folder"),
        (" ", "names no folder"),
        ("a\0b", "names no folder"),
        ("a\udcff", r"'a\\udcff' is no UTF-8 text"),
        ("~nosuchuser/home", "'~nosuchuser/home': there is no such user"),
    ],
)
def test_a_path_that_names_no_folder_is_refused(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for read_only in (False, True):
        with pytest.raises(InputError, match=said):
            Home.open(path, read_only=read_only)
    assert not list(tmp_path.iterdir())
    if path.strip() and "\0" not in path:
        monkeypatch.setenv("HABILIS_HOME", path)
        with pytest.raises(InputError, match="HABILIS_HOME"):
            default_home()


def test_a_path_that_is_too_long_is_told_with_its_length(tmp_path: Path) -> None:
    (many, one) = tmp_path.joinpath(*["x" * 100] * 5), tmp_path / ("x" * 256)
    for path in (many, one):
        for read_only in (False, True):
            with pytest.raises(HomeError, match=rf"too long: {len(str(path))} bytes.*480 and 255.*shorter"):
                Home.open(path, read_only=read_only)
    assert not list(tmp_path.iterdir())
    longest = tmp_path.joinpath("x" * 200, "x" * (480 - 202 - len(str(tmp_path))))
    with Home.open(longest) as home:
        home.journal.put_state("a", 1)


def test_whether_a_home_is_owned_can_be_asked_without_taking_it(tmp_path: Path) -> None:
    assert not is_owned(tmp_path / "home")
    with Home.open(tmp_path / "home"):
        assert is_owned(tmp_path / "home")
        assert is_owned(tmp_path / "home")
    assert not is_owned(tmp_path / "home")
    Home.open(tmp_path / "home").close()


def test_who_only_asks_whether_a_home_is_owned_keeps_nobody_out(tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    asking = os.open(tmp_path / "home.lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    asked = threading.Timer(0.05, os.close, (asking,))
    asked.start()
    Home.open(tmp_path).close()
    asked.join()


@pytest.mark.parametrize("call", ["ftruncate", "pwrite"])
def test_a_lock_that_cannot_be_written_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(HomeError, match="no space left") as raised:
            Home.open(tmp_path)
    assert raised.traceback  # which holds on to the lock, so that nothing but closing gives it back
    Home.open(tmp_path).close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(HomeError, match="no permission"):
        Home.open(tmp_path / "locked" / "home")


def test_a_home_that_may_not_be_looked_into_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Home.open(tmp_path).close()
    stat = os.stat

    def shut(path: str | Path, *args: Any, **options: Any) -> os.stat_result:
        if Path(path).name == "journal.sqlite":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", shut)
    for read_only, what in ((True, "read"), (False, "write")):
        with pytest.raises(HomeError, match=f"no permission to {what} the home .*--home"):
            Home.open(tmp_path, create=False, read_only=read_only)


def test_a_home_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        for read_only in (False, True):
            with pytest.raises(HomeError, match=rf"cannot open the home.*{tmp_path / 'file'} is a file, not a folder"):
                Home.open(path, read_only=read_only)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space(tmp_path: Path) -> None:
    (tmp_path / "home.tmp").symlink_to("/dev/full")
    with pytest.raises(HomeError, match="no space left"):
        Home.open(tmp_path)


def test_the_default_home_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HABILIS_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("HABILIS_HOME")
    assert default_home().name == ".habilis"


@pytest.mark.parametrize("left", [None, b""], ids=["gone", "empty"])
def test_a_home_that_lost_its_journal_is_not_begun_anew_without_a_word(tmp_path: Path, left: bytes | None) -> None:
    Home.open(tmp_path).close()
    journal = tmp_path / "journal.sqlite"
    whole = journal.read_bytes()
    for file in tmp_path.glob("journal.sqlite*"):
        file.unlink()
    if left is not None:
        journal.write_bytes(left)
    with pytest.raises(HomeError, match=rf"is {'gone' if left is None else 'empty'}, though this home was in use"):
        Home.open(tmp_path)
    assert not journal.exists() if left is None else journal.stat().st_size == 0
    journal.write_bytes(whole)
    Home.open(tmp_path).close()
    journal.unlink()
    (tmp_path / "home.json").unlink()  # what the error names as the way to begin anew
    Home.open(tmp_path).close()
