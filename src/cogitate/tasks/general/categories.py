"""The categories of `general`: how each draws what a prompt is about, asks for it, answers it, and spoils an answer's plan."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cogitate.tasks.general import phrases
from cogitate.tasks.general.text_checks import count_units


class Category(NamedTuple):
    """How one category draws what a problem is about, asks for it, answers it, and spoils a plan (a copy of the fields)."""

    draw: Callable[[random.Random, str], dict[str, Any]]
    ask: Callable[[random.Random, dict[str, Any], str], str]
    answer: Callable[[random.Random, dict[str, Any], str], str]
    spoil: Callable[[random.Random, dict[str, Any], str], dict[str, Any]]


def join(sentences: Sequence[str], language: str) -> str:
    """Sentences in a row, empty ones left out; Chinese ones without blanks."""
    return ("" if language == "zh" else " ").join(sentence for sentence in sentences if sentence)


def pick(rng: random.Random, table: dict[str, str], language: str) -> str:
    """A key of an English -> Chinese table that has a word in the language."""
    while True:
        key = rng.choice(list(table))
        if language == "en" or table[key]:
            return key


def word(table: dict[str, str], key: str, language: str) -> str:
    return key if language == "en" else table[key]


# Writing


def draw_writing(rng: random.Random, language: str) -> dict[str, Any]:
    subject, thing = pick(rng, phrases.SUBJECTS, language), pick(rng, phrases.THINGS, language)
    tone, form = rng.choice(list(phrases.TONE_WORDS)), rng.choice(("story", "story", "note"))
    low, high = rng.choice(phrases.LENGTHS[language])
    required = [[word(phrases.SUBJECTS, subject, language)], [word(phrases.THINGS, thing, language)]]
    if form == "note":
        required.append(["dear" if language == "en" else "亲爱的"])
    return {
        "composition": f"writing:{subject},{thing},{tone}", "subject": subject, "thing": thing, "tone": tone, "form": form,
        "length": [low, high], "required": required, "answer_language": language,
    }  # fmt: skip


def ask_writing(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    low, high = fields["length"]
    return rng.choice(phrases.WRITING_ASKED[language]).format(
        s=word(phrases.SUBJECTS, fields["subject"], language),
        t=word(phrases.THINGS, fields["thing"], language),
        tone=word(phrases.TONE_WORDS, fields["tone"], language),
        form=phrases.FORMS[language][fields["form"]],
        length=f"{low} to {high}" if language == "en" else f"{low}到{high}",
    )


def answer_writing(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    """A core sentence with everything asked for, then others until a length drawn from the range is reached."""
    low, high = fields["length"]
    tone, more = fields["tone"], list(phrases.WRITING_MORE[language])
    text = phrases.NOTE_OPENING[language] if fields["form"] == "note" else ""
    core = rng.choice(phrases.WRITING_CORE[language][tone])
    text += core[0].lower() + core[1:] if text else core
    target = rng.randint(low, high)
    more += phrases.WRITING_TONE[language][tone]
    rng.shuffle(more)
    for sentence in more:
        length = count_units(text)
        if length >= target:
            break
        if length + count_units(sentence) <= high:
            text = join((text, sentence), language)
    return text.format(s=word(phrases.SUBJECTS, fields["subject"], language), t=word(phrases.THINGS, fields["thing"], language))


def spoil_writing(rng: random.Random, fields: dict[str, Any], language: str) -> dict[str, Any]:
    low, high = fields["length"]
    faults = rng.sample(("subject", "thing", "tone", "length", "form"), rng.randint(1, 3))
    if "subject" in faults:
        fields["subject"] = pick(rng, phrases.SUBJECTS, language)
    if "thing" in faults:
        fields["thing"] = pick(rng, phrases.THINGS, language)
    if "tone" in faults:
        fields["tone"] = rng.choice(list(phrases.TONE_WORDS))
    if "length" in faults:
        fields["length"] = [1, low - 4] if low > 9 and rng.random() < 0.5 else [high + 6, high + 16]
    if "form" in faults:
        fields["form"] = "story"
    return fields


# Lists


def things(kind: str, language: str) -> list[str]:
    return [
        word(phrases.KINDS[kind][1], key, language)
        for key in phrases.KINDS[kind][1]
        if language == "en" or phrases.KINDS[kind][1][key]
    ]


def draw_list(rng: random.Random, language: str) -> dict[str, Any]:
    usable = [kind for kind, (chinese, _) in phrases.KINDS.items() if language == "en" or chinese]
    plan = sorted((rng.randint(1, 4), kind) for kind in rng.sample(usable, rng.choice((1, 2, 2))))
    counts = [(number, things(kind, language)) for number, kind in plan]
    total = sum(number for number, _ in plan)
    return {
        "composition": "list:" + ",".join(f"{number} {kind}" for number, kind in plan), "plan": plan, "counts": counts,
        "length": [total, 3 * total + 6], "answer_language": language,
    }  # fmt: skip


def ask_list(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    numbers = phrases.NUMBERS[language]
    if language == "en":
        what = " and ".join(f"{numbers[number]} {kind[:-1] if number == 1 else kind}" for number, kind in fields["plan"])
    else:
        what = "和".join(f"{numbers[number]}种{phrases.KINDS[kind][0]}" for number, kind in fields["plan"])
    return rng.choice(phrases.LIST_ASKED[language]).format(what=what)


def answer_list(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    named = [thing for number, kind in fields["plan"] for thing in rng.sample(things(kind, language), number)]
    if language == "zh":
        return rng.choice(phrases.LIST_OPENING["zh"]) + "、".join(named) + "。"
    listed = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    opening = rng.choice(phrases.LIST_OPENING["en"])
    return f"{opening}{listed if opening else listed[0].upper() + listed[1:]}."


def spoil_list(rng: random.Random, fields: dict[str, Any], language: str) -> dict[str, Any]:
    usable = [kind for kind, (chinese, _) in phrases.KINDS.items() if language == "en" or chinese]
    plan = list(fields["plan"])
    spot = rng.randrange(len(plan))
    number, kind = plan[spot]
    plan[spot] = (number, rng.choice(usable)) if rng.random() < 0.5 else (rng.randint(1, 4), kind)
    if len(plan) > 1 and rng.random() < 0.3:
        plan.pop()
    return {**fields, "plan": plan}


# Questions about the assistant


def abilities(language: str) -> list[str]:
    return [f"can {verb}" for verb, chinese in (phrases.ABLE | phrases.UNABLE).items() if language == "en" or chinese]


def about(topic: str, language: str) -> tuple[Sequence[str], Sequence[Sequence[str]], Sequence[str]]:
    """(questions, required groups, answers) of a topic."""
    if topic in phrases.ABOUT:
        return phrases.ABOUT[topic][language]
    verb = topic.removeprefix("can ")
    able = verb in phrases.ABLE
    verb = word(phrases.ABLE if able else phrases.UNABLE, verb, language)
    if language == "zh":
        return (
            (f"你会{verb}吗？",),
            ((f"会{verb}",),) if able else ((f"不会{verb}",),),
            (f"会，我会{verb}。",) if able else (f"不，我不会{verb}。", f"我没有身体，不会{verb}。"),
        )
    if able:
        return (f"Can you {verb}?",), ((f"can {verb}",),), (f"Yes, I can {verb}.", f"Yes, I can {verb} a little.")
    return (f"Can you {verb}?",), ((f"not {verb}",),), (f"No, I can not {verb}.", f"I have no body, so I can not {verb}.")


def draw_about(rng: random.Random, language: str) -> dict[str, Any]:
    asked = [rng.choice(list(phrases.ABOUT)), rng.choice(list(phrases.ABOUT) + abilities(language))]
    rng.shuffle(asked)
    asked = list(dict.fromkeys(asked))[: rng.choice((1, 2, 2))]
    required = [list(group) for topic in asked for group in about(topic, language)[1]]
    return {
        "composition": "about:" + ",".join(asked), "topics": asked, "required": required,
        "length": [3, 12 * len(asked) + 6], "answer_language": language,
    }  # fmt: skip


def ask_about(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    return join([rng.choice(about(topic, language)[0]) for topic in fields["topics"]], language)


def answer_about(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    return join([rng.choice(about(topic, language)[2]) for topic in fields["topics"]], language)


def spoil_about(rng: random.Random, fields: dict[str, Any], language: str) -> dict[str, Any]:
    """Answer one of two questions, or another one."""
    asked = list(fields["topics"])
    if len(asked) == 2 and rng.random() < 0.6:
        asked.pop(rng.randrange(2))
    else:
        asked[rng.randrange(len(asked))] = rng.choice(list(phrases.ABOUT) + abilities(language))
    return {**fields, "topics": asked}


# Greetings


def draw_greeting(rng: random.Random, language: str) -> dict[str, Any]:
    greeting, state = rng.choice(list(phrases.GREETINGS)), rng.choice(list(phrases.STATES))
    person = rng.choice(phrases.NAMES[language])
    hello = [english if language == "en" else chinese for english, chinese in phrases.GREETINGS.values()]
    required = [
        hello,
        [person],
        *(list(group) for group in phrases.STATES[state][language][1]),
        list(phrases.OFFERS[language][0]),
    ]
    return {
        "composition": f"greeting:{greeting},{state}", "greeting": greeting, "state": state, "person": person,
        "required": required, "length": [4, 24] if language == "en" else [6, 30], "answer_language": language,
    }  # fmt: skip


def ask_greeting(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    english, chinese = phrases.GREETINGS[fields["greeting"]]
    state = phrases.STATES[fields["state"]][language][0]
    if language == "zh":
        return f"{chinese}，我是{fields['person']}。{state}"
    return join((f"{english}, {rng.choice(('I am', 'my name is'))} {fields['person']}.", state), language)


def answer_greeting(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    english, chinese = phrases.GREETINGS[fields["greeting"]]
    hello = f"{english}, {fields['person']}!" if language == "en" else f"{chinese}，{fields['person']}！"
    reply = rng.choice(phrases.STATES[fields["state"]][language][2])
    offer = rng.choice(phrases.OFFERS[language][1])
    return join((hello, reply) if fields.get("bare") else (hello, reply, offer), language)


def spoil_greeting(rng: random.Random, fields: dict[str, Any], language: str) -> dict[str, Any]:
    faults = rng.sample(("person", "state", "bare"), rng.randint(1, 2))
    if "person" in faults:
        fields["person"] = rng.choice(phrases.NAMES[language])
    if "state" in faults:
        fields["state"] = rng.choice(list(phrases.STATES))
    if "bare" in faults:
        fields["bare"] = True
    return fields


# Translation


def draw_translation(rng: random.Random, language: str) -> dict[str, Any]:
    plan = [
        rng.choice(list(table))
        for table in (phrases.TRANSLATED_SUBJECTS, phrases.TRANSLATED_VERBS, phrases.ADJECTIVES, phrases.OBJECTS)
    ]
    sentence = {name: translated(plan, name) for name in ("en", "zh")}
    other = "zh" if language == "en" else "en"
    return {
        "composition": "translation:" + ",".join(part if isinstance(part, str) else part[0] for part in plan), "plan": plan,
        "source": sentence[language], "expected": accepted(plan, other), "length": [2, count_units(sentence[other]) + 2],
        "answer_language": other,
    }  # fmt: skip


def translated(plan: Sequence[Any], language: str) -> str:
    subject, verb, adjective, thing = plan
    if language == "zh":
        doer, does = phrases.TRANSLATED_SUBJECTS[subject], phrases.TRANSLATED_VERBS[verb]
        return f"{doer}{does}{phrases.ADJECTIVES[adjective]}{phrases.OBJECTS[thing]}。"
    return join((subject, verb[subject in ("He", "She")], adjective, thing), "en") + "."


def accepted(plan: Sequence[Any], language: str) -> list[str]:
    """The sentence itself, and in Chinese also with 的 after the adjective."""
    sentence = translated(plan, language)
    if language == "en" or not plan[2]:
        return [sentence]
    adjective, thing = phrases.ADJECTIVES[plan[2]], phrases.OBJECTS[plan[3]]
    return [sentence, sentence.replace(adjective + thing, f"{adjective}的{thing}")]


def ask_translation(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    return rng.choice(phrases.TRANSLATION_ASKED[language]).format(text=fields["source"])


def answer_translation(rng: random.Random, fields: dict[str, Any], language: str) -> str:
    return rng.choice(accepted(fields["plan"], fields["answer_language"]))


def spoil_translation(rng: random.Random, fields: dict[str, Any], language: str) -> dict[str, Any]:
    """One or two words drawn again."""
    plan = list(fields["plan"])
    tables: tuple[dict[Any, str], ...] = (
        phrases.TRANSLATED_SUBJECTS,
        phrases.TRANSLATED_VERBS,
        phrases.ADJECTIVES,
        phrases.OBJECTS,
    )
    for spot in rng.sample(range(4), rng.randint(1, 2)):
        plan[spot] = rng.choice(list(tables[spot]))
    return {**fields, "plan": plan}


BY_NAME = {
    "writing": Category(draw_writing, ask_writing, answer_writing, spoil_writing),
    "list": Category(draw_list, ask_list, answer_list, spoil_list),
    "about": Category(draw_about, ask_about, answer_about, spoil_about),
    "greeting": Category(draw_greeting, ask_greeting, answer_greeting, spoil_greeting),
    "translation": Category(draw_translation, ask_translation, answer_translation, spoil_translation),
}
