"""One stream, many listeners; none of them can stop the run."""

from __future__ import annotations

import threading

from habilis.core import Event, EventStream


def test_every_listener_hears_every_event_in_order() -> None:
    stream, first, second = EventStream(), [], []  # type: ignore[var-annotated]
    stream.subscribe(first.append)
    stream.subscribe(second.append)
    stream.emit("task_proposed", 3, text="get a stick")
    stream.emit("warning", message="low on wood")
    assert first == second
    assert first[0] == Event("task_proposed", {"text": "get a stick"}, 3)
    assert first[1] == Event("warning", {"message": "low on wood"}, None)


def test_unsubscribing_ends_it_and_may_be_repeated() -> None:
    stream, heard = EventStream(), []  # type: ignore[var-annotated]
    stop = stream.subscribe(heard.append)
    stream.emit("warning", message="1")
    stop()
    stop()
    stream.emit("warning", message="2")
    assert [e.data["message"] for e in heard] == ["1"]


def test_a_listener_that_raises_is_dropped_and_the_others_go_on() -> None:
    stream, heard, calls = EventStream(), [], []  # type: ignore[var-annotated]

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("no")

    stream.subscribe(broken)
    stream.subscribe(heard.append)
    stream.emit("warning", message="1")
    stream.emit("warning", message="2")
    assert len(heard) == 2
    assert len(calls) == 1


def test_a_listener_may_subscribe_and_unsubscribe_while_it_listens() -> None:
    stream, heard = EventStream(), []  # type: ignore[var-annotated]

    def once(event: Event) -> None:
        stop()
        stream.subscribe(heard.append)

    stop = stream.subscribe(once)
    stream.emit("warning", message="1")
    stream.emit("warning", message="2")
    assert [e.data["message"] for e in heard] == ["2"]


def test_events_from_several_threads_all_arrive() -> None:
    stream, heard = EventStream(), []  # type: ignore[var-annotated]
    stream.subscribe(heard.append)

    def work(i: int) -> None:
        for j in range(200):
            stream.emit("warning", message=f"{i}.{j}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({e.data["message"] for e in heard}) == 800


def test_data_may_be_named_like_the_parameters() -> None:
    stream, heard = EventStream(), []  # type: ignore[var-annotated]
    stream.subscribe(heard.append)
    stream.emit("task_proposed", 0, kind="achieve", iteration="x")
    assert heard[0].data == {"kind": "achieve", "iteration": "x"}
