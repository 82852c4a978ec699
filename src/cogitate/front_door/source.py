"""The source of a function that is in memory: found, compared with what runs, and cut out of its file or notebook cell."""

from __future__ import annotations

import ast
import dis
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from cogitate.front_door.stable import UnstableError, expression, is_installed

Definition = ast.FunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Source:
    """A function's own text, without decorators, its defaults as expressions.

    Attributes:
        text: `def ...`, or a lambda expression.
        name: of the definition; None of a lambda.
        node: the same, parsed.
    """

    text: str
    name: str | None
    node: Definition

    @property
    def needs_re(self) -> bool:
        """Whether a default is a compiled pattern."""
        given = [*self.node.args.defaults, *self.node.args.kw_defaults]
        return any(default is not None and "re.compile(" in ast.unparse(default) for default in given)

    def names_read(self) -> list[str]:
        """Names that the text leaves to what stands around it, in a fixed order; annotations are not read.

        Raises:
            UnstableError: it changes such a name, so that a call depends on the calls before.
        """
        code = compile(f"from __future__ import annotations\n{self.text}", "<reward>", "exec", dont_inherit=True)
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        found: dict[str, None] = {}
        for each in (one for function in inner for one in codes(function)):
            steps = list(dis.get_instructions(each))
            own = {step.argval for step in steps if step.opname == "STORE_NAME"} | {"__name__"}  # in the body of a class
            for step in steps:
                if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                    raise UnstableError(f"changes {step.argval}, so that a call depends on the calls before it")
                if step.opname.endswith(("_GLOBAL", "_GLOBALS")) or (step.opname == "LOAD_NAME" and step.argval not in own):
                    found[str(step.argval)] = None
        return sorted(found)


def read_source(function: FunctionType) -> Source:
    """The source of a function.

    Raises:
        UnstableError: there is none, or it is not what runs: its file has been changed since.
    """
    try:
        lines, _ = inspect.findsource(function.__code__)
        whole = "".join(lines)
        tree = ast.parse(whole)
    except (OSError, TypeError, SyntaxError) as error:
        raise UnstableError("has no source that can be read") from error
    node = find_definition(tree, function.__code__)
    if node is None or not is_current(whole, node, function.__code__):
        raise UnstableError("is not what its file says: the file was changed after it was imported")
    if any(isinstance(inner, ast.Nonlocal) for inner in ast.walk(node)) and outer_nonlocal(node, function):
        raise UnstableError("changes a variable outside of it, so that a call depends on the calls before it")
    check_imports(node)
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []  # what runs is the function that they got
    changed = put_defaults(node, function)
    text = ast.unparse(node) if changed else own_text(whole, node)
    return Source(text, node.name if isinstance(node, ast.FunctionDef) else None, node)


def find_definition(tree: ast.AST, code: CodeType) -> Definition | None:
    """The definition that a code object was made of."""
    found: list[Definition] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found += [node] if first == code.co_firstlineno else []
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
            found.append(node)
    if len(found) > 1:  # lambdas of one line are told apart by where their bodies stand
        places = set(code.co_positions())
        bodies = [(node, node.body) for node in found if isinstance(node, ast.Lambda)]
        found = [
            node for node, body in bodies if (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset) in places
        ]
    return found[0] if len(found) == 1 else None


def is_current(whole: str, node: Definition, code: CodeType) -> bool:
    """Whether the text compiles to the code that runs. Test runners rewrite `assert`: functions with one are not compared."""
    if any(isinstance(inner, ast.Assert) for inner in ast.walk(node)):
        return True
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # as notebook cells are compiled
    compiled = compile(whole, code.co_filename, "exec", flags=flags, dont_inherit=True)
    return any(found == code for found in codes(compiled))


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def outer_nonlocal(node: Definition, function: FunctionType) -> bool:
    """Whether a `nonlocal` in it means a variable of the function around it."""
    names = {name for inner in ast.walk(node) if isinstance(inner, ast.Nonlocal) for name in inner.names}
    return bool(names & set(function.__code__.co_freevars))


def check_imports(node: ast.AST) -> None:
    """Refuse imports of the user's own modules inside a function: their content is not in their name."""
    for inner in ast.walk(node):
        modules = [alias.name for alias in inner.names] if isinstance(inner, ast.Import) else []
        if isinstance(inner, ast.ImportFrom):
            modules = ["." if inner.level else str(inner.module)]
        for module in modules:
            if module == "." or not is_installed(module):
                raise UnstableError(f"imports {module}, which is not an installed package; import its functions outside of it")


def put_defaults(node: Definition, function: FunctionType) -> bool:
    """Put the values of the defaults in place of the expressions they come from; whether any differs."""
    changed = False
    positional = list(function.__defaults__ or ())
    for index, (default, value) in enumerate(zip(node.args.defaults, positional, strict=True)):
        if not says(default, value):
            node.args.defaults[index] = ast.parse(expression(value), mode="eval").body
            changed = True
    named = function.__kwdefaults__ or {}
    for index, (argument, given) in enumerate(zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)):
        if given is not None and not says(given, named[argument.arg]):
            node.args.kw_defaults[index] = ast.parse(expression(named[argument.arg]), mode="eval").body
            changed = True
    return changed


def says(default: ast.expr, value: Any) -> bool:
    """Whether the expression of a default is a literal, and of this value."""
    try:
        return expression(ast.literal_eval(default)) == expression(value)
    except ValueError:  # no literal; UnstableError is one, too, and comes again where the value is put
        return False


def own_text(whole: str, node: Definition) -> str:
    """The definition as it is written, moved to the margin; written anew where that would change a text within it."""
    segment = ast.get_source_segment(whole, node) or ""
    if isinstance(node, ast.Lambda):
        return segment if "\n" not in segment else ast.unparse(node)
    text = textwrap.dedent(" " * node.col_offset + segment)
    try:
        (again,) = ast.parse(text).body
    except SyntaxError:
        return ast.unparse(node)
    return text if ast.dump(again) == ast.dump(node) else ast.unparse(node)
