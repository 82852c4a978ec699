"""Runs assertions, in the guest. Two ways: apart from the program, whose functions are called over the pipe, or beside it.

Executed in the guest's own namespace (`encode`, `answer`, `read_message` ... are the guest's), never imported here.
"""

# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821 - the names of the guest

import sys


def serve(channel, orders):
    """Run each piece of the tests in order and answer ["done", what went wrong or None] for each."""
    if orders["program"] is not None:
        module, failure = load_beside(orders["program"], orders["prelude"])
        if failure is not None:
            answer('{"error":' + failure + "}")
            return
        namespace = dict(module.__dict__)  # the program sees no name of the tests
    else:
        module, given = new_module("tests", orders["prelude"])
        namespace = module.__dict__
        given.pop(orders["entry_point"], None)  # all others are the judge's, whatever the program makes of them
        namespace.update({name: remote_function(channel, name) for name in orders["functions"] if name not in given})
        namespace.update({name: __import__(name) for name in orders["modules"] if name not in given})
        namespace.update({name: value for name, value in orders["values"].items() if name not in given})
    answer('{"value":["loaded"]}')
    for piece in orders["pieces"]:
        trouble = None
        try:
            exec(compile(piece, "tests.py", "exec", dont_inherit=True), namespace)
        except NotPlainDataError as error:
            trouble = "needs more than plain data: " + str(error)
        except BaseException as error:  # noqa: BLE001 - whatever a test raises is its failure
            trouble = type(error).__name__ + (": " + str(error)[:200] if str(error) else "")
        answer('{"value":' + encode(["done", trouble]) + "}")


def load_beside(program, prelude):
    """The program's module, in which the tests will run too; and the error as JSON text where it does not load."""
    module, _ = new_module("solution", prelude)
    try:
        run_in(module, program)
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is its failure
        return module, describe(error)
    return module, None


def remote_function(channel, name):
    """A function of the program in the other sandbox. Lists, dicts and sets that it changes are changed here too."""

    def call(*args, **kwargs):
        answer('{"value":' + encode(["call", name, list(args), kwargs]) + "}")
        reply = read_message(channel)
        if "error" in reply:
            raise program_error(reply["error"])
        result, changed = reply["value"]
        for mine, its in zip(args, changed):  # noqa: B905 - the program may have answered fewer
            update(mine, its)
        return result

    return call


def update(mine, its):
    if type(mine) is not type(its) or mine == its:
        return
    if type(mine) is list or type(mine) is bytearray:
        mine[:] = its
    elif type(mine) is dict or type(mine) is set:
        mine.clear()
        mine.update(its)


def program_error(text):
    """An exception of the builtin class the program raised, so that tests can expect it."""
    kind = sys.modules["builtins"].__dict__.get(text.partition(":")[0])
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text.partition(": ")[2])
        except TypeError:  # a class that wants other arguments
            pass
    return RuntimeError(text)
