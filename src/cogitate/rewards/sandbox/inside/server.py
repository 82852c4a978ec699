"""The fork server: a Python that has started, and from which the process of each program is forked.

It holds no problem, test or result: a request is five descriptors and the size of a disk, and orders and answers go through
the descriptors, past the server. The forked process is the first one of new pid, mount, network, ipc and uts namespaces. It
gives up what the server may do beyond a process that bubblewrap has just started, and goes on as such a one does.

Executed from its compiled code by the bootstrap in `forking/server.py`, never imported here. What it imports is gone before a
program runs, but for `resource`, which the guest imports. It has `_ctypes` without `ctypes`, which would import much more.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False, disallow-any-generics=False

import _ctypes
import _socket
import posix
import resource  # noqa: F401 - the guest's
import sys

NEW_NAMESPACES = 0x6C020000  # CLONE_NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET
CHILD_SIGNAL = 17
MOUNT_READ_ONLY, MOUNT_NO_SETUID, MOUNT_NO_DEVICES, MOUNT_NO_PROGRAMS, MOUNT_AGAIN = 1, 2, 4, 8, 32 | 4096
SET_SECCOMP, DROP_FROM_BOUNDING_SET, SET_NO_NEW_PRIVILEGES, SECCOMP_FILTER = 22, 24, 38, 2
CAPABILITY_VERSION = 0x20080522
OWN_CAPABILITIES = (21, 8)  # SYS_ADMIN, SETPCAP: what the server has and a program's process has not
OWN_MODULES = ("_ctypes", "_socket")
OWN_NAMES = ("code", "server")  # of the bootstrap
CALL_FLAGS = 1 | 4 | 8  # a C function, called without releasing the interpreter's lock, whose errno is kept


def serve(link_descriptor, settings):
    """Answer requests until the host closes its end. Returns in the forked process only: the channel of its orders."""
    posix.dup2(link_descriptor, 3)
    posix.closerange(4, max(map(int, posix.listdir("/proc/self/fd"))) + 1)
    link = _socket.socket(fileno=3)
    libc = Library()
    while True:
        request, ancillary, _, _ = link.recvmsg(8, _socket.CMSG_SPACE(5 * 4))
        if not request:
            posix._exit(0)
        ends = ancillary[0][2]
        ends = [int.from_bytes(ends[place : place + 4], sys.byteorder) for place in range(0, len(ends), 4)]
        child = libc.call("syscall", settings["clone"], NEW_NAMESPACES | CHILD_SIGNAL, 0, 0, 0, 0)
        if child == 0:
            link.detach()
            become_first_process(libc, ends, int.from_bytes(request, "little"), settings)
            forget_the_server()
            return open(3, "rb", closefd=False)
        for end in ends:
            posix.close(end)
        handle = posix.pidfd_open(child)
        link.sendmsg([b"started"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handle.to_bytes(4, sys.byteorder))])
        posix.close(handle)
        if not link.recv(8):  # until the host has seen the end: no other process can get its id before that
            posix._exit(0)
        _, status, spent = posix.wait4(child, 0)
        link.send(status.to_bytes(8, "little") + int((spent.ru_utime + spent.ru_stime) * 1e6).to_bytes(8, "little"))


def become_first_process(libc, ends, disk_bytes, settings):
    """Be what bubblewrap starts, with a file system of its own, its five descriptors and no way to the server."""
    posix.setsid()  # a signal to its process group must not reach the server
    for target, end in enumerate(ends):  # each is above its target, and was received in ascending order
        posix.dup2(end, target)
    posix.closerange(5, 256)
    safe = MOUNT_NO_SETUID | MOUNT_NO_DEVICES
    unwritable = MOUNT_NO_SETUID | MOUNT_NO_PROGRAMS | MOUNT_READ_ONLY
    libc.call("mount", b"tmpfs", b"/tmp", b"tmpfs", safe, b"mode=1777,size=%d" % disk_bytes)
    libc.call("mount", b"tmpfs", b"/dev/shm", b"tmpfs", safe, b"mode=1777,size=%d" % settings["shared_memory_bytes"])
    libc.call("mount", b"proc", b"/proc", b"proc", unwritable | MOUNT_NO_DEVICES, None)
    libc.call("mount", None, b"/dev/pts", None, unwritable | MOUNT_AGAIN, None)  # it is the server's; terminals can be made
    posix.chdir("/tmp")
    for capability in OWN_CAPABILITIES:
        libc.call("prctl", DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
    kept = settings["capabilities"].to_bytes(4, sys.byteorder)
    header = CAPABILITY_VERSION.to_bytes(4, sys.byteorder) + bytes(4)
    libc.call("capset", header, kept + kept + bytes(16))  # effective, permitted, none inheritable; none above the 31st
    libc.call("prctl", SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    program = FilterProgram(len(settings["filter"]) // 8, settings["filter"])
    libc.call("prctl", SET_SECCOMP, SECCOMP_FILTER, _ctypes.byref(program), 0, 0)


def forget_the_server():
    """A program finds the modules and names of a process that was started for it alone."""
    for name in OWN_MODULES:
        del sys.modules[name]
    for name in OWN_NAMES:
        del sys.modules["__main__"].__dict__[name]


class Library:
    """The C library of this process."""

    def __init__(self):
        self._handle = _ctypes.dlopen(None, 0)  # by this name `_ctypes` looks for it

    def call(self, name, *arguments):
        """A call that must succeed: a program is never started less confined than promised."""
        result = Function((name, self))(*arguments)
        if result < 0:
            error = _ctypes.get_errno()
            raise OSError(error, f"{name}: {posix.strerror(error)}")
        return result


class Int(_ctypes._SimpleCData):
    _type_ = "i"


class UnsignedShort(_ctypes._SimpleCData):
    _type_ = "H"


class Bytes(_ctypes._SimpleCData):
    _type_ = "z"


class Function(_ctypes.CFuncPtr):
    _flags_ = CALL_FLAGS
    _restype_ = Int


class FilterProgram(_ctypes.Structure):
    _fields_ = (("length", UnsignedShort), ("code", Bytes))
