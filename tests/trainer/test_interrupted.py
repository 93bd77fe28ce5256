"""Trainings that are killed, damaged or out of room: what they end with is what an uninterrupted one ends with."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.core import ModelError
from habilis.trainer import BaseModel, Fisher, diagonal_fisher

torch = pytest.importorskip("torch")

from tests.trainer.test_successive import go, sums  # noqa: E402
from tests.trainer.test_train import SETTINGS, adapter, run  # noqa: E402

EVERY = replace(SETTINGS, save_every=1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A process that is forked where torch had several threads at work waits for them for ever."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def in_child(work: Callable[[], None]) -> int | None:
    """Run in a process of its own; its exit code (negative: the signal that ended it)."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(120)
    assert child.exitcode is not None
    return child.exitcode


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(step: int) -> Callable[..., None]:
    def progress(phase: str, at: int, steps: int, loss: float) -> None:
        if at == step:
            die()

    return progress


def steps_of(seen: list[int]) -> Callable[..., None]:
    return lambda phase, step, steps, loss: seen.append(step)


def same(left: Any, right: Any) -> None:
    a, b = adapter(left), adapter(right)
    assert any(float(t.abs().sum()) > 0 for n, t in a.items() if "lora_B" in n or "weight" in n)
    for name, tensor in a.items():
        torch.testing.assert_close(b[name], tensor, rtol=0, atol=0)
    assert left.figures["drift"] == right.figures["drift"]
    assert (left.figures["loss_first"], left.figures["loss_last"]) == (
        right.figures["loss_first"],
        right.figures["loss_last"],
    )


@pytest.mark.parametrize(("reg", "method"), [("ewc_replay", "lora"), ("kl", "full")])
def test_killed_at_any_step_it_ends_with_the_same_weights(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, reg: str, method: str
) -> None:
    settings = replace(EVERY, method=method)
    whole = run(tiny, workshop, tmp_path / "whole", reg=reg, steps=5, settings=settings)

    def work(step: int) -> None:
        run(tiny, workshop, tmp_path / "half", reg=reg, steps=5, settings=settings, progress=dying_at(step))

    for step in (1, 4):
        assert in_child(partial(work, step)) == -signal.SIGKILL
    seen: list[int] = []
    rest = run(
        tiny,
        workshop,
        tmp_path / "half",
        reg=reg,
        steps=5,
        settings=settings,
        progress=steps_of(seen),
    )
    assert seen == [4, 5]  # step 4 was not saved yet
    same(whole, rest)


@pytest.mark.parametrize(("reg", "method"), [("ewc", "lora"), ("l2", "full")])
def test_killed_after_its_last_step_it_ends_with_the_same_weights(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, reg: str, method: str
) -> None:
    """As it is while the model is judged: nothing is left to be trained, but the update is still to be taken back."""
    settings = replace(SETTINGS, method=method, drift=0.0005, learning_rate=5e-3)
    whole = run(tiny, workshop, tmp_path / "w", reg=reg, steps=6, settings=settings)
    assert whole.figures["drift"]["update_kept"] < 1
    seen: list[int] = []
    rest = run(tiny, workshop, tmp_path / "w", reg=reg, steps=6, settings=settings, progress=steps_of(seen))
    assert seen == []
    assert (rest.steps, rest.stopped) == (6, "done")
    same(whole, rest)


@pytest.mark.parametrize("name", ["trained.safetensors", "optimizer.pt", "habilis.json"])
def test_killed_while_a_checkpoint_is_written_it_takes_the_one_before(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, name: str
) -> None:
    whole = run(tiny, workshop, tmp_path / "whole", reg="ewc", steps=4, settings=EVERY)

    def work() -> None:
        # The third checkpoint: its file is cut in half, as a kill leaves it, and nothing after it is written.
        from habilis.trainer.training import checkpoints, loop

        def seal(folder: Path, note: Any) -> None:
            checkpoints.seal(folder, note)
            if folder.name == "checkpoint-3":
                order = ["trained.safetensors", "optimizer.pt", "trainer_state.json", "habilis.json"]
                for later in order[order.index(name) + 1 :]:
                    (folder / later).unlink(missing_ok=True)
                file = folder / name
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
                die()

        loop.seal = seal
        run(tiny, workshop, tmp_path / "half", reg="ewc", steps=4, settings=EVERY)

    assert in_child(work) == -signal.SIGKILL
    assert (tmp_path / "half" / "checkpoint-3" / name).exists()
    seen: list[int] = []
    rest = run(
        tiny,
        workshop,
        tmp_path / "half",
        reg="ewc",
        steps=4,
        settings=EVERY,
        progress=steps_of(seen),
    )
    assert seen == [3, 4]
    same(whole, rest)


def test_a_checkpoint_that_a_disk_changed_is_passed_over(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    whole = run(tiny, workshop, tmp_path / "whole", steps=4, settings=EVERY)
    dying = dying_at(4)
    in_child(lambda: run(tiny, workshop, tmp_path / "half", steps=4, settings=EVERY, progress=dying))
    folders = sorted(p.name for p in (tmp_path / "half").glob("checkpoint-*"))
    assert folders == ["checkpoint-2", "checkpoint-3"]  # two are kept
    file = tmp_path / "half" / "checkpoint-3" / "trained.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    seen: list[int] = []
    rest = run(tiny, workshop, tmp_path / "half", steps=4, settings=EVERY, progress=steps_of(seen))
    assert seen == [3, 4]
    same(whole, rest)


def test_a_full_disk_is_said_and_the_training_goes_on_when_there_is_room(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the full disk: the same writes fail, in the same libraries."""
    whole = run(tiny, workshop, tmp_path / "whole", steps=3, settings=EVERY)

    def work() -> None:
        def full(phase: str, step: int, steps: int, loss: float) -> None:
            if step == 2:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        try:
            run(tiny, workshop, tmp_path / "half", steps=3, settings=EVERY, progress=full)
        except ModelError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            (tmp_path / "said").write_text(str(error))

    assert in_child(work) == 0
    said = (tmp_path / "said").read_text()
    assert "cannot write" in said
    assert "MiB are free there" in said
    assert "free some space" in said
    seen: list[int] = []
    rest = run(tiny, workshop, tmp_path / "half", steps=3, settings=EVERY, progress=steps_of(seen))
    assert seen == [2, 3]
    same(whole, rest)


def test_no_room_is_said_before_anything_is_trained(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ModelError, match=r"up to [\d.]+ MiB are to be written .* [\d.]+ MiB are free; free some"):
        run(tiny, workshop, tmp_path / "x", steps=1)
    assert not (tmp_path / "x").exists()


def test_a_killed_fisher_goes_on_where_it_was_with_the_same_numbers(tiny: BaseModel, tmp_path: Path) -> None:
    ids = torch.randint(1, 257, (12, 24), generator=torch.Generator().manual_seed(1))
    whole = _fisher(tiny, ids, tmp_path / "whole.safetensors", None)
    cache = tmp_path / "f.safetensors"
    dying = dying_at(10)
    assert in_child(lambda: _fisher(tiny, ids, cache, dying)) == -signal.SIGKILL
    assert Fisher.load(tmp_path / "f.safetensors.partial").count == 8
    seen: list[int] = []
    rest = _fisher(tiny, ids, cache, steps_of(seen))
    assert seen == [9, 10, 11, 12]
    for name, tensor in whole.diagonal.items():
        torch.testing.assert_close(rest.diagonal[name], tensor, rtol=0, atol=0)
    (tmp_path / "f.safetensors.partial").write_bytes(b"half")  # of another kill, in a worse moment
    cache.unlink()
    assert _fisher(tiny, ids, cache, None).loss == whole.loss


def _fisher(tiny: BaseModel, ids: Any, cache: Path, progress: Any) -> Fisher:
    from habilis.trainer.base import load_model

    return diagonal_fisher(
        load_model(tiny.path)[0], ids, batch=1, cache=cache, progress=progress, model_fingerprint="m"
    )


def test_two_processes_do_what_one_does_and_only_the_first_writes(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    """DDP over gloo on the CPU, in the environment that ``accelerate launch`` and ``torchrun`` make."""
    settings = replace(SETTINGS, strength=100.0)
    alone = run(tiny, workshop, tmp_path / "one", reg="ewc", steps=3, settings=settings)
    port = str(20000 + os.getpid() % 20000)

    def work(rank: int) -> None:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
        about = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
        os.environ.update({k: str(v) for k, v in about.items()}, MASTER_ADDR="127.0.0.1", ACCELERATE_USE_CPU="true")
        seen: list[str] = []
        if rank == 1:  # what it opened for writing is told
            import sys

            def watch(event: str, args: Any) -> None:
                if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
                    seen.append(str(args[0]))

            sys.addaudithook(watch)
        found = run(tiny, workshop, tmp_path / "two", reg="ewc", steps=3, settings=settings)
        assert [s for s in seen if str(tmp_path) in s] == []
        weights = {n: t.tolist() for n, t in adapter(found).items()}
        (tmp_path / f"{rank}.json").write_text(json.dumps([dict(found.figures), weights]))

    children = [multiprocessing.get_context("fork").Process(target=work, args=(rank,)) for rank in (0, 1)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first[1] == second[1]
    assert first[0]["processes"] == 2
    assert first[0]["loss_first"] == pytest.approx(alone.figures["loss_first"], rel=1e-6)
    assert first[0]["loss_last"] == pytest.approx(alone.figures["loss_last"], rel=1e-5)
    assert first[0]["drift"]["q"] == pytest.approx(alone.figures["drift"]["q"], rel=1e-3)
    for name, tensor in adapter(alone).items():
        torch.testing.assert_close(torch.tensor(first[1][name]), tensor, rtol=0, atol=1e-4)


def launcher(folder: Path, text: str) -> tuple[str, ...]:
    script = folder / "launcher.sh"
    script.write_text(text)
    return ("sh", str(script))


def test_what_a_launcher_has_started_ends_with_the_distillation(tiny: BaseModel, tmp_path: Path) -> None:
    starts = f"""sleep 300 &
echo $! > {tmp_path}/started
echo 'habilis-progress ["train", 1, 2, 0.5]'
wait
"""

    def progress(phase: str, step: int, steps: int, loss: float) -> None:
        if phase == "train":
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        go(sums(), tmp_path / "x", tiny, options={"launcher": launcher(tmp_path, starts)}, progress=progress)
    started = Path("/proc", (tmp_path / "started").read_text().strip(), "stat")
    until = time.monotonic() + 10
    while (running := started.exists() and started.read_text().split()[2] not in "ZX") and time.monotonic() < until:
        time.sleep(0.01)
    assert not running


def test_a_job_has_nothing_of_one_that_was_cut_short_before(tiny: BaseModel, tmp_path: Path) -> None:
    first = go(sums(), tmp_path / "one", tiny)
    assert (first.path / "running.fisher").exists()
    fails = launcher(tmp_path, "exit 1")
    for after, there in ((first.path, True), (None, False)):
        with pytest.raises(ModelError, match="ended with 1"):
            go(sums(), tmp_path / "two", tiny, options={"launcher": fails, "after": after})
        assert bool(list(tmp_path.glob("two.*.job/running.safetensors"))) is there
