from cogitate.apps.report.words import prompt_title, task_title, task_words


def test_tasks_have_headings_and_names_within_a_sentence_and_known_data_sets_their_own() -> None:
    assert [task_title(name) for name in ("all", "word_problems", "gsm8k_test")] == ["All problems", "Word problems", "GSM8K"]
    assert [task_words(name) for name in ("all", "word_problems", "mawps")] == ["all problems", "word problems", "MAWPS"]


def test_a_prompt_is_named_with_its_examples_and_an_unknown_one_as_it_is() -> None:
    names = ("few_shot", "r1_zero", "r1_zero_4_examples", "chat_2_examples_opened", "mine")
    assert [prompt_title(name) for name in names] == [
        "few-shot", "R1-Zero template", "R1-Zero template, 4 examples", "its own chat template, 2 examples, thinking opened",
        "mine",
    ]  # fmt: skip
