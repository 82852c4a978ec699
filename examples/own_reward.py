"""Train with a reward of your own: a function of the completion and its problem that returns a number from 0 to 1.

    python examples/own_reward.py [OUT] [STEPS]

The function runs in worker processes, from OUT/given/reward.py: its source with all that it reads.
"""

import re
import sys

import cogitate

out = sys.argv[1] if len(sys.argv) > 1 else "runs/own_reward"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 20
SENTENCE = re.compile(r"[^.!?]+[.!?]")


def few_sentences(completion: str, problem: dict) -> float:
    """Half for at most as many sentences as the problem allows, half for the word it asks for."""
    answer = completion.rpartition("</think>")[2]
    return 0.5 * (1 <= len(SENTENCE.findall(answer)) <= problem["sentences"]) + 0.5 * (problem["word"] in answer)


words = ["rain", "snow", "wind", "stone", "river", "bird", "lamp", "road"]
asked = "Write about {} in at most {} sentences."
rows = [{"question": asked.format(word, n), "word": word, "sentences": n} for word in words for n in (2, 3, 4)]

run = cogitate.run(
    "tiny", out=out, problems=rows, reward=few_sentences, graph="r1_zero", only="r1_zero",
    r1_zero={"steps": steps, "prompts_per_step": 8, "group_size": 4, "max_new_tokens": 64},
)  # fmt: skip
print([round(row["reward"], 2) for row in run.metrics("r1_zero")])
print(run.transcripts("r1_zero")[-1]["completion"])
