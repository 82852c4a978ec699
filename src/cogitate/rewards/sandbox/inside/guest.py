"""What runs inside the sandbox before and around a program. Executed there from its compiled code, never imported here.

It gets its orders through descriptor 3 (length, then marshal: data of ours) and answers through descriptor 4 (length, then
JSON of tagged plain data: see `sandbox_data`). It imports only what is built into the interpreter, because every program
pays for its start. Its own copy of the builtins keeps a program that patches them from breaking it by accident; a program
that breaks it on purpose only spoils its own answers, since nothing in here knows what is expected.
"""

# mypy: disallow-untyped-defs=False, check-untyped-defs=False

import marshal
import posix
import sys
from _json import encode_basestring_ascii
from _signal import SIG_DFL, default_int_handler, signal  # type: ignore[import-not-found]  # built in, without stubs

NODE_LIMIT = 1_000_000  # values in one answer
DEPTH_LIMIT = 150
ERROR_LENGTH = 300
HANDLERS = ((1, SIG_DFL), (2, default_int_handler), (3, SIG_DFL))  # of SIGHUP, SIGINT and SIGQUIT in a Python of a terminal


def main(channel):
    """Confine this process, say so, then run the program as a script or answer calls to its functions."""
    orders = read_message(channel)
    confine(orders)
    for number, handler in HANDLERS:  # nohup, or a shell that has started us in the background, has us ignore them
        signal(number, handler)
    sys.path[:] = [entry for entry in sys.path if entry] + orders["path"]
    sys.argv = ["program.py"]
    for name in ("guest", "channel"):  # of the bootstrap: a program should not find us in __main__
        sys.modules["__main__"].__dict__.pop(name, None)
    sys.modules["builtins"].exit = sys.modules["builtins"].quit = sys.exit  # what `site`, which is too slow, would add
    sys.set_int_max_str_digits(0)  # the time limit bounds what long numbers cost
    answer('"ready"')
    if orders["mode"] == "script":
        posix.close(3)
        posix.close(4)
        run_in(new_module("__main__", orders["prelude"])[0], orders["source"])  # the interpreter's ordinary end is its end
    elif orders["mode"] == "calls":
        answer_calls(channel, orders)
    else:
        exec(orders["source"], globals())
        globals()["serve"](channel, orders)


def confine(orders):
    """Limits, then an unprivileged user, then (where no outer tool did it) Landlock and seccomp."""
    import resource

    for kind, soft, hard in orders["rlimits"]:
        resource.setrlimit(kind, (soft, hard))
    if orders["init"]:
        split_from_init()
    own = None
    if orders["confine_source"] is not None:
        own = {"__builtins__": __builtins__}
        exec(orders["confine_source"], own)
        ruleset = own["prepare"](orders)
    if orders["uid"] is not None:
        posix.setgroups([])
        posix.setresgid(orders["uid"], orders["uid"], orders["uid"])
        posix.setresuid(orders["uid"], orders["uid"], orders["uid"])
    if own is not None:
        own["restrict"](orders, ruleset)


def split_from_init():
    """Go on as a child, while process 1 waits for its end and then ends with its exit code."""
    child = posix.fork()
    if child == 0:
        return
    posix.closerange(0, 5)
    while True:
        ended, status = posix.wait()
        if ended == child:
            code = posix.waitstatus_to_exitcode(status)
            posix._exit(code if code >= 0 else 128 - code)


def new_module(name, prelude):
    """A module for a program to run in, with the names that its judge gives; and those names."""
    module = type(sys)(name)
    module.__dict__.update(__builtins__=sys.modules["builtins"], __file__="program.py")
    sys.modules[name] = module
    exec(compile(prelude, "prelude.py", "exec", dont_inherit=True), module.__dict__)
    return module, dict(module.__dict__)


def run_in(module, source):
    exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)


def answer_calls(channel, orders):
    """Load the program as a module that is not `__main__`, then one answer for each call until the channel ends."""
    module, given = new_module("solution", orders["prelude"])
    try:
        run_in(module, orders["source"])
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is its answer
        answer('{"error":' + describe(error) + "}")
        return
    names = {name: kind_of(value) for name, value in list(module.__dict__.items()) if type(name) is str and name[:2] != "__"}
    answer('{"value":' + encode(names) + "}")
    while True:
        order = read_message(channel)
        try:
            value = find(module.__dict__, order["name"], given)
            if order["call"]:
                value = value(*order["args"], **order["kwargs"])
            if order.get("arguments_too"):
                value = [value, plain_arguments(order["args"])]
            text = '{"value":' + encode(value) + "}"
        except BaseException as error:  # noqa: BLE001 - as above
            text = '{"error":' + describe(error) + "}"
        answer(text)


def find(namespace, name, given):
    """A global by name; a method of class Solution where there is no such global, or only one that the judge gave."""
    own = name in namespace and (name not in given or namespace[name] is not given[name])
    solution = namespace.get("Solution")
    if not own and isinstance(solution, type) and (name not in namespace or hasattr(solution, name)):
        return getattr(solution(), name)
    if name not in namespace:
        raise NameError(f"the program defines no {name}")
    return namespace[name]


def plain_arguments(args):
    """The arguments after a call, for a caller that looks at what was done to them; [] where they are plain no more."""
    try:
        encode(args)
    except NotPlainDataError:
        return []
    return args


def kind_of(value):
    if isinstance(value, type(sys)):
        return "module " + value.__name__
    return "function" if callable(value) else "value"


class NotPlainDataError(TypeError):
    """A value that is no plain data: it cannot leave the sandbox."""


def encode(value):
    """Tagged JSON of plain data, judged by exact types; see `data.decode` for the tags."""
    budget = [NODE_LIMIT]
    return encode_node(value, budget, 0)


def encode_node(value, budget, depth):
    budget[0] -= 1
    if budget[0] < 0:
        raise NotPlainDataError(f"more than {NODE_LIMIT} values")
    if depth > DEPTH_LIMIT:
        raise NotPlainDataError(f"nested deeper than {DEPTH_LIMIT}")
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return repr(value) if -(2**63) <= value < 2**63 else '{"int":"' + hex(value) + '"}'
    if kind is float:
        return repr(value) if value - value == 0.0 else '{"float":"' + repr(value) + '"}'
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is list:
        return encode_sequence(value, budget, depth)
    if kind is dict:
        return encode_pairs(value, budget, depth)
    for exact, tag in ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if kind is exact:
            return '{"' + tag + '":' + encode_sequence(value, budget, depth) + "}"
    if kind is bytes or kind is bytearray:
        return '{"' + kind.__name__ + '":"' + value.hex() + '"}'
    if kind is complex:
        return '{"complex":' + encode_sequence((value.real, value.imag), budget, depth) + "}"
    return encode_library_type(value, kind, budget, depth)


def encode_sequence(values, budget, depth):
    return "[" + ",".join([encode_node(value, budget, depth + 1) for value in values]) + "]"


def encode_pairs(values, budget, depth):
    pairs = ["[" + encode_node(k, budget, depth + 1) + "," + encode_node(v, budget, depth + 1) + "]" for k, v in values.items()]
    return '{"dict":[' + ",".join(pairs) + "]}"


def encode_library_type(value, kind, budget, depth):
    """The standard library's containers, which compare equal to the plain ones; anything else is refused."""
    base = kind.__base__
    if base is dict and kind.__module__ == "collections":
        return encode_pairs(dict(dict.items(value)), budget, depth)
    if base is tuple and type(kind.__dict__.get("_fields")) is tuple:
        return '{"tuple":' + encode_sequence(tuple.__iter__(value), budget, depth) + "}"
    if kind is range:
        return '{"range":' + encode_sequence((value.start, value.stop, value.step), budget, depth) + "}"
    if kind.__module__ == "numpy" and callable(getattr(value, "tolist", None)):
        return encode_node(value.tolist(), budget, depth + 1)
    raise NotPlainDataError(f"a value of type {kind.__name__} is no plain data")


def describe(error):
    """The error's kind and message as a JSON string; tells NotPlainDataError from the program's own errors."""
    text = ("not plain data: " if type(error) is NotPlainDataError else f"{type(error).__name__}: ") + str(error)
    return encode_basestring_ascii(text[:ERROR_LENGTH])


def read_message(channel):
    head = channel.read(8)
    if len(head) < 8:
        posix._exit(0)
    message = marshal.loads(channel.read(int.from_bytes(head, "little")))
    return uncarry(message["carried"]) if "carried" in message else message


def uncarry(value):
    """The inverse of `data.carry`."""
    if type(value) is list or type(value) is tuple:
        return type(value)([uncarry(item) for item in value])
    if type(value) is dict:
        if ... in value:
            kind, *content = value[...]
            return range(*content) if kind == "range" else bytearray(content[0])
        return {key: uncarry(item) for key, item in value.items()}
    return value


def answer(text):
    data = text.encode()
    data = len(data).to_bytes(8, "little") + data
    while data:
        data = data[posix.write(4, data) :]
