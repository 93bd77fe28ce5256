"""The attacks: programs that do harm where nothing holds them, in families, each with a control that shows it.

A payload is the body of ``main``. It gets its modules by walking past the import guard, for the guard is a convenience
and not the wall. `Payload.succeeded` says whether its harm was done. The control is the same payload (or ``control``)
run without confinement, or with its limit lifted (``free``), and must succeed: so no attack is one that could never
work.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from habilis.core import Program, RunLimits, Trajectory

PRELUDE = """
import json
_load = json.codecs.builtins.__import__
os, sys, ctypes, socket, signal, struct = map(_load, ("os", "sys", "ctypes", "socket", "signal", "struct"))
libc = ctypes.CDLL(None, use_errno=True)
def main(**given):
    globals().update(given)
"""
FIRST = PRELUDE.count("\n") + 1  # the line of a program's source on which a body begins
TIGHT = RunLimits(seconds=5, memory_mb=256)
NONE = RunLimits(**dict.fromkeys(f.name for f in fields(RunLimits)))


def harmed(t: Trajectory) -> bool:
    return t.returned == "harm"


def held_the_host(t: Trajectory) -> bool:
    return t.seconds > 0.8


def outlived_its_processor_time(t: Trajectory) -> bool:
    return t.error is None or "cpu_seconds=1" not in t.error.message


def flooded(t: Trajectory) -> bool:
    return len(t.printed) > 100_000


def acted(t: Trajectory) -> bool:
    return bool(t.steps or t.tape) or t.returned == "accepted"


@dataclass(frozen=True)
class Payload:
    family: str
    name: str
    body: str
    limits: RunLimits = TIGHT
    free: RunLimits = field(default_factory=lambda: replace(NONE, seconds=10.0))
    succeeded: Callable[[Trajectory], bool] = harmed
    control: str | None = None
    confined_control: bool = False  # the control is about a limit or the protocol, so it is made under confinement too

    def program(self, body: str | None = None) -> Program:
        lines = (self.body if body is None else body).strip("\n").split("\n")
        return Program("main", PRELUDE + "".join(f"    {line}\n" for line in lines))


def _family(family: str, bodies: Mapping[str, str], **options: Any) -> list[Payload]:
    return [Payload(family, name, body, **options) for name, body in bodies.items()]


# ---- time: the host waits no longer than the limit, whatever the program does

TIME = _family(
    "time",
    {
        "loop": "while True: pass",
        "loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "loop with every signal ignored": (
            "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except Exception: pass\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"
        ),
        "loop in C": "return 9**9**8 % 7",
        "regular expression": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
        "sleep in the kernel": "libc.sleep(60)",
        "a message that never ends": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E()",
        "a name that never ends": "class T(type):\n    @property\n    def __name__(self):\n        while True: pass\n"
        "class E(Exception, metaclass=T): pass\nraise E()",
        "a value that never ends": "class D(dict):\n    def items(self):\n        while True: pass\nreturn D(a=1)",
        "wait for the host": "os.read(3, 10)",
        "steps that do nothing": "while True: world.take('nothing') if False else world.observe()",
        "sorting that never ends": (
            "class C:\n    def __lt__(self, other):\n        while True: pass\nreturn sorted([C(), C()])"
        ),
        "a finaliser that never ends": "class F:\n    def __del__(self):\n        while True: pass\nF()\nreturn 1",
        "a generator that never ends": "import itertools\nreturn sum(1 for _ in itertools.count())",
    },
    limits=RunLimits(seconds=0.3, memory_mb=256),
    free=replace(NONE, seconds=1.0),
    succeeded=held_the_host,
)
TIME += [
    Payload(
        "time",
        "processor time alone",
        "while True: pass",
        limits=replace(NONE, cpu_seconds=1, seconds=20.0),
        free=replace(NONE, seconds=0.5),
        succeeded=outlived_its_processor_time,
    ),
    Payload(
        "time",
        "processor time, with its signal ignored",
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        limits=replace(NONE, cpu_seconds=1, seconds=20.0),
        free=replace(NONE, seconds=0.5),
        succeeded=outlived_its_processor_time,
    ),
    Payload(
        "time",
        "neither steps nor ends",
        "world.add('oak')\nwhile True: pass",
        limits=replace(NONE, idle_seconds=0.3, seconds=5.0),
        free=replace(NONE, seconds=1.0),
        succeeded=held_the_host,
    ),
]

# ---- memory

MEMORY = _family(
    "memory",
    {
        "one large block": "bytearray(1 << 30)\nreturn 'harm'",
        "many blocks": "x = [bytearray(1 << 24) for _ in range(40)]\nreturn 'harm'",
        "a long text": "return 'harm' if len('x' * (1 << 30)) else 0",
        "swallowed errors": (
            "x, lost = [], 0\nfor _ in range(300):\n    try: x.append(bytearray(1 << 21))\n"
            "    except MemoryError: lost += 1\nreturn 'held' if lost else 'harm'"
        ),
        "a mapping of its own": "_load('mmap').mmap(-1, 1 << 30).write(b'x')\nreturn 'harm'",
        "a mapping through libc": (
            "libc.mmap.restype = ctypes.c_void_p\n"
            "p = libc.mmap(None, ctypes.c_size_t(1 << 30), 3, 0x22, -1, ctypes.c_long(0))\n"
            "return 'held' if p in (None, 2**64 - 1) else 'harm'"
        ),
        "nested lists": "x = []\nfor _ in range(5_000_000): x = [x]\nreturn 'harm'",
        "a big number": "return 'harm' if (1 << (1 << 33)) else 0",
        "locked memory": "return 'harm' if libc.mlockall(1) == 0 else 'held'",
        "deep recursion": (
            "sys.setrecursionlimit(10**9)\nseen = [0]\ndef f():\n    seen[0] += 1\n"
            "    if seen[0] < 3000: f()\nf()\nreturn 'harm' if seen[0] == 3000 and bytearray(1 << 28) else 0"
        ),
    },
)

# ---- processes

PROCESSES = _family(
    "processes",
    {
        "fork": "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\nreturn 'harm'",
        "fork until nothing is left": (
            "pids = []\nfor _ in range(20):\n    pid = os.fork()\n    if pid == 0: os._exit(0)\n    pids.append(pid)\n"
            "return 'harm'"
        ),
        "vfork and run a command": "return 'harm' if os.posix_spawn('/bin/true', ['true'], {}) else 'held'",
        "a thread": "_load('_thread').start_new_thread(int, ())\nreturn 'harm'",
        "a command": "assert os.system('true') == 0\nreturn 'harm'",
        "a subprocess": "_load('subprocess').run([sys.executable, '-c', ''], check=True)\nreturn 'harm'",
        "become another program": (
            "r, w = os.pipe()\nos.write(w, b'x')\nos.dup2(r, 0)\n"
            "os.execv('/bin/sh', ['sh', '-c', 'printf \\'[\"done\",\"harm\"]\\' >&3'])"
        ),
        "signal another process": "os.kill(victim, 0)\nreturn 'harm'",
        "end another process": "os.kill(victim, signal.SIGCONT)\nreturn 'harm'",
        "signal the worker": "os.kill(os.getppid(), 0)\nreturn 'harm'",
        "signal all": "os.kill(-1, 0)\nreturn 'harm'",
        "signal its group": "os.killpg(0, 0)\nreturn 'harm'",
        "signal by queue": "return 'harm' if libc.sigqueue(os.getpid(), 0, 0) == 0 else 'held'",
        "leave its session": "os.setpriority(os.PRIO_PROCESS, 0, 5)\nreturn 'harm'",
        "choose a processor": "os.sched_setaffinity(0, {0})\nreturn 'harm'",
        "ask how it is scheduled": "os.sched_getscheduler(os.getppid())\nreturn 'harm'",
        "raise its limits": "_load('resource').setrlimit(7, (32, 32))\nreturn 'harm'",
        "drop its tie to the worker": "assert libc.prctl(1, 0, 0, 0, 0) == 0\nreturn 'harm'",
        "be dumpable again": "assert libc.prctl(4, 1, 0, 0, 0) == 0\nreturn 'harm'",
        "change its name": "assert libc.prctl(15, b'innocent', 0, 0, 0) == 0\nreturn 'harm'",
        "an alarm": "signal.setitimer(signal.ITIMER_REAL, 100)\nreturn 'harm'",
    },
)
# An ignored failure of `kill(self)` would pass for one: the process is still there to say so.
PROCESSES.append(Payload("processes", "signal itself", "os.kill(os.getpid(), 0)\nreturn 'harm'"))

# ---- files

FILES = _family(
    "files",
    {
        "read": "assert 'canary' in open(secret).read()\nreturn 'harm'",
        "read through libc": (
            "fd = libc.open(secret.encode(), 0)\nassert fd >= 0 and b'canary' in os.read(fd, 99)\nreturn 'harm'"
        ),
        "read by way of io": "_load('_io').FileIO(secret).read()\nreturn 'harm'",
        "read by way of a loader": "_load('linecache').getline(secret, 1) or 1/0\nreturn 'harm'",
        "look whether it is there": "os.stat(secret)\nreturn 'harm'",
        "look by access": "assert os.access(secret, os.R_OK)\nreturn 'harm'",
        "follow a link": "assert os.readlink('/proc/self/cwd') == '/'\nreturn 'harm'",
        "list a folder": "assert os.listdir('/')\nreturn 'harm'",
        "write": "open(secret + '.new', 'w').write('x')\nreturn 'harm'",
        "write where all may": (
            "open('/dev/shm/habilis-attack', 'w').close()\nos.unlink('/dev/shm/habilis-attack')\nreturn 'harm'"
        ),
        "link": "os.symlink(secret, secret + '.link')\nreturn 'harm'",
        "link hard": "os.link(secret, secret + '.hard')\nreturn 'harm'",
        "rename": "os.rename(secret, secret + '.moved')\nos.rename(secret + '.moved', secret)\nreturn 'harm'",
        "delete": "open(secret + '.tmp', 'w').close()\nos.unlink(secret + '.tmp')\nreturn 'harm'",
        "change its mode": "os.chmod(secret, 0o644)\nreturn 'harm'",
        "change its times": "os.utime(secret)\nreturn 'harm'",
        "cut it": "os.truncate(secret, 11)\nreturn 'harm'",
        "make a folder": "os.mkdir(secret + '.d')\nos.rmdir(secret + '.d')\nreturn 'harm'",
        "make a node": "os.mkfifo(secret + '.fifo')\nos.unlink(secret + '.fifo')\nreturn 'harm'",
        "change directory": "os.chdir('/tmp')\nreturn 'harm'",
        "change the mask": "assert os.umask(0o22) >= 0\nreturn 'harm'",
        "the size of a file system": "os.statvfs('/')\nreturn 'harm'",
        "another process's environment": "assert open(f'/proc/{host}/environ', 'rb').read()\nreturn 'harm'",
        "another process's memory": "open(f'/proc/{host}/mem', 'rb').close()\nreturn 'harm'",
        "its own maps": "assert open('/proc/self/maps').read()\nreturn 'harm'",
        "a device": "assert os.read(os.open('/dev/zero', 0), 1)\nreturn 'harm'",
    },
)

# ---- network and IPC

NETWORK = _family(
    "network and IPC",
    {
        "connect over TCP": "socket.create_connection(('127.0.0.1', tcp), 1)\nreturn 'harm'",
        "send over UDP": (
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', udp))\nreturn 'harm'"
        ),
        "connect to a path": "socket.socket(socket.AF_UNIX).connect(path)\nreturn 'harm'",
        "connect to an abstract name": "socket.socket(socket.AF_UNIX).connect(abstract)\nreturn 'harm'",
        "listen": "socket.create_server(('127.0.0.1', 0))\nreturn 'harm'",
        "a pair of sockets": "socket.socketpair()\nreturn 'harm'",
        "a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nreturn 'harm'",
        "look up a name": "socket.getaddrinfo('localhost', 80)\nassert open('/etc/hosts').read()\nreturn 'harm'",
        "a pipe": "os.pipe()\nreturn 'harm'",
        "copy descriptors": "assert [os.dup(1) for _ in range(50)]\nreturn 'harm'",
        "send a descriptor to the host": (
            "s = socket.socket(fileno=3)\ntry: socket.send_fds(s, [b'[\"observe\"]'], [1])\nfinally: s.detach()\n"
            "assert os.read(3, 65536)\nreturn 'harm'"
        ),
        "a memory file": "os.memfd_create('x')\nreturn 'harm'",
        "an event descriptor": "os.eventfd(0)\nreturn 'harm'",
        "wait on many": "_load('select').epoll()\nreturn 'harm'",
        "shared memory": "assert libc.shmget(0, 4096, 0o1600) >= 0\nreturn 'harm'",
        "a message queue": "assert libc.msgget(0, 0o1600) >= 0\nreturn 'harm'",
        "a semaphore": "assert libc.semget(0, 1, 0o1600) >= 0\nreturn 'harm'",
        "randomness from the kernel": (
            "b = ctypes.create_string_buffer(4)\nassert libc.getrandom(b, 4, 0) == 4\nreturn 'harm'"
        ),
    },
)

# ---- kernel interfaces (x86-64 numbers): the filter answers EPERM itself; without it the kernel answers otherwise

_CALLS = {
    "clone": "56, 17, 0, 0, 0, 0",
    "clone3": "435, ctypes.create_string_buffer(88), 88",
    "ptrace": "101, 0x4206, victim, 0, 0",
    "process_vm_readv": "310, victim, 0, 0, 0, 0, 0",
    "pidfd_open": "434, victim, 0",
    "memfd_create": "319, b'x', 0",
    "io_uring_setup": "425, 1, ctypes.create_string_buffer(120)",
    "bpf": "321, 0, 0, 0",
    "unshare": "272, 0",
    "setns": "308, -1, 0",
    "keyctl": "250, 0, -3, 1",
    "add_key": "248, 0, 0, 0, 0, 0",
    "perf_event_open": "298, 0, 0, 0, 0, 0",
    "userfaultfd": "323, 1",
    "mount": "165, 0, b'/tmp', 0, 0, 0",
    "fsopen": "430, 0, 0",
    "chroot": "161, b'/nowhere'",
    "pivot_root": "155, b'/nowhere', b'/nowhere'",
    "open_by_handle_at": "304, -1, 0, 0",
    "name_to_handle_at": "303, -1, b'x', 0, 0, 0",
    "seccomp": "317, 2, 0, ctypes.byref(ctypes.c_int(0x7fff0000))",
    "landlock_create_ruleset": "444, 0, 0, 1",
    "setuid": "105, os.getuid()",
    "setgid": "106, os.getgid()",
    "capset": "126, 0, 0",
    "personality": "135, 0xffffffff",
    "timer_create": "222, 0, 0, ctypes.create_string_buffer(8)",
    "sendmsg": "46, -1, 0, 0",
    "sendto": "44, 1, b'x', 1, 0, 0, 0",
    "fcntl": "72, 1, 1, 0",
    "uname": "63, ctypes.create_string_buffer(400)",
    "sysinfo": "99, ctypes.create_string_buffer(200)",
    "prlimit of another": "302, victim, 7, 0, 0",
    "membarrier": "324, 0, 0",
    "rseq": "334, 0, 0, 0, 0",
    "an unknown number": "9999",
}
KERNEL = _family(
    "kernel interfaces",
    {
        name: (
            f"r = libc.syscall({call})\nif r == 0 and {name!r} in ('clone',): os._exit(0)\n"
            "return 'held' if (r, ctypes.get_errno()) == (-1, 1) else 'harm'"
        )
        for name, call in _CALLS.items()
        if platform.machine() == "x86_64"
    },
)
KERNEL += _family(
    "kernel interfaces",
    {
        "map executable memory": (
            "libc.mmap.restype = ctypes.c_void_p\n"
            "p = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))\n"
            "assert p not in (None, 2**64 - 1)\nreturn 'harm'"
        ),
        "make memory executable": (
            "libc.mmap.restype = ctypes.c_void_p\n"
            "p = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))\n"
            "assert libc.mprotect(ctypes.c_void_p(p), ctypes.c_size_t(4096), 5) == 0\nreturn 'harm'"
        ),
        "make code writable": (
            "a = ctypes.cast(libc.getpid, ctypes.c_void_p).value & ~4095\n"
            "assert libc.mprotect(ctypes.c_void_p(a), ctypes.c_size_t(4096), 7) == 0\nreturn 'harm'"
        ),
        "a closure of its own code": (
            "ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)()\nassert open('/proc/self/maps')\nreturn 'harm'"
        ),
    },
)
if platform.machine() == "x86_64":
    KERNEL.append(
        Payload(
            "kernel interfaces",
            "the table of another ABI",
            "libc.syscall(0x40000000 + 39)\nreturn 'harm'",
        )
    )

# ---- Python escapes: ways around the language, which lead to the wall

ESCAPES = _family(
    "Python escapes",
    {
        "walk to a loaded module": (
            "wrap = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]\n"
            "assert wrap.__init__.__globals__['system']('true') == 0\nreturn 'harm'"
        ),
        "frames of the worker": (
            "f = sys._getframe()\nwhile f.f_back: f = f.f_back\n"
            "assert f.f_globals['__builtins__']\nopen(f.f_globals['__file__'])\nreturn 'harm'"
        ),
        "garbage collector": (
            "gc = _load('gc')\ns = [o for o in gc.get_objects() if isinstance(o, socket.socket)]\n"
            "assert open(secret).read()\nreturn 'harm'"
        ),
        "write into Python's memory": (
            "n = int('7000000000')\nctypes.memset(id(n) + 24, 1, 1)\nassert n != 7 * 10**9\nopen(secret)\nreturn 'harm'"
        ),
        "a code object of its own": (
            "def f(): pass\ng = (lambda: open(secret).read()).__code__\n"
            "f.__code__ = g.replace(co_freevars=(), co_flags=g.co_flags)\nassert 'canary' in f()\nreturn 'harm'"
        ),
        "an audit hook": "sys.addaudithook(lambda *a: None)\nopen(secret)\nreturn 'harm'",
        "import from a path": (
            "sys.path.insert(0, '/usr/lib')\n"
            "assert _load('importlib').machinery.FileFinder('/').find_spec('x') is None\nopen(secret)\nreturn 'harm'"
        ),
        "an extension module": "_load('_ctypes').dlopen('libutil.so.1', 2)\nopen(secret)\nreturn 'harm'",
        "pickle": (
            "json.odd = os.system\n"
            """assert _load("pickle").loads(b"cjson\\nodd\\n(S'true'\\ntR.") == 0\nreturn 'harm'"""
        ),
        "compile and evaluate": "assert 'canary' in eval(compile('open(secret).read()', '', 'eval'))\nreturn 'harm'",
        "another interpreter": (
            "i = _load('_xxsubinterpreters')\ni.run_string(i.create(), 'open(%r)' % secret)\nreturn 'harm'"
        ),
    },
)

# ---- the protocol: what no honest worker sends

_FORGED = {
    "an unknown request": b'["set_state",[1]]',
    "an unknown action": b'["act","win",[]]',
    "a dunder action": b'["act","__class__",[]]',
    "a list as argument": b'["act","add",[["oak"]]]',
    "a fraction as argument": b'["act","add",["oak",1.5]]',
    "a truth value as argument": b'["act","add",["oak",true]]',
    "nothing as argument": b'["act","add",[null]]',
    "a huge number": b'["act","add",["oak",%d]]' % 10**30,
    "a number of ten thousand digits": b'["act","add",["oak",' + b"9" * 10_000 + b"]]",
    "a long text": b'["act","add",["' + b"a" * 2000 + b'"]]',
    "too many arguments": b'["act","pick",[' + b",".join([b"1"] * 65) + b"]]",
    "half a surrogate pair": b'["act","add",["\\ud800"]]',
    "not a number": b'["act","add",[NaN]]',
    "infinity": b'["act","add",[1e999]]',
    "a message too long": b'["act","' + b"a" * 100_000 + b'"]',
    "deep nesting": b"[" * 30_000 + b"]" * 30_000,
    "nesting hidden by texts": b'["done",' + b'["]",' * 700 + b"1" + b"]" * 700 + b"]",
    "an object": b'{"op":"act"}',
    "a pickle": b"\x80\x04\x95",
    "no text": b"\xff\xfe[",
    "an unknown tool": b'["tool","shell",["id"],{}]',
    "a tool without arguments": b'["tool","shell"]',
    "a second ready": b'["ready"]',
    "an ending out of form": b'["error","x"]',
    "an empty list": b"[]",
    "an empty packet of spaces": b"  ",
    "a trace on the live path": b'["trace",[["add",["oak"],[true,1,1]]]]',
    "a state on the live path": b'["state","0"]',
    "a batch of nothing": b'["steps",[]]',
    "a batch out of form": b'["steps",["add"]]',
    "a batch too long": b'["steps",[' + b",".join([b'["add",["a"]]'] * 1001) + b"]]",
    "a batch with an unknown action": b'["steps",[["win",[]]]]',
    "two messages in one": b'["act","add",["oak"]]["act","add",["oak"]]',
    "a comment": b'["act","add",["oak"]] // go',
}
PROTOCOL = [
    Payload(
        "protocol",
        name,
        f"os.write(3, {raw!r})\nos.read(3, 65536)\nreturn 'accepted'",
        succeeded=acted,
        # the way is open, and only the message was wrong: an honest one goes through it
        control='os.write(3, b\'["act","add",["oak"]]\')\nos.read(3, 65536)\nreturn \'accepted\'',
        confined_control=True,
    )
    for name, raw in _FORGED.items()
]

# ---- output

OUTPUT = _family(
    "output",
    {
        "print": "for _ in range(200): print('x' * 999)",
        "raw": "for _ in range(20): os.write(1, b'\\xff' * 9_999)",
        "raw errors": "for _ in range(20): os.write(2, b'\\xff' * 9_999)",
        "one long line": "sys.stdout.write('x' * 200_000)\nsys.stdout.flush()",
    },
    succeeded=flooded,
    confined_control=True,
)
OUTPUT += _family(
    "output",
    {
        "move the cursor": "print('\\x1b[2J\\x1b[H')",
        "set the title": "print('\\x1b]0;owned\\x07')",
        "turn the text around": "print('\\u202egnp.exe')",
        "ring the bell": "print('\\x07')",
        "eight-bit controls": "os.write(1, b'\\xc2\\x9b2J')",
    },
    succeeded=lambda t: any(not c.isprintable() and c != "\n" for c in t.printed),
    control="print('a new\\tcolumn')",
    confined_control=True,
)

PAYLOADS: list[Payload] = [*TIME, *MEMORY, *PROCESSES, *FILES, *NETWORK, *KERNEL, *ESCAPES, *PROTOCOL, *OUTPUT]
