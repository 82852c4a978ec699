"""Ask a model: texts or conversations in; thinking and answer apart, with counts and probabilities.

    python examples/generate.py [MODEL]

MODEL is a directory, a stage of a run (runs/quick/r1), OWNER/NAME of the hub, pypi:NAME, or base: the model that is shipped.
"""

import math
import sys

import cogitate

model = cogitate.load(sys.argv[1] if len(sys.argv) > 1 else "base")

questions = ["What is 17 + 25?", "Tom has 12 apples and buys 9 more. How many apples does he have?"]
for number, answer in enumerate(model.generate(questions, n=2, temperature=0.8, max_new_tokens=120, seed=1)):
    print(f"{questions[number // 2]} -> {answer.answer!r} ({answer.tokens} tokens, {answer.finish_reason})")
    print(f"  thought for {answer.thinking_tokens} tokens: {answer.thinking}")

# A conversation ends with the user's turn; temperature 0 takes the most likely token each time.
conversation = [
    {"role": "user", "content": "What is 2 + 3?"},
    {"role": "assistant", "content": "5"},
    {"role": "user", "content": "And twice that?"},
]
(answer,) = model.generate([conversation], temperature=0, max_new_tokens=60, logprobs=True)
print(f"{answer.text.strip()!r}, with probability {math.exp(sum(answer.logprobs or ())):.3f}")
