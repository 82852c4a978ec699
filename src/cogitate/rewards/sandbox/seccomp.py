"""Seccomp filters in classic BPF: which system calls a program in the sandbox may not make (kernel: seccomp_filter.rst).

The list denies; it is written for Python programs, whose ordinary calls are many. It covers what reaches other processes,
the network, the kernel's own settings, memory that no limit counts (memfd, System V), and new namespaces. Calls newer than
the list answer ENOSYS, so that a later kernel adds nothing; `clone3`, whose flags a filter cannot read, does so too and C
libraries fall back to `clone`. Denied calls fail with EPERM: an honest program gets an exception it can read.
"""

from __future__ import annotations

import errno
import platform
import struct

LOAD_WORD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_ARGUMENTS = 0, 4, 16  # of struct seccomp_data
FIRST_UNKNOWN_CALL = 452  # the list below was drawn up with every call before this one in view
X32_CALLS = 0x40000000

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH, column of the table

CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E020080  # user, pid, network, mount, ipc, uts, cgroup and time
SET_PARENT_DEATH_SIGNAL, SIGKILL = 1, 9  # of prctl: what ends the program with its parent
SET_OWNER_COMMANDS = (8, 10, 15)  # fcntl F_SETOWN, F_SETSIG, F_SETOWN_EX: a way to send signals

_ALWAYS_DENIED = {  # name: number on x86_64 and on aarch64 (None: no such call)
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "syslog": (103, 116), "iopl": (172, None), "ioperm": (173, None),
    "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "modify_ldt": (154, None), "personality": (135, 92),
    "lookup_dcookie": (212, 18),
}  # fmt: skip
_DENIED_WHEN_ALONE = {  # denied as well where no namespace keeps the program apart from the user's other processes and files
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "kill": (62, 129),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "setsid": (112, 157), "setpgid": (109, 154), "setpriority": (141, 140),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "truncate": (76, 45),
}  # fmt: skip
_CLONE, _CLONE3, _TGKILL = (56, 220), (435, 435), (234, 131)
_PRLIMIT, _SCHED_SETAFFINITY, _FCNTL, _PRCTL = (302, 261), (203, 122), (72, 25), (157, 167)


def supported() -> bool:
    """Whether a filter can be made for this machine's processor."""
    return platform.machine() in ARCHITECTURES


def call_number(name: str) -> int:
    """The number of a denied call on this machine's processor."""
    number = {**_ALWAYS_DENIED, **_DENIED_WHEN_ALONE}[name][ARCHITECTURES[platform.machine()][1]]
    assert number is not None, name
    return number


def clone_number() -> int:
    """The number of `clone` on this machine's processor."""
    return _CLONE[ARCHITECTURES[platform.machine()][1]]


def namespaced_filter() -> bytes:
    """For a program that already has its own pid, network and mount namespaces: it may start processes."""
    column = ARCHITECTURES[platform.machine()][1]
    rules = [_deny(number) for number in _column(_ALWAYS_DENIED, column)]
    rules.append(_when(_CLONE[column], 0, JUMP_ANY_BIT, CLONE_NAMESPACES, fail_if=True))
    return _assemble(rules, column)


def server_filter() -> bytes:
    """For a process that makes namespaces and file systems for programs, and runs none."""
    column = ARCHITECTURES[platform.machine()][1]
    denied = {name: numbers for name, numbers in _ALWAYS_DENIED.items() if name != "mount"}
    return _assemble([_deny(number) for number in _column(denied, column)], column)


def alone_filter(pid: int) -> bytes:
    """For a program without namespaces: no processes at all (threads only), no signal or setting beyond its own process.

    Args:
        pid: of the process the filter is for, so that it may signal itself.
    """
    column = ARCHITECTURES[platform.machine()][1]
    rules = [_deny(number) for number in _column({**_ALWAYS_DENIED, **_DENIED_WHEN_ALONE}, column)]
    rules.append(_when(_CLONE[column], 0, JUMP_ANY_BIT, CLONE_THREAD, fail_if=False))
    rules.append(_when(_TGKILL[column], 0, JUMP_EQUAL, pid, fail_if=False))
    rules.append(_when(_PRLIMIT[column], 0, JUMP_EQUAL, 0, fail_if=False))
    rules.append(_when(_SCHED_SETAFFINITY[column], 0, JUMP_EQUAL, 0, fail_if=False))
    rules += [_when(_FCNTL[column], 1, JUMP_EQUAL, command, fail_if=True) for command in SET_OWNER_COMMANDS]
    rules.append(_keep_parent_death_signal(_PRCTL[column]))
    return _assemble(rules, column)


def _column(table: dict[str, tuple[int, int | None]], column: int) -> list[int]:
    return [number for numbers in table.values() if (number := numbers[column]) is not None]


def _assemble(rules: list[bytes], column: int) -> bytes:
    """Refuse other architectures' call tables, then the rules, then allow."""
    architecture = list(ARCHITECTURES.values())[column][0]
    head = [
        _instruction(LOAD_WORD, OFFSET_ARCHITECTURE),
        _instruction(JUMP_EQUAL, architecture, 1, 0),
        _instruction(RETURN, KILL_PROCESS),
        _instruction(LOAD_WORD, OFFSET_NUMBER),
        _instruction(JUMP_GREATER_EQUAL, X32_CALLS, 0, 1),
        _instruction(RETURN, KILL_PROCESS),
        _instruction(JUMP_GREATER_EQUAL, FIRST_UNKNOWN_CALL, 0, 1),
        _instruction(RETURN, FAIL | errno.ENOSYS),
        _instruction(JUMP_EQUAL, _CLONE3[column], 0, 1),
        _instruction(RETURN, FAIL | errno.ENOSYS),
    ]
    return b"".join([*head, *rules, _instruction(RETURN, ALLOW)])


def _deny(number: int) -> bytes:
    return _instruction(JUMP_EQUAL, number, 0, 1) + _instruction(RETURN, FAIL | errno.EPERM)


def _when(number: int, argument: int, test: int, operand: int, *, fail_if: bool) -> bytes:
    """Fail a call when the test of one argument's low word is `fail_if`; other calls pass by with the number still loaded."""
    to_failure, past_failure = (0, 1) if fail_if else (1, 0)
    return b"".join(
        [
            _instruction(JUMP_EQUAL, number, 0, 4),
            _instruction(LOAD_WORD, OFFSET_ARGUMENTS + 8 * argument),  # both supported processors are little-endian
            _instruction(test, operand, to_failure, past_failure),
            _instruction(RETURN, FAIL | errno.EPERM),
            _instruction(LOAD_WORD, OFFSET_NUMBER),
        ]
    )


def _keep_parent_death_signal(number: int) -> bytes:
    """prctl(PR_SET_PDEATHSIG, anything but SIGKILL) fails: a program ends with the process that started it."""
    return b"".join(
        [
            _instruction(JUMP_EQUAL, number, 0, 6),
            _instruction(LOAD_WORD, OFFSET_ARGUMENTS),
            _instruction(JUMP_EQUAL, SET_PARENT_DEATH_SIGNAL, 0, 3),
            _instruction(LOAD_WORD, OFFSET_ARGUMENTS + 8),
            _instruction(JUMP_EQUAL, SIGKILL, 1, 0),
            _instruction(RETURN, FAIL | errno.EPERM),
            _instruction(LOAD_WORD, OFFSET_NUMBER),
        ]
    )


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
