"""Rows of published figures: read, left out with a reason, predicted; the errors on real ones, where they are there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.plan.factors import read_factors
from cogitate.apps.plan.hardware import read_hardware
from cogitate.apps.plan.published.fit import fit_on
from cogitate.apps.plan.published.rows import read_rows
from cogitate.apps.plan.published.validate import check_rows, errors_page, validation, validation_text
from cogitate.errors import DataError

STEP = {
    "id": "step-8xh100-cp1-ep1", "what": "training step", "type": "rl", "lora_rank": 16, "model": "Qwen/Qwen3-8B",
    "gpu": "NVIDIA H100 80GB HBM3", "gpus": 8, "seq_len": 16384, "micro_batches_per_gpu": 2, "activation": "Recompute",
    "attention": "flash_attention_3", "fits": True, "step_seconds": 9.0, "peak_memory_gib_per_gpu": 15.0, "unheard_of": [1],
}  # fmt: skip
RL = {
    "id": "rl", "what": "RL step", "model": "Qwen2.5-Math-7B", "gpu": "H20", "gpus": 32, "max_new_tokens": 28672,
    "sequences_per_step": 8192, "step_seconds": 790,
}  # fmt: skip
RUN = {
    "id": "run", "what": "whole run", "model": "DeepSeek-V3", "gpu": "H800", "tokens": 14.8e12, "gpu_hours": 2664000,
}  # fmt: skip
HARDWARE = read_hardware()


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return path


def checked(path: Path, *rows: Any) -> dict[str, Any]:
    read, left = read_rows(written(path, *rows), HARDWARE)
    return validation(check_rows(read, read_factors()), left)


def test_the_errors_have_the_form_that_was_promised(tmp_path: Path) -> None:
    content = checked(tmp_path / "rows.jsonl", STEP, RL, RUN)
    for group in ("memory", "step_time", "whole_run"):
        assert {"median_error", "p90_error", "rows"} <= content[group].keys()
    assert (content["memory"]["rows"], content["step_time"]["rows"], content["whole_run"]["rows"]) == (1, 2, 1)
    assert content["fits"] == {"rows": 1, "right": 1}
    step, rl, _ = content["rows"]
    assert step["memory"]["low"] < step["memory"]["value"] < step["memory"]["high"]
    assert rl["step_time"]["factor"] == pytest.approx(rl["step_time"]["error"] + 1)
    assert rl["notes"] == ["mean length not given: 2000 tokens"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{not json", "Expecting property name"),
        ("[1]", "is no JSON object"),
        ({"id": "x", "what": "serving"}, "what = 'serving': a single phase is not compared"),
        ({"id": "x", "what": "tuning"}, "what = 'tuning': no kind that is planned"),
        ({**STEP, "gpu": "H101"}, "H101: unknown GPU; did you mean H100?"),
        ({**STEP, "model": "Nobody's"}, "unknown, and there is no size in its name; did you mean"),
        ({**STEP, "seq_len": "long"}, "seq_len = 'long': give a number above 0"),
        ({**STEP, "gpu": None}, "None: unknown GPU"),
        ({key: value for key, value in STEP.items() if key != "model"}, "model is missing"),
        ({**RL, "max_new_tokens": None}, "neither max_new_tokens nor mean_new_tokens"),
        ({**RUN, "tokens": None}, "neither tokens nor steps"),
        ({**RUN, "tokens": 1e308, "gpus": 1}, "its numbers are too large to plan"),
        ({**STEP, "gpus": 0.5}, "gpus = 0.5: give a whole number"),
        ({**STEP, "lora_rank": -16}, "lora_rank = -16: give a number above 0"),
        ({**STEP, "fits": "yes"}, "fits = 'yes': give true or false"),
        ({**STEP, "cp": 16}, "tp1 x pp1 x cp16 are more than the 8 gpus"),
        ({**STEP, "activation": "sometimes"}, "activation = 'sometimes': one of recompute"),
        ({**STEP, "gpu": "TPU v5p"}, "TPU v5p: unknown GPU"),
        ({**STEP, "model": "Nobody-900000B"}, "no model has 9e+14 parameters"),
        ({**STEP, "seq_len": float("nan")}, "seq_len = nan: give a number above 0"),
        ({**STEP, "what": "generation"}, "what = 'generation': a single phase is not compared"),
        ({**RL, "what": "log-prob pass"}, "a single phase is not compared"),
        ({**RL, "train_tp_cp_ep_pp": [8, 1, 0, 1]}, "give four whole numbers above 0"),
        ({**RL, "train_tp_cp_ep_pp": [64, 1, 1, 1]}, "tp64 x pp1 x cp1 are more than the 32 gpus"),
        ({**STEP, "train_tp_cp_ep_pp": [3, 1, 1, 1]}, "8 GPUs cannot be divided by tensor 3"),
        ({**RL, "gpus": None}, "gpus = None: give a number above 0"),
        ({**RUN, "stage": "R1-Distill", "tokens": None}, "how many tokens it learnt from is not said; add tokens"),
        ("[" * 100_000, "recursion"),
        ({**STEP, "gpus": 0}, "gpus = 0: give a number above 0"),
        ({**STEP, "step_seconds": float("inf")}, "step_seconds = inf: give a number above 0"),
        ({**STEP, "step_seconds": 0}, "step_seconds = 0: give a number above 0"),
        ({**STEP, "step_seconds": "9.0"}, "step_seconds = '9.0': give a number above 0"),
        ({**STEP, "peak_memory_gb_per_gpu": 99.0}, "peak_memory_gib_per_gpu = 15.0: another field of memory says otherwise"),
        ({**STEP, "cp": 3}, "8 GPUs cannot be divided by tensor 1 x pipeline 1 x context 3"),
        ({**STEP, "model": "Mixtral-8x7B", "ep": 3}, "expert parallelism 3 does not divide the 8 experts"),
        ({**STEP, "model": None}, "model 'None': unknown"),
        ({**RL, "gpus": 0.5}, "gpus = 0.5: give a whole number"),
        ({**RL, "gpu": "H101"}, "gpu: H101: unknown GPU; did you mean H100?"),
        ({**RL, "generation_tp": 1.5}, "generation_tp = 1.5: give a whole number"),
        ({**RUN, "gpus": 1.5}, "gpus = 1.5: give a whole number"),
        ({**RUN, "gpu_hours": None, "hours": 5}, "gpus is missing"),
    ],
)
def test_a_row_that_cannot_be_planned_is_left_out_with_one_line(tmp_path: Path, row: Any, why: str) -> None:
    content = checked(tmp_path / "rows.jsonl", row, STEP)
    assert len(content["rows"]) == 1
    (left,) = content["left_out"]
    assert left["line"] == 1
    assert why in left["why"]
    assert "\n" not in left["why"]
    assert f"left out: line 1 ({left['id']}): {left['why']}" in validation_text(content)


def test_a_file_without_a_row_that_can_be_planned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row that can be planned; line 1: what = None"):
        read_rows(written(tmp_path / "rows.jsonl", {"id": 1}), HARDWARE)
    with pytest.raises(DataError, match="cannot be read as text"):
        read_rows(tmp_path / "nowhere.jsonl", HARDWARE)


def test_a_row_of_an_unnamed_kind_is_told_by_its_fields(tmp_path: Path) -> None:
    content = checked(tmp_path / "rows.jsonl", {**STEP, "what": "step of a trainer"}, {**RL, "what": None})
    assert [row["what"] for row in content["rows"]] == ["training step", "RL step"]


@pytest.mark.parametrize(
    "row",
    [
        {**STEP, "gpu": "H100-80GB"}, {**STEP, "gpu": "A100 80GB SXM", "attention": "sdpa"}, {**STEP, "gpu": "L40S"},
        {**STEP, "type": "dpo"}, {**STEP, "activation": "full"}, {**STEP, "activation": None}, {**STEP, "optimizer": "Muon"},
        {**STEP, "tp": 2, "pp": 2}, {**STEP, "micro_batch_size": 4}, {**STEP, "what": "Training-Step"}, {**STEP, "gpus": None},
        {"model": "Qwen3-8B", "gpu": "H100", "seq_len": 4096},
        {**STEP, "model": "meta-llama/Llama-3.1-70B-Instruct"}, {**STEP, "model": "mistralai/Mixtral-8x7B", "ep": 8},
        {**STEP, "model": "deepseek-ai/DeepSeek-V3.1-Base", "gpus": 256}, {**STEP, "model": "Qwen3-Coder-480B-A35B"},
        {**STEP, "model": "Somebody-200B-A20B", "lora_rank": 0}, {**STEP, "model": "pythia-410m"}, {**STEP, "type": "pretrain"},
        {**STEP, "gpu": "NVIDIA B200", "attention": "flash_attention_4"}, {**STEP, "model": "allenai/OLMo-3-7B-Instruct"},
        {**STEP, "peak_memory_gb_per_gpu": 15.0 * 1.073741824}, {**STEP, "cp": 0}, {**STEP, "id": None},
        {**STEP, "fits": False, "step_seconds": 0, "peak_memory_gib_per_gpu": 0},
        {"what": "smallest hardware", "framework": "verl", "model": "Qwen2.5-32B", "gpu": "H20", "gpus": 8, "fits": True},
        {**RL, "policy": "fully async"}, {**RL, "gpu": "GB300"},
        {**RL, "model": "Llama-3.1-8B", "train_tp_cp_ep_pp": [1, 1, 8, 1]},
        {**RL, "what": "rl step"}, {**RL, "policy": "one-step-off-policy"}, {**RL, "policy": 3, "lora_rank": 32},
        {**RL, "max_new_tokens": None, "step_seconds": None, "fits": True},
        {**RL, "model": "Kimi-K2", "gpus": 256, "train_tp_cp_ep_pp": [8, 1, 16, 2]}, {**RL, "mean_new_tokens": 10**6},
        {**RUN, "tokens": None, "stage": "R1 (total)"}, {**RUN, "tokens": None, "stage": "RL of R1-Zero"},
        {**RUN, "tokens": None, "stage": "SFT data creation", "source": "R1 paper"}, {**RUN, "model": "Llama-3.1-405B"},
        {**RUN, "gpu_hours": None, "hours": 1000, "gpus": 64, "tokens": 1e12},
        {**RUN, "tokens": None, "steps": 100, "sequences_per_step": 512, "max_new_tokens": 8192, "gpus": 64},
    ],
)  # fmt: skip
def test_rows_with_other_fields_names_and_spellings_are_predicted(tmp_path: Path, row: dict[str, Any]) -> None:
    content = checked(tmp_path / "rows.jsonl", row)
    assert content["left_out"] == []
    (found,) = content["rows"]
    for name in {"memory", "step_time", "whole_run"} & found.keys():
        assert 0 < found[name]["low"] < found[name]["value"] < found[name]["high"]


def test_the_whole_of_r1_is_the_sum_of_its_stages(tmp_path: Path) -> None:
    stages = ("r1-zero", "SFT data of R1", "R1", "R1, total")
    rows = checked(tmp_path / "rows.jsonl", *({**RUN, "tokens": None, "stage": stage} for stage in stages))["rows"]
    *parts, whole = (row["whole_run"]["value"] for row in rows)
    assert whole == pytest.approx(sum(parts))


def test_what_a_row_leaves_open_is_noted(tmp_path: Path) -> None:
    content = checked(tmp_path / "rows.jsonl", {"model": "Qwen3-8B", "gpu": "H100", "seq_len": 4096})
    assert content["rows"][0]["notes"] == [
        "activation not given: all kept", "gpus not given: one", "type not given: logits fused",
        "micro_batches_per_gpu not given: one",
        "nothing to compare with: none of step_seconds, peak_memory_gb_per_gpu, peak_memory_gib_per_gpu, fits",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ({**STEP, "type": "dpo"}, "type = 'dpo': logits taken as fused"),
        ({**STEP, "attention": "sdpa"}, "attention = 'sdpa': as slow as flash_attention_2"),
        ({**RL, "policy": "as in the paper"}, "policy = 'as in the paper': half of the GPUs generate beside the others"),
        ({**RL, "mean_new_tokens": 10**6}, "mean_new_tokens = 1000000 is above max_new_tokens: taken as that"),
        (RUN, "how the GPUs were divided, and what was lost beside the steps, is a guess"),
    ],
)
def test_a_value_that_says_nothing_to_the_planner_is_noted(tmp_path: Path, row: dict[str, Any], note: str) -> None:
    (found,) = checked(tmp_path / "rows.jsonl", row)["rows"]
    assert any(each.startswith(note) for each in found["notes"])


def test_lines_end_where_they_do_and_nowhere_else(tmp_path: Path) -> None:
    line = json.dumps({**STEP, "source": "one \u2028 line"}, ensure_ascii=False)
    content = checked(tmp_path / "rows.jsonl", "\ufeff" + line, line + "\r", "")
    assert (len(content["rows"]), content["left_out"]) == (2, [])


def test_a_model_that_would_not_be_divided_for_training_is_not_taken_to_gather_its_weights_for_each_pass(
    tmp_path: Path,
) -> None:
    """Llama 2's 7 B on A100s: by operations alone at half the peak, 2 T tokens are 143 k hours."""
    run = {**RUN, "model": "Llama-2-7b", "gpu": "A100", "tokens": 2e12, "gpu_hours": 184320}
    assert 143_000 < checked(tmp_path / "rows.jsonl", run)["rows"][0]["whole_run"]["value"] < 230_000


def test_a_time_that_a_row_does_not_give_follows_from_its_throughput(tmp_path: Path) -> None:
    """Two micro-batches of 16,384 tokens on each of 8 GPUs; 512 completions of 1,000 tokens with prompts of 105 on 32."""
    step = {**STEP, "step_seconds": None, "tokens_per_second_all_gpus": 2 * 16384 * 8 / 5.0}
    rl = {**RL, "step_seconds": None, "sequences_per_step": 512, "mean_new_tokens": 1000, "tokens_per_second_per_gpu": 200.0}
    rows = checked(tmp_path / "rows.jsonl", step, rl, {**step, "lora_rank": None})["rows"]
    published = [row["step_time"]["published"] for row in rows]
    assert published == [pytest.approx(5.0), pytest.approx(512 * 1105 / 32 / 200), None]  # that of full RL counts other seconds
    assert rows[0]["notes"] == ["step_seconds not given: by tokens_per_second_all_gpus"]
    assert "step_seconds not given: by tokens_per_second_per_gpu" in rows[1]["notes"]


def test_degrees_in_one_list_and_in_fields_are_the_same(tmp_path: Path) -> None:
    fields, together = {"tp": 2, "pp": 2}, {"train_tp_cp_ep_pp": [2, 1, 1, 2]}
    memories = [
        row["memory"]["value"]
        for row in checked(tmp_path / "rows.jsonl", *({**STEP, **each} for each in (fields, together)))["rows"]
    ]
    assert memories[0] == memories[1]


def test_an_rl_row_that_is_too_large_names_its_largest_term(tmp_path: Path) -> None:
    row = {**RL, "model": "Qwen2.5-72B", "gpu": "H100", "gpus": 1, "fits": False}
    assert "most of it optimiser states" in checked(tmp_path / "rows.jsonl", row)["rows"][0]["fits"]["why"]


def test_more_processes_for_one_layer_leave_each_less(tmp_path: Path) -> None:
    plain, divided = checked(tmp_path / "rows.jsonl", STEP, {**STEP, "tp": 4})["rows"]
    assert divided["memory"]["value"] < plain["memory"]["value"]


def test_a_model_of_unknown_name_is_taken_as_one_of_its_size_and_that_is_noted(tmp_path: Path) -> None:
    content = checked(tmp_path / "rows.jsonl", {**STEP, "model": "Somebody-9B"})
    assert content["rows"][0]["notes"] == ["Somebody-9B is not known: taken as qwen3-8b, the nearest in size, with 40 layers"]


def test_a_kernel_that_a_gpu_does_not_have_is_why_a_step_does_not_run(tmp_path: Path) -> None:
    content = checked(tmp_path / "rows.jsonl", {**STEP, "gpu": "NVIDIA B200", "fits": False})
    assert content["fits"] == {"rows": 1, "right": 1}
    assert content["rows"][0]["fits"]["why"] == "flash_attention_3 has no kernels for B200 (blackwell)"


def test_a_step_that_is_too_large_names_its_largest_term(tmp_path: Path) -> None:
    content = checked(tmp_path / "rows.jsonl", {**STEP, "type": "sft", "lora_rank": None, "seq_len": 131072, "fits": False})
    assert content["rows"][0]["fits"]["predicted"] is False
    assert "most of it logits" in content["rows"][0]["fits"]["why"]


def test_context_parallelism_is_read_from_a_field_or_the_id(tmp_path: Path) -> None:
    rows = ({**STEP, "cp": 4}, {**STEP, "id": "step-cp4-ep1"}, STEP)
    content = checked(tmp_path / "rows.jsonl", *rows)
    by_field, by_id, plain = (row["memory"]["value"] for row in content["rows"])
    assert by_field == by_id < plain


def test_the_page_lists_every_row_worst_first(tmp_path: Path) -> None:
    rows, left = read_rows(written(tmp_path / "rows.jsonl", STEP, {**STEP, "id": "far", "step_seconds": 900}, "{"), HARDWARE)
    page = errors_page(check_rows(rows, read_factors()), left)
    times = page[page.index("## Time of a step") : page.index("## Fits or not")]
    assert times.index("| far |") < times.index("| step-8xh100-cp1-ep1 |")
    assert "- line 3, line 3: Expecting property name" in page


def test_an_id_cannot_break_the_page(tmp_path: Path) -> None:
    rows, left = read_rows(written(tmp_path / "rows.jsonl", {**STEP, "id": "one\n| two |"}), HARDWARE)
    assert "| one \\| two \\| | 15 |" in errors_page(check_rows(rows, read_factors()), left)


def test_factors_are_fitted_on_rows_of_even_hash_alone_and_never_on_whole_runs(tmp_path: Path) -> None:
    names = [f"row-{number}" for number in range(6)]
    rows, _ = read_rows(written(tmp_path / "rows.jsonl", *({**STEP, "id": name} for name in names), RUN), HARDWARE)
    even = {row.id for row in rows if row.is_fitted}
    assert 0 < len(even) < 6
    assert set(fit_on(rows).fitted_on) == even
    assert not any(row.is_fitted for row in rows if row.what == "whole run")
    with pytest.raises(DataError, match="no row to fit on"):
        fit_on([row for row in rows if not row.is_fitted])


@pytest.mark.skipif("COGITATE_DATA" not in os.environ, reason="COGITATE_DATA is not set: no published rows")
def test_published_rows_that_nothing_was_fitted_on_are_within_the_bars() -> None:
    rows, _ = read_rows(Path(os.environ["COGITATE_DATA"]) / "planner" / "published.jsonl", HARDWARE)
    factors = read_factors()
    unseen = [row for row in rows if not row.is_fitted]
    assert not {row.id for row in unseen} & set(factors.fitted_on)
    content = validation(check_rows(unseen, factors), [])
    assert content["memory"]["median_error"] < 0.10
    assert content["memory"]["p90_error"] < 0.25
    assert content["step_time"]["median_error"] < 0.25
    assert content["fits"]["right"] == content["fits"]["rows"]
    for group, widest in (("memory", 0.25), ("step_time", 0.5)):
        assert content[group]["covered"] >= 0.8
        assert content[group]["median_half_width"] <= widest
