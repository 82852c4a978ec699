"""Names that a problem's judge gives to programs before they run, as LeetCode's does: `List`, `deque`, `gcd`, `inf` ..."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from cogitate.rewards.code.outcome import BadTestsError

if TYPE_CHECKING:  # problems are checked where no sandbox is loaded
    from cogitate.rewards.sandbox.remote import RemoteSandbox
    from cogitate.rewards.sandbox.sandbox import Sandbox

# What LiveCodeBench's judge imports, which is LeetCode's list; Python's own names come last but for those of typing.
LEETCODE_MODULES = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json",
)  # fmt: skip
LEETCODE_CLASSES = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next

class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right
"""
PRELUDES = {
    "leetcode": "\n".join(
        [
            *(f"from {module} import *" for module in (*LEETCODE_MODULES, "builtins", "typing")),
            *(f"import {module}" for module in LEETCODE_MODULES),
            "sys.setrecursionlimit(50000)",
            LEETCODE_CLASSES,
        ]
    )
}


def prelude_source(prelude: str) -> str:
    """The source of a prelude that is given by name or as source.

    Raises:
        BadTestsError: an unknown name, or not Python.
    """
    if prelude in PRELUDES:
        return PRELUDES[prelude]
    if prelude.isidentifier():
        raise BadTestsError(f"there is no prelude {prelude!r}; known names are {', '.join(PRELUDES)}, or give Python source")
    try:
        ast.parse(prelude)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTestsError(f"the prelude is not Python: {error}") from error
    return prelude


def implied_prelude(program: str, entry_point: str | None) -> str:
    """The prelude of a program whose form says which judge it was written for: "leetcode" where `entry_point` is a method of
    `class Solution`, else "" for none."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # it will not load either, and says why then
    methods = {
        method.name
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "Solution"
        for method in node.body
        if isinstance(method, ast.FunctionDef)
    }
    return "leetcode" if entry_point in methods else ""


@lru_cache(maxsize=64)
def sandbox_with(box: Sandbox | RemoteSandbox, prelude: str) -> Sandbox | RemoteSandbox:
    """A sandbox whose programs find the names of a prelude. It is run once by itself.

    Raises:
        BadTestsError: the prelude is unknown or fails.
        SandboxUnavailableError: no isolation can be had.
    """
    source = prelude_source(prelude)
    ran = box.run(source)
    if ran.ending != "exit" or ran.exit_code != 0:
        last = ran.stderr.decode("utf-8", "backslashreplace").strip().rpartition("\n")[2]
        raise BadTestsError(f"the prelude fails: {last[:200] or ran.ending}")
    return box.with_prelude(source)
