"""IFEval's four figures: by prompt and by instruction, strict and loose (arXiv:2311.07911, section 2.2).

Strict looks at the response as it is. Loose accepts an instruction that is kept in any of eight forms of it: without its first
line, without its last line, without both, and each of these four without asterisks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cogitate.evals.evaluate import Measured
from cogitate.evals.metrics import rate, share_of_completions
from cogitate.rewards.answer import CONTRACTS, Contract, answer_text
from cogitate.rewards.graders.ifeval import follows


def instruction_metrics(groups: Sequence[Sequence[Measured]], contract: str) -> dict[str, Any]:
    """{"prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose"}: each {"value", "ci95"}.

    The two of instructions are shares of all instructions, as the paper has them, with intervals clustered by prompt.
    Completions of which an instruction could not be checked are left out.
    """
    found: dict[str, Any] = {}
    for name, forms_of in (("strict", lambda text: [text]), ("loose", loose_forms)):
        kept = [[kept_instructions(each, contract, forms_of) for each in group] for group in groups]
        known = [[row for row in rows if row is not None] for rows in kept]
        if any(known):
            found[f"prompt_{name}"] = rate([[float(all(row)) for row in rows] for rows in known]).as_json()
            flat = [[float(one) for row in rows for one in row] for rows in known]
            found[f"instruction_{name}"] = share_of_completions(flat).as_json()
    return found


def kept_instructions(measured: Measured, contract: str, forms_of: Callable[[str], list[str]]) -> list[bool] | None:
    """Whether each instruction is kept in any form of the response; None where one cannot be checked here."""
    fields: Mapping[str, Any] = measured.problem.fields
    response = answer_text(measured.text, as_contract(contract)).strip()
    forms = [form for form in forms_of(response) if form.strip()]
    rows = []
    for name, given in zip(fields["instruction_id_list"], fields["kwargs"], strict=True):
        answers = [follows(form, name, given) for form in forms]
        if None in answers:
            return None
        rows.append(any(answers))
    return rows


def as_contract(name: str) -> Contract:
    return next(contract for contract in CONTRACTS if contract == name)


def loose_forms(response: str) -> list[str]:
    """The response in the eight forms."""
    lines = response.split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    texts = ["\n".join(part).strip() for part in cut]
    return [*texts, *(text.replace("*", "") for text in texts)]
