"""Self-verification: the policy is shown its own solutions and asked whether each is right; it answers what it trusts most."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from cogitate.errors import DataError
from cogitate.runtime import derive_seed
from cogitate.search.choose import Solution, best
from cogitate.search.draw import Draw
from cogitate.search.pool import Limits, drawn_solutions
from cogitate.search.tree import Node
from cogitate.search.work import Question, Search, draw
from cogitate.tokenizer.tags import OF_R1
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import opens_thinking

BETWEEN, ASKED = "\n\nA proposed solution:\n", "\n\nIs its answer right? Answer yes or no."
_YES = re.compile(r"\b(?:yes|right|correct)\b|是的|正确|对", re.IGNORECASE)
_NO = re.compile(r"\b(?:no|not|wrong|incorrect)\b|不|错", re.IGNORECASE)

PromptIds = Callable[[str], tuple[int, ...]]  # of a question


def self_verification(
    question: Question,
    limits: Limits,
    n: int,
    *,
    prompt_ids: PromptIds,
    verifications: int,
    answer_tokens: int,
    max_context: int,
) -> Search:
    """
    Args:
        n: solutions.
        prompt_ids: puts a question to the policy.
        verifications: completions in which the policy judges each solution.
        answer_tokens: of each of these, at most.
        max_context: of the policy.

    Raises:
        DataError: a solution is too long to be shown to the policy.
    """
    tree = yield from drawn_solutions(question, limits, n)
    nodes = tree.solutions
    shown = [plain(question.reader.tokenizer.tags.exchange(question.reader.text(node.completion_ids))) for node in nodes]
    draws = [
        Draw(
            prompt_ids(f"{question.text}{BETWEEN}{text}{ASKED}"), (),
            tuple(derive_seed(question.seed, "verify", node.path[0].branch, k) for k in range(verifications)),
            answer_tokens, limits.temperature,
        )
        for node, text in zip(nodes, shown, strict=True)
    ]  # fmt: skip
    longest = max(len(each.prompt_ids) for each in draws)
    if longest + answer_tokens > max_context:
        raise DataError(
            f"self-verification: a question with a proposed solution has {longest} tokens and an answer {answer_tokens}, "
            f"which do not fit the context of {max_context}; lower evaluate.max_new_tokens, or leave this method out"
        )
    groups = yield from draw(draws, own_prompts=True)
    tokenizer = question.reader.tokenizer
    for node, asked, group in zip(nodes, draws, groups, strict=True):
        opened = opens_thinking(asked.prompt_ids, tokenizer)
        said = [says_right(tokenizer.tags.exchange(tokenizer.decode(each.token_ids)), opened=opened) for each in group]
        node.score = sum(said) / len(said)
    return tree, chosen(nodes)


def chosen(nodes: Sequence[Node]) -> Node:
    return nodes[best([Solution(node.answer, node.score or 0.0) for node in nodes])]


def plain(completion: str) -> str:
    """A completion without its tags, which would close the thinking of the one that reads it."""
    for tag in OF_R1:
        completion = completion.replace(tag, " ")
    return " ".join(completion.split())


def says_right(completion: str, *, opened: bool = False) -> float:
    """1 for yes, 0 for no ("not right" is no), one half where it says neither.

    Args:
        opened: the prompt has opened the thinking; what is cut before its end says neither.
    """
    region = split_thinking(completion, prefilled=opened).answer_region
    if _NO.search(region):
        return 0.0
    return 1.0 if _YES.search(region) else 0.5
