"""Counts the bytecode instructions a program executes, in the guest: from its first statement to its last answer.
Loading modules of the standard library is left out; the functions of theirs that it calls are not.

A program that reaches for the counting (frames, trace functions, the garbage collector's lists, memory) is ended: audit hooks
cannot be removed. So is one that starts threads or processes, whose work would not be counted. The count is sent with a
secret that the program cannot read. Executed in the guest's own namespace, never imported here.
"""

# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821 - the names of the guest

import collections
import enum
import posix
import sys
import typing

FRAME_ATTRIBUTES = ("tb_frame", "gi_frame", "cr_frame", "ag_frame")
FORBIDDEN = (
    "sys.settrace",
    "sys.setprofile",
    "sys._current_frames",
    "sys._current_exceptions",
    "gc.get_objects",
    "gc.get_referrers",
    "gc.get_referents",
    "code.__new__",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.exec",
    "os.symlink",
    "os.link",
    "os.chdir",
    "os.fchdir",
    "subprocess.Popen",
    "_thread.start_new_thread",
)
FORBIDDEN_PREFIXES = ("ctypes.", "cpython.run_", "interpreters.", "_xxsubinterpreters.")
FORBIDDEN_IMPORTS = ("ctypes", "_ctypes", "_testcapi", "_testinternalcapi", "_xxsubinterpreters", "_interpreters")
FRAME_USERS = (collections, typing, enum)  # modules of the standard library that look at their caller's frame, and no more
TAMPERED, TOO_MANY = 99, 98  # exit codes


def serve(channel, orders):
    """Answer calls as the guest does, or run a script, with every instruction counted; at last the secret and the count."""
    write = posix.write

    def send(text: str) -> None:
        data = text.encode()
        data = len(data).to_bytes(8, "little") + data
        while data:
            data = data[write(4, data) :]

    module, given = new_module("__main__" if orders["script"] else "solution", orders["prelude"])
    read_count = start_counting(orders["instruction_limit"])
    if orders["script"]:
        run_to_end(module, orders["program"])
    else:
        answer_traced_calls(channel, module, orders["program"], given, send)
    count = read_count()
    send('{"value":["' + orders["secret"] + '",' + repr(count) + "]}")
    posix._exit(0)


def run_to_end(module, source):
    try:
        run_in(module, source)
    except SystemExit as error:
        if error.code not in (None, 0):
            posix._exit(1)
    sys.stdout.flush()


def answer_traced_calls(channel, module, source, given, send):
    """Like the guest's `answer_calls`, until an order without a name."""
    run_in(module, source)
    send('{"value":null}')
    while (order := read_message(channel))["name"] is not None:
        send('{"value":' + encode(find(module.__dict__, order["name"], given)(*order["args"], **order["kwargs"])) + "}")


def start_counting(limit):
    """Trace every frame that starts from now on, apart from the guest's own; returns a function that gives the count."""
    leave, getframe, settrace = posix._exit, sys._getframe, sys.settrace
    functions = [value for value in globals().values() if type(value) is type(serve)]
    own_code = {id(code) for code in nested_code([function.__code__ for function in functions])}
    library = posix.fspath(collections.__file__).rpartition("/collections/")[0]
    import_code = sys.modules["_frozen_importlib"]._find_and_load.__code__
    count = importing = 0

    def count_instruction(frame, event, argument):
        nonlocal count
        if event == "opcode":
            count += 1
            if count > limit:
                leave(TOO_MANY)
        return count_instruction

    def end_import(frame, event, argument):
        nonlocal importing
        importing -= event == "return"
        return end_import

    def enter_frame(frame, event, argument):
        nonlocal importing
        if frame.f_code is import_code:
            importing += 1
            return end_import
        if id(frame.f_code) in own_code or (importing and frame.f_code.co_filename.startswith((library, "<frozen "))):
            return None
        frame.f_trace = count_instruction  # before the next line: Python 3.13 looks for it there
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return count_instruction

    getframe().f_trace_opcodes = True  # Python 3.12 asks the frame that starts the tracing
    settrace(enter_frame)
    sys.addaudithook(make_guard(leave, getframe))
    return lambda: count


def nested_code(codes):
    """Code objects with those of the functions inside them; all of them live as long as this module does."""
    inner = [constant for code in codes for constant in code.co_consts if type(constant) is type(serve.__code__)]
    return codes + (nested_code(inner) if inner else [])


def make_guard(leave, getframe):
    """An audit hook that ends a program which reaches for what counts it."""
    users = [(vars(module), module.__file__) for module in FRAME_USERS]
    files = [file for _, file in users]
    busy = False

    def guard(event, arguments):
        nonlocal busy
        if busy:
            return
        if event == "sys._getframe":
            busy = True
            caller = getframe(1)
            busy = False
            if not any(caller.f_globals is names and caller.f_code.co_filename == file for names, file in users):
                leave(TAMPERED)
        elif event == "object.__getattr__":
            if arguments[1] in FRAME_ATTRIBUTES:
                leave(TAMPERED)
        elif event == "open":
            if type(arguments[0]) is not str or "proc" in arguments[0] or "/dev" in arguments[0]:
                leave(TAMPERED)
        elif event == "compile":
            if arguments[1] in files:
                leave(TAMPERED)
        elif event == "import":
            if arguments[0] in FORBIDDEN_IMPORTS:
                leave(TAMPERED)
        elif event in FORBIDDEN or event.startswith(FORBIDDEN_PREFIXES):
            leave(TAMPERED)

    return guard
