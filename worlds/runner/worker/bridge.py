"""Joins a worker in a container to the host: packets, output and signals as frames over standard input and output.

A frame is a kind (one byte), a length (four bytes, little end first), and so many bytes. The host sends orders and
packets ("P"), signals ("S"), and that it is done with the run ("N"); it hears what the features answered ("H"), packets
("P"; an empty one says that the run's process has ended), output ("O"), the interpreter's own words ("D"), that a fork
is ready ("R"), and how the last run ended ("E"). It ends when standard input does. Standard library only.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from frames import HEADER, NEXT  # type: ignore[import-not-found]

_HELD = 1 << 18  # bytes that wait for the host; while there are more, the run is not listened to
_UNREAD = 1 << 24  # bytes that the run may leave unread: two of the largest results of tools
_READ = 65_536


class Bridge:
    """Between one server and the host."""

    def __init__(self, python: list[str], config: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.path.dirname(os.path.abspath(__file__))
        command = [*python, os.path.join(here, "server.py"), f"{theirs.fileno():06d}", "-00001"]
        self._server = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        theirs.close()
        self._control.send(b"." + config.encode())
        self._in, self._out = bytearray(), bytearray()
        self._spares: list[list[int]] = []
        self._run: dict[bytes, int] | None = (
            None  # the ends of the run that the host has, by kind; closed ones are gone
        )
        self._waiting: list[bytes] = []  # packets that the run has not read yet, and how many bytes they are
        self._unread = 0

    def serve(self) -> None:
        hello = self._control.recv(8192)
        if not hello:
            sys.exit("the server did not start")
        self._tell(b"H", hello)
        os.set_blocking(0, False)
        os.set_blocking(1, False)
        while True:
            poll = select.poll()
            poll.register(0, select.POLLIN)
            poll.register(self._control, select.POLLIN)
            if self._out:
                poll.register(1, select.POLLOUT)
            ends = {fd: kind for kind, fd in (self._run or {}).items()}
            for fd, kind in ends.items():
                wanted = select.POLLIN if len(self._out) < _HELD else 0
                poll.register(fd, wanted | (select.POLLOUT if kind == b"P" and self._waiting else 0))
            for fd, event in poll.poll():
                if fd == 0:
                    self._from_host()
                elif fd == 1:
                    self._to_host()
                elif fd == self._control.fileno():
                    self._from_server()
                elif self._run is not None and self._run.get(ends[fd]) == fd:
                    if event & select.POLLOUT:
                        self._to_run(fd)
                    if event & ~select.POLLOUT and len(self._out) < _HELD:
                        self._from_run(ends[fd], fd)

    def _tell(self, kind: bytes, data: bytes) -> None:
        self._out += HEADER.pack(kind, len(data)) + data

    def _to_host(self) -> None:
        try:
            del self._out[: os.write(1, self._out[:_READ])]
        except BlockingIOError:
            pass

    def _from_host(self) -> None:
        try:
            data = os.read(0, _READ)
        except BlockingIOError:
            return
        if not data:
            self._server.kill()
            os._exit(0)
        self._in += data
        while len(self._in) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._in)
            if len(self._in) < HEADER.size + size:
                return
            body = bytes(self._in[HEADER.size : HEADER.size + size])
            del self._in[: HEADER.size + size]
            if kind == b"P":
                self._waiting.append(body)
                self._unread += size
                if self._unread > _UNREAD:  # the program asks and asks, and reads no answer
                    self._control.send(bytes([9]))
            elif kind == b"S":
                self._control.send(body)
            elif kind == b"N":
                self._leave()

    def _from_server(self) -> None:
        data, fds, _, _ = socket.recv_fds(self._control, 64, 8)
        if len(fds) >= 4:
            self._spares.append(fds)
            self._enter()
        elif data:
            self._tell(b"E", data)
        else:  # the server has ended, and with it all that this is for
            os.set_blocking(1, True)
            while self._out:
                del self._out[: os.write(1, self._out)]
            os._exit(1)

    def _enter(self) -> None:
        """Join the next fork, if the host has none."""
        if self._run is not None or not self._spares:
            return
        rpc, out, dump, *rest = self._spares.pop(0)
        for fd in rest:
            os.close(fd)
        self._run = {b"P": rpc, b"O": out, b"D": dump}
        for fd in self._run.values():
            os.set_blocking(fd, False)
        self._tell(b"R", b"")

    def _leave(self) -> None:
        for fd in (self._run or {}).values():
            os.close(fd)
        self._run, self._waiting, self._unread = None, [], 0
        self._control.send(NEXT)
        self._enter()

    def _to_run(self, fd: int) -> None:
        while self._waiting:
            try:
                os.write(fd, self._waiting[0])
            except BlockingIOError:
                return
            except OSError:  # it has ended
                self._waiting, self._unread = [], 0
                return
            self._unread -= len(self._waiting.pop(0))

    def _from_run(self, kind: bytes, fd: int) -> None:
        assert self._run is not None  # it is one of its ends
        try:
            data = os.read(fd, _READ + 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data or kind == b"P":
            self._tell(kind, data)
        if not data:
            os.close(self._run.pop(kind))


if __name__ == "__main__":
    Bridge(json.loads(sys.argv[1]), sys.argv[2]).serve()
