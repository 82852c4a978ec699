"""Where a chat template runs: jinja's sandbox, which reaches no file and no module, with bounds on steps and memory.

A template is a program of whoever made the model. Beyond what jinja forbids, one that counts for ever or fills the memory ends
in an error, too.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_PRODUCT = 100_000
LARGEST_EXPONENT = 64
MOST_STEPS = 1_000_000  # of all loops of one rendering
MEMORY = 1 << 30  # bytes that one rendering may add to the process
STEPS = "steps of loops"  # where a rendering counts them; no template can name it


@contextmanager
def limited_memory() -> Iterator[None]:
    """Let this process grow by MEMORY at most; beyond it Python raises MemoryError. Where the system keeps no /proc there is no
    bound."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = pages * resource.getpagesize() + MEMORY
    limits = [limit for limit in (soft, hard, bound) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pass_context
def counted(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    """What a loop goes through; all loops of a rendering share one bound."""
    for item in items:
        context.vars[STEPS] = context.vars.get(STEPS, 0) + 1
        if context.vars[STEPS] > MOST_STEPS:
            raise SecurityError(f"more than {MOST_STEPS} steps of loops")
        yield item


class Sandbox(ImmutableSandboxedEnvironment):
    """jinja's sandbox, no products or powers that would fill the memory, and loops that are counted."""

    intercepted_binops = frozenset({"*", "**"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not abs(right) <= LARGEST_EXPONENT:
            raise SecurityError(f"a power with the exponent {right}")
        for one, other in ((left, right), (right, left)):
            if operator == "*" and hasattr(one, "__len__") and len(one) * other > LONGEST_PRODUCT:
                raise SecurityError(f"a text or list repeated {other} times")
        return super().call_binop(context, operator, left, right)


class GenerationBlock(Extension):
    """`{% generation %} ... {% endgeneration %}` marks what an assistant said, for training; here it shows its content."""

    tags = {"generation"}  # noqa: RUF012 - as jinja declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment() -> Sandbox:
    """What `transformers` gives to templates."""
    made = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols])
    functions: dict[str, Callable[..., Any]] = {"raise_exception": refuse, "strftime_now": strftime_now}
    made.globals.update(functions)
    made.filters |= {"tojson": to_json, "counted": counted}
    return made


def refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **options)
