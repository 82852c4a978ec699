"""Runs assertions, in the guest. Two ways: apart from the program, whose names are asked for over the pipe, or beside it.

Executed in the guest's own namespace (`encode`, `answer`, `read_message` ... are the guest's), never imported here.
"""

# mypy: disable-error-code="no-untyped-def, name-defined, misc"
# ruff: noqa: F821 - the names of the guest

import copy
import sys


def serve(channel, orders):
    """Run each piece of the tests in order and answer ["done", what went wrong or None] for each."""
    lacking: list[str] = []  # what could not cross during a piece, whatever the piece made of the error
    if orders["program"] is not None:
        module, failure = load_beside(orders["program"], orders["prelude"])
        if failure is not None:
            answer('{"error":' + failure + "}")
            return
        namespace = dict(module.__dict__)  # the program sees no name of the tests
    else:
        module, given = new_module("tests", orders["prelude"])
        given.pop(orders["entry_point"], None)  # all others are the judge's, whatever the program makes of them
        kinds = {name: kind for name, kind in orders["names"].items() if name not in given}
        names = ProgramNames(module.__dict__, kinds, channel, lacking)
        namespace = names if names.values_there else dict(names)  # a plain dict is quicker
    answer('{"value":["loaded"]}')
    for piece in orders["pieces"]:
        trouble = None
        lacking.clear()
        try:
            exec(compile(piece, "tests.py", "exec", dont_inherit=True), namespace)
        except BaseException as error:  # noqa: BLE001 - whatever a test raises is its failure
            trouble = type(error).__name__ + (": " + str(error)[:200] if str(error) else "")
        if lacking:
            trouble = "needs more than plain data: " + lacking[0]
        answer('{"value":' + encode(["done", trouble]) + "}")


def load_beside(program, prelude):
    """The program's module, in which the tests will run too; and the error as JSON text where it does not load."""
    module, _ = new_module("solution", prelude)
    try:
        run_in(module, program)
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is its failure
        return module, describe(error)
    return module, None


class ProgramNames(dict[str, object]):
    """The tests' globals, with the names of the program in the other sandbox.

    Its modules are imported here, its functions are called there, its values are read anew after each call. What cannot
    cross is noted in `lacking`.
    """

    def __init__(self, own, kinds, channel, lacking):
        super().__init__({name: value for name, value in own.items() if name not in kinds})
        self.channel, self.lacking = channel, lacking
        self.calls = 0
        self.read = {}  # name -> (calls so far, the value as it was read, the same for the tests to use)
        self.values_there = {name for name, kind in kinds.items() if kind == "value"}
        for name in kinds.keys() - self.values_there:
            word, _, module = kinds[name].partition(" ")
            if word == "module":
                __import__(module)
            self[name] = sys.modules[module] if word == "module" else RemoteFunction(self, name)

    def __missing__(self, name):
        if name not in self.values_there:
            raise KeyError(name)
        calls, before, mine = self.read.get(name, (None, None, None))
        if calls == self.calls:
            return mine
        value = self.ask(["read", name])
        if calls is None or type(value) is not type(before):
            mine = copy.deepcopy(value)
        elif value != before and not update(mine, value):
            mine = value
        self.read[name] = self.calls, copy.deepcopy(value), mine
        return mine

    def call(self, name, args, kwargs):
        for read, (_, before, mine) in self.read.items():
            if before != mine:
                raise self.lack(f"the tests change {read}")
        self.calls += 1
        result, changed = self.ask(["call", name, list(args), kwargs])
        for mine, its in zip(args, changed):  # noqa: B905 - the program may have answered fewer
            if type(mine) is type(its) and mine != its:
                update(mine, its)
        return result

    def ask(self, question):
        """The program's answer. Raises NotPlainDataError where something cannot cross, else what the program raised."""
        try:
            text = encode(question)
        except NotPlainDataError as error:
            raise self.lack(str(error)) from None
        answer('{"value":' + text + "}")
        reply = read_message(self.channel)
        if "value" in reply:
            return reply["value"]
        if question[0] == "read" and reply["error"].startswith("not plain data"):
            raise self.lack(f"{question[1]} is {reply['error']}")
        raise program_error(reply["error"])

    def lack(self, what):
        self.lacking.append(what)
        return NotPlainDataError(what)


class RemoteFunction:
    """A function of the program: it can be called, and has a name; for all else it must be looked at where it is."""

    def __init__(self, names, name):
        object.__setattr__(self, "names_and_name", (names, name))

    def __call__(self, *args, **kwargs):
        names, name = object.__getattribute__(self, "names_and_name")
        return names.call(name, args, kwargs)

    def __getattribute__(self, attribute):
        names, name = object.__getattribute__(self, "names_and_name")
        if attribute == "__name__":
            return name
        raise names.lack(f"{name}.{attribute}")


def update(mine, its):
    """Make a changeable value equal to another of its type; whether it is one."""
    if type(mine) is list or type(mine) is bytearray:
        mine[:] = its
    elif type(mine) is dict or type(mine) is set:
        mine.clear()
        mine.update(its)
    else:
        return False
    return True


def program_error(text):
    """An exception of the builtin class the program raised, so that tests can expect it."""
    kind = sys.modules["builtins"].__dict__.get(text.partition(":")[0])
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text.partition(": ")[2])
        except TypeError:  # a class that wants other arguments
            pass
    return RuntimeError(text)
