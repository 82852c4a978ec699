"""How a process without namespaces confines itself: the guest of the second level, from this source, and grader workers.

As root the work is split: what root alone can open (an interpreter under a closed home) is opened before the change of
user, and imports go through those descriptors afterwards; Landlock judges the files themselves, whatever path led there.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False

import ctypes
import posix
import sys

LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446  # the same on every processor
VERSION_FLAG, RULE_PATH_BENEATH = 1, 1
WRITE_FILE, READ_FILE, READ_DIR, MAKE_REGULAR, TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 14
RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
NETWORK_RIGHTS, SCOPES = 0b11, 0b11  # TCP bind and connect; abstract sockets and signals
SET_PARENT_DEATH_SIGNAL, SET_SECCOMP, SET_NO_NEW_PRIVILEGES, SECCOMP_FILTER = 1, 22, 38, 2
KILL = 9

libc = ctypes.CDLL(None, use_errno=True)


def prepare(orders):
    """Everything that needs the starting user's rights. Returns the Landlock rule set, or None where none is asked for."""
    ruleset = None
    if orders["landlock"] is not None:
        ruleset = make_ruleset(orders["landlock"])
    if orders["uid"] is not None:
        import_through_descriptors(orders["library"])
    if orders["packages"]:
        sys.meta_path.append(NamedPackages(orders["packages"], through_descriptors=orders["uid"] is not None))
    return ruleset


def restrict(orders, ruleset):
    """The irrevocable part."""
    call(libc.prctl, SET_PARENT_DEATH_SIGNAL, KILL, 0, 0, 0)
    if posix.getppid() != orders["parent"]:
        posix._exit(1)
    call(libc.prctl, SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if ruleset is not None:
        call(libc.syscall, LANDLOCK_RESTRICT_SELF, ruleset, 0)
        posix.close(ruleset)
    if orders["seccomp"] is not None:
        install_filter(orders["seccomp"])


def make_ruleset(rules):
    """Files that may be read, and the one directory that may be written."""
    version = call(libc.syscall, LANDLOCK_CREATE_RULESET, None, 0, VERSION_FLAG)
    rights = RIGHTS_BY_VERSION[min(version, 5)]
    fields = [rights]
    if version >= 4:
        fields.append(NETWORK_RIGHTS)
    if version >= 6:
        fields.append(SCOPES)
    attributes = (ctypes.c_uint64 * len(fields))(*fields)
    ruleset = call(libc.syscall, LANDLOCK_CREATE_RULESET, attributes, ctypes.sizeof(attributes), 0)
    for path, wanted in rules:
        allowed = {
            "read": READ_FILE,
            "list": READ_DIR,
            "tree": READ_FILE | READ_DIR,
            "device": READ_FILE | WRITE_FILE,
            "work": READ_FILE | READ_DIR | WRITE_FILE | MAKE_REGULAR | TRUNCATE,
        }[wanted]
        add_rule(ruleset, path, allowed & rights)
    return ruleset


def add_rule(ruleset, path, rights):
    class PathBeneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("rights", ctypes.c_uint64), ("parent", ctypes.c_int32)]

    descriptor = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
    try:
        call(libc.syscall, LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(PathBeneath(rights, descriptor)), 0)
    finally:
        posix.close(descriptor)


def import_through_descriptors(library):
    """Let imports of the standard library find their files by open directories, since the way there will be closed."""
    root = descriptor_path(library)
    sys.path[:] = [root, descriptor_path(library + "/lib-dynload")]
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        places = getattr(module, "__path__", None)
        if isinstance(places, list):
            places[:] = [place.replace(library, root, 1) for place in places]


class NamedPackages:
    """Finds the packages that were named, one directory each, and nothing that lies beside them."""

    def __init__(self, packages, *, through_descriptors):
        self.places = {path.rpartition("/")[2]: descriptor_path(path) if through_descriptors else path for path in packages}

    def find_spec(self, name, path=None, target=None):
        place = self.places.get(name)
        if place is None:
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, place + "/__init__.py", submodule_search_locations=[place])


def descriptor_path(directory):
    return f"/proc/self/fd/{posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY)}"


def install_filter(code):
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]

    program = Program(len(code) // 8, code)
    call(libc.prctl, SET_SECCOMP, SECCOMP_FILTER, ctypes.byref(program), 0, 0)


def call(function, *arguments):
    """A C call that must succeed: a program is never started less confined than promised."""
    result = function(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, posix.strerror(error), str(arguments[0]))
    return result
