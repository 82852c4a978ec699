"""Short stories about gaining and losing things, in English or Chinese: one to four events after a start."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.tasks.generators.arithmetic import draw_steps, running_results
from cogitate.types import Problem

NAME = "word_problems"
EVENTS = {1: 0.15, 2: 0.35, 3: 0.4, 4: 0.1}  # how many events a story has, and how often
CHINESE_SHARE = 0.3

NAMES = {
    "en": ("Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Max", "Lily"),
    "zh": ("小明", "小红", "小华", "小丽", "小刚", "小美"),
}
ITEMS = {
    "en": ("apples", "books", "coins", "cards", "stones", "pens", "eggs", "shells"),
    "zh": ("苹果", "书", "硬币", "卡片", "石子", "鸡蛋"),
}
VERBS = {  # sign -> (verb of the composition, sentence of the story, words of a worked step)
    "en": {
        "+": (
            ("buy", "buys {n} more.", "buys {n}"),
            ("find", "finds {n} more.", "finds {n}"),
            ("get", "gets {n} from a friend.", "gets {n}"),
            ("win", "wins {n} in a game.", "wins {n}"),
        ),
        "-": (
            ("give", "gives away {n}.", "gives away {n}"),
            ("lose", "loses {n} of them.", "loses {n}"),
            ("sell", "sells {n} at the market.", "sells {n}"),
            ("drop", "leaves {n} at school.", "leaves {n}"),
        ),
    },
    "zh": {
        "+": (
            ("buy", "又买了{n}个。", "买了{n}个"),
            ("find", "又找到{n}个。", "找到{n}个"),
            ("get", "朋友送来{n}个。", "得到{n}个"),
            ("win", "比赛赢了{n}个。", "赢了{n}个"),
        ),
        "-": (
            ("give", "送给别人{n}个。", "送出{n}个"),
            ("lose", "丢了{n}个。", "丢了{n}个"),
            ("sell", "卖掉{n}个。", "卖掉{n}个"),
            ("drop", "在学校留下{n}个。", "留下{n}个"),
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Story:
    """start and (sign, number) events, with the words of each event for those who write about it."""

    start: int
    steps: tuple[tuple[str, int], ...]
    words: tuple[str, ...]
    language: str
    question: str

    def results(self) -> list[int]:
        """The number of things after each event."""
        return running_results(self.start, self.steps)

    def problem(self) -> Problem:
        return Problem(
            id=f"{NAME}:{self.question}",
            task=NAME,
            kind="math",
            question=self.question,
            gold=str(self.results()[-1]),
            language=self.language,
        )


def draw(rng: random.Random, split: Split) -> Story:
    """A story whose composition (language and sequence of verbs) belongs to the split."""
    language = "zh" if rng.random() < CHINESE_SHARE else "en"
    while True:
        count = rng.choices(list(EVENTS), weights=list(EVENTS.values()))[0]
        start, steps = draw_steps(rng, count)
        verbs = [rng.choice(VERBS[language][sign]) for sign, _ in steps]
        if belongs(split, NAME, f"{language}:" + ",".join(verb for verb, _, _ in verbs)):
            break
    name, item = rng.choice(NAMES[language]), rng.choice(ITEMS[language])
    sentences = [sentence.format(n=number) for (_, sentence, _), (_, number) in zip(verbs, steps, strict=True)]
    words = tuple(phrase.format(n=number) for (_, _, phrase), (_, number) in zip(verbs, steps, strict=True))
    if language == "en":
        told = " ".join(f"{name} {sentence}" if rng.random() < 0.3 else f"Then {name} {sentence}" for sentence in sentences)
        question = f"{name} has {start} {item}. {told} How many {item} does {name} have now?"
    else:
        question = f"{name}有{start}个{item}。" + "".join(sentences) + f"{name}现在有多少个{item}？"
    return Story(start, steps, words, language, question)


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
