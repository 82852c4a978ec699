"""The prompts that models are measured at."""

from __future__ import annotations

from cogitate.evals.evaluate import Asking
from cogitate.tasks.examples import examples_for
from cogitate.tokenizer.prompts import NEXT_QUESTION, NEXT_TURN, bare_prompt, few_shot_prompt, r1_prompt, r1_zero_prompt

R1_ZERO = Asking("r1_zero", lambda problem: r1_zero_prompt(problem.question), "r1", "think_answer")

# A base model knows no format: under the contract `free`, which needs no tags, learning the tags alone gains nothing over it.
R1_ZERO_TEMPLATE = Asking("r1_zero_template", lambda problem: r1_zero_prompt(problem.question), "free", "think_answer")
FEW_SHOT = Asking(
    "few_shot",
    lambda problem: few_shot_prompt(problem.question, examples_for(problem)),
    "free",
    "think_answer",
    stop=NEXT_QUESTION,
)
BARE_QUESTION = Asking(
    "bare_question", lambda problem: bare_prompt(problem.question), "free", "think_answer", stop=NEXT_QUESTION
)
BASE_PROMPTS = (R1_ZERO_TEMPLATE, FEW_SHOT, BARE_QUESTION)

# A plain turn, which every model's corpus had. One that has learnt no turns is done where it writes the user's next one.
CONVERSATION = Asking("conversation", lambda problem: r1_prompt(problem.question), "free", "think_text", stop=NEXT_TURN)
