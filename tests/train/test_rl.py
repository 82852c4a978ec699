"""GRPO end to end on a model of 20,000 parameters, with the real engine, grader workers and learner."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate import runtime
from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.engine.generator import Engine
from cogitate.errors import DataError, Interrupted, TrainingDivergedError
from cogitate.model.files.hf import load_model
from cogitate.rewards.reward import total_reward
from cogitate.rewards.workers.pool import GraderPool
from cogitate.runtime import MetricsLog, request_interruption
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.checkpoint import latest_checkpoint
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.pools import Pool
from cogitate.train.rl import Reward, RLRun, Score, by_rules, train_rl
from cogitate.train.rollouts import Sampled
from cogitate.types import Problem, Rollout, Verdict

CONFIG = RLConfig(
    steps=6, prompts_per_step=4, group_size=8, max_new_tokens=4, learning_rate=5e-3, checkpoint_every=2, transcripts_every=2,
    dead_steps_limit=3, kl_beta=0.01,
)  # fmt: skip


@pytest.fixture(scope="module")
def grader() -> Iterator[GraderPool]:
    with GraderPool(workers=1, seconds_limit=20.0) as pool:
        yield pool


def digits_wanted(gold: str, count: int = 6) -> list[Problem]:
    return [Problem(f"{gold}-{i}", "digits", "exact", "Say a number.", gold=gold) for i in range(count)]


def accuracy(verdict: Verdict, text: str, problem: Problem) -> tuple[float | None, dict[str, float]]:
    return total_reward(verdict, text, problem, weights={"accuracy": 1.0}, format="r1_zero")


@dataclass
class Loop:
    """One run of the loop in a directory of its own."""

    folder: Path
    model: Path
    grader: GraderPool
    problems: Sequence[Problem] = field(default_factory=lambda: digits_wanted("7"))
    config: RLConfig = CONFIG
    reward: Callable[[Verdict, str, Problem], Reward] = accuracy
    score: Score | None = None
    general: Pool | None = None
    on_row: Callable[[dict[str, Any]], None] | None = None
    prompt: str = "{question} Digit:"
    said: list[str] = field(default_factory=list)
    began: list[tuple[int, int]] = field(default_factory=list)

    def train(self) -> dict[str, Any]:
        (self.folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        tokenizer = Tokenizer.load(self.model)
        self.learner = GRPOLearner(load_model(self.model), self.config)
        return train_rl(
            RLRun(
                name="r1_zero",
                seed=3,
                config=self.config,
                problems=self.problems,
                probes=self.problems[:2],
                prompt_of=lambda problem: self.prompt.format(question=problem.question),
                contract="bare",
                score=self.score or by_rules(self.reward),
                general=self.general,
                measure=lambda rollouts: {"texts": len({rollout.text for rollout in rollouts})},
                describe=lambda step, rollout: {"step": step, "text": rollout.text, "reward": rollout.reward},
                tokenizer=tokenizer,
                learner=self.learner,
                generator=Engine(load_model(self.model), end_id=tokenizer.end_id, max_batch=16),
                grader=self.grader,
                metrics=MetricsLog(self.folder / "metrics.jsonl", self.on_row),
                checkpoint=self.folder / "checkpoint",
                weights=self.folder / "checkpoint" / "policy",
                transcripts=self.folder / "transcripts.jsonl",
                begin=lambda steps, first: self.began.append((steps, first)),
                say=self.said.append,
            )
        )

    def rows(self) -> list[dict[str, Any]]:
        """The log without times."""
        written = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if "second" not in key} for row in written]

    def column(self, name: str) -> list[float]:
        return [row[name] for row in self.rows()]

    def weights(self) -> dict[str, torch.Tensor]:
        return self.learner.model.state_dict()

    def transcripts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "transcripts.jsonl").read_text().splitlines()]


@pytest.fixture
def loop(tmp_path: Path, digit_model: Path, grader: GraderPool) -> Callable[..., Loop]:
    def make(name: str = "run", **changes: Any) -> Loop:
        settings = {key: changes.pop(key) for key in list(changes) if key in RLConfig.model_fields}
        return Loop(tmp_path / name, digit_model, grader, config=CONFIG.model_copy(update=settings), **changes)

    return make


def equal_weights(first: Loop, second: Loop) -> None:
    theirs = second.weights()
    for name, tensor in first.weights().items():
        assert torch.equal(tensor, theirs[name]), name


def test_it_learns_to_say_the_digit_that_is_rewarded(loop: Callable[..., Loop]) -> None:
    run = loop(steps=18)
    assert run.train() == {}
    rewards = run.column("reward")
    assert rewards[0] < 0.35  # any digit at first
    assert min(rewards[-3:]) > 0.8
    assert run.column("accuracy") == rewards
    assert run.column("accuracy.digits") == rewards
    learnt_from = [row for row in run.rows() if "loss" in row]  # in the end a step may have nothing to learn
    assert learnt_from[-1]["entropy"] < learnt_from[0]["entropy"]
    assert learnt_from[0]["kl"] == pytest.approx(0.0, abs=1e-5)
    assert learnt_from[-1]["kl"] > 0.01
    assert len(run.said) == 18 - len(learnt_from)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(loop: Callable[..., Loop], method: str) -> None:
    run = loop(transcripts_every=100)
    run.config = RLConfig(
        method=method, steps=2, prompts_per_step=2, group_size=8, max_new_tokens=4, learning_rate=5e-3, kl_beta=0.01,
        dynamic_sampling_batches=1, minibatches=2,
    )  # fmt: skip
    run.train()
    before = load_model(run.model).state_dict()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in run.weights().items())
    learnt_from = [row for row in run.rows() if "loss" in row]  # a step may have nothing to learn
    assert all(math.isfinite(row["loss"]) for row in learnt_from)
    assert learnt_from[-1]["kl"] > 0.0


def test_sampler_and_learner_agree_at_every_step(loop: Callable[..., Loop]) -> None:
    run = loop(steps=4, temperature=0.7)
    run.train()
    assert max(run.column("logprob_gap_max")) < 1e-3
    assert run.column("ratio_mean") == [1.0] * 4
    assert run.column("clip_share") == [0.0] * 4


def test_every_step_is_logged_with_all_that_is_promised(loop: Callable[..., Loop]) -> None:
    run = loop(steps=2)
    run.train()
    promised = {
        "step", "reward", "reward.accuracy", "reward.format", "accuracy", "completion_tokens", "truncated_share",
        "no_verdict_share", "dead_groups", "loss", "entropy", "kl", "clip_share", "logprob_gap", "gradient_norm",
        "learning_rate", "tokens_generated", "tokens_trained",
    }  # fmt: skip
    assert all(promised <= row.keys() for row in run.rows())
    written = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    for row in written:
        phases = [row[f"seconds.{name}"] for name in ("generate", "grade", "train", "sync")]
        assert 0 < sum(phases) <= row["seconds"]
        assert row["tokens_per_second.generate"] == pytest.approx(row["tokens_generated"] / row["seconds.generate"])
        assert row["tokens_generated"] == pytest.approx(32 * row["completion_tokens"])


def test_easy_problems_come_first_and_then_all(loop: Callable[..., Loop]) -> None:
    asked: list[list[int]] = [[]]

    def note(batch: Sequence[Sampled]) -> list[Any]:
        asked[-1] += [int(sampled.problem.id) for sampled in batch]
        return [accuracy(sampled.verdict, sampled.text, sampled.problem) for sampled in batch]

    easy_to_hard = [Problem(str(i), "digits", "exact", f"Say a number{' 1' * i}.", gold="7") for i in range(12)]
    run = loop(
        steps=9, transcripts_every=100, score=note, problems=easy_to_hard[::-1], prompt="Say a number. Digit:",
        prompts_per_step=4, easy_first_steps=4, on_row=lambda row: asked.append([]), group_size=2, dead_steps_limit=99,
    )  # fmt: skip
    run.train()
    asked[0] = asked[0][:8]  # the probes of the first step are asked last
    assert [max(step) for step in asked[:4]] <= [3, 5, 7, 9]
    assert max(asked[0]) == 3  # the easiest third, all of which one step asks
    assert max(max(step) for step in asked[4:9]) == 11


def test_problems_come_round_evenly(loop: Callable[..., Loop]) -> None:
    asked: list[str] = []

    def note(verdict: Verdict, text: str, problem: Problem) -> tuple[float | None, dict[str, float]]:
        asked.append(problem.id)
        return accuracy(verdict, text, problem)

    loop(steps=3, transcripts_every=100, reward=note).train()
    assert len(asked) == 3 * 32 + 2 * 4  # and two completions of two probes at the first and the last step
    groups = (asked[:32] + asked[36:100])[::8]
    assert sorted(groups[:6]) == sorted(groups[6:]) == [f"7-{i}" for i in range(6)]


def test_transcripts_ask_the_same_probes_at_chosen_steps_and_at_the_last(loop: Callable[..., Loop]) -> None:
    run = loop(steps=6, transcripts_every=4)
    run.train()
    rows = run.transcripts()
    assert [row["step"] for row in rows] == [0] * 4 + [4] * 4 + [5] * 4


def raise_at(step: int) -> Callable[[dict[str, Any]], None]:
    def on_row(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise KeyboardInterrupt  # as a kill right after the row was written: nothing else is saved

    return on_row


@pytest.mark.parametrize("killed_at", [0, 2, 5])
def test_a_killed_run_goes_on_to_the_same_weights_rows_and_transcripts(loop: Callable[..., Loop], killed_at: int) -> None:
    whole = loop("whole")
    whole.train()
    killed = loop("killed", on_row=raise_at(killed_at))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = loop("killed")
    resumed.train()
    assert resumed.began == [(6, killed_at // 2 * 2)]
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()
    assert resumed.transcripts() == whole.transcripts()


def test_a_signal_saves_the_steps_done_and_the_run_goes_on_to_the_same_bits(
    loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    settings = {"minibatches": 2, "reference_refresh_steps": 3, "dynamic_sampling": True}
    whole = loop("whole", **settings)
    whole.train()
    stopped = loop("stopped", on_row=lambda row: request_interruption(2) if row["step"] == 2 else None, **settings)
    with pytest.raises(Interrupted, match="stopped at step 3 of r1_zero; the same command goes on from there") as error:
        stopped.train()
    assert error.value.exit_code == 130
    checkpoint = latest_checkpoint(stopped.folder / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.name == "step-000003"
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    resumed = loop("stopped", **settings)
    resumed.train()
    assert resumed.began == [(6, 3)]
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()


def test_steps_without_a_signal_change_nothing_and_stop_the_run_with_the_reason(loop: Callable[..., Loop]) -> None:
    run = loop(problems=digits_wanted("seven"), steps=10)
    summary = run.train()
    reason = "3 steps in a row without any learning signal: in the last one, step 2, no group has rewards that differ"
    assert summary == {"stopped_early": reason}
    assert run.said[0] == "step 0: no group has rewards that differ, so there is nothing to learn from; skipped"
    assert run.said[-1] == reason
    assert run.column("dead_groups") == [1.0] * 3
    assert all("loss" not in row for row in run.rows())
    before = load_model(run.model).state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in run.weights().items())


def test_dead_steps_are_counted_across_an_interruption(loop: Callable[..., Loop]) -> None:
    killed = loop("killed", problems=digits_wanted("seven"), steps=10, dead_steps_limit=5, on_row=raise_at(3))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = loop("killed", problems=digits_wanted("seven"), steps=10, dead_steps_limit=5)
    assert resumed.train()["stopped_early"].startswith("5 steps in a row without any learning signal")
    assert len(resumed.rows()) == 5


def test_a_live_step_starts_the_count_again(loop: Callable[..., Loop]) -> None:
    def now_and_then(verdict: Verdict, text: str, problem: Problem) -> tuple[float | None, dict[str, float]]:
        return (len(text) * (int(problem.id[-1]) == 0), {})

    problems = [Problem(f"p{i}", "digits", "exact", "Say a number.", gold="7") for i in range(4)]
    run = loop(problems=problems, steps=8, reward=now_and_then, prompts_per_step=2, max_new_tokens=6, temperature=2.0)
    assert run.train() == {}  # each epoch of two steps has one with problem 0
    assert len(run.said) == 4


def test_completions_without_a_verdict_are_left_out_of_their_group(loop: Callable[..., Loop]) -> None:
    """The gold of half of the problems cannot be used; the others are learnt from all the same."""
    broken = [Problem(f"b{i}", "broken", "exact", "Say a number.", gold="") for i in range(3)]
    run = loop(problems=[*digits_wanted("7", 3), *broken], steps=3, prompts_per_step=6)
    run.train()
    assert run.column("no_verdict_share") == [0.5] * 3
    assert all(share >= 0.5 for share in run.column("dead_groups"))
    assert all("accuracy.broken" not in row for row in run.rows())
    trained, generated = run.column("tokens_trained"), run.column("tokens_generated")
    prompt = len(Tokenizer.load(run.model).encode("Say a number. Digit:"))
    assert all(t <= g + 24 * prompt for t, g in zip(trained, generated, strict=True))


def test_single_completions_without_a_verdict_take_no_part(loop: Callable[..., Loop]) -> None:
    seen: dict[str, list[float | None]] = {}

    def half_judged(verdict: Verdict, text: str, problem: Problem) -> tuple[float | None, dict[str, float]]:
        rewards = seen.setdefault(problem.id, [])
        rewards.append(None if len(rewards) % 4 else float(len(rewards)))
        return rewards[-1], {}

    run = loop(steps=1, transcripts_every=1000, reward=half_judged, problems=digits_wanted("7", 4))
    updates: list[tuple[list[Rollout], list[float]]] = []
    original = GRPOLearner.update

    def spy(self: GRPOLearner, rollouts: list[Rollout], advantages: list[float]) -> dict[str, float]:
        updates.append((rollouts, advantages))
        return original(self, rollouts, advantages)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRPOLearner, "update", spy)
        run.train()
    ((rollouts, advantages),) = updates
    assert [rollout.reward for rollout in rollouts] == [0.0, 4.0] * 4  # two of eight in each group
    assert advantages == pytest.approx([-(0.5**0.5), 0.5**0.5] * 4)


def test_when_nothing_can_be_judged_the_reason_says_so(loop: Callable[..., Loop]) -> None:
    run = loop(problems=[Problem(f"b{i}", "broken", "exact", "Say a number.", gold="") for i in range(4)], steps=5)
    summary = run.train()
    assert "no completion could be judged (the reference answer is empty)" in summary["stopped_early"]
    assert run.column("no_verdict_share") == [1.0] * 3


def test_dynamic_sampling_draws_further_prompts_in_place_of_dead_groups(loop: Callable[..., Loop]) -> None:
    hopeless = [Problem(f"h{i}", "hopeless", "exact", "Say a number.", gold="seven") for i in range(9)]
    mixed = [*digits_wanted("7", 9), *hopeless]
    plain, dynamic = (
        loop(name, problems=mixed, steps=3, dynamic_sampling=name == "dynamic", dynamic_sampling_batches=3, group_size=12)
        for name in ("plain", "dynamic")
    )
    plain.train()
    dynamic.train()
    assert sum(dynamic.column("tokens_trained")) > 1.2 * sum(plain.column("tokens_trained"))
    assert sum(dynamic.column("tokens_generated")) > 1.2 * sum(plain.column("tokens_generated"))
    assert max(dynamic.column("tokens_generated")) <= 3 * 4 * 12 * CONFIG.max_new_tokens
    assert all(0 < share < 1 for share in dynamic.column("dead_groups"))  # of all groups that were drawn


def test_fewer_problems_than_a_step_needs_is_refused(loop: Callable[..., Loop]) -> None:
    with pytest.raises(DataError, match=r"r1_zero: 3 training problems, but a step needs 4: give more problems or lower"):
        loop(problems=digits_wanted("7", 3)).train()


def test_a_prompt_longer_than_the_context_is_refused_before_any_step_by_its_place(loop: Callable[..., Loop]) -> None:
    long = Problem("long", "mine", "exact", "word " * 130, gold="7", fields={"_place": "mine.jsonl, line 4"})
    run = loop(problems=[*digits_wanted("7", 40), long])
    with pytest.raises(DataError, match=r"mine\.jsonl, line 4: a prompt of \d+ tokens"):
        run.train()
    assert run.began == []


def test_a_loss_that_is_not_a_number_names_the_step_and_the_last_checkpoint(loop: Callable[..., Loop]) -> None:
    run = loop()

    def break_the_model(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            with torch.no_grad():
                run.learner.model.norm.weight[0] = float("nan")

    run.on_row = break_the_model
    pattern = r"step 3 of r1_zero: the loss is nan and its gradient norm nan; the last good checkpoint is .*step-000002; lower"
    with pytest.raises(TrainingDivergedError, match=pattern):
        run.train()


def asked_kindly(count: int = 3) -> list[Problem]:
    return [Problem(f"g{i}", "kindness", "general", f"Greet me {i} times.") for i in range(count)]


def score_with_general(batch: Sequence[Sampled]) -> list[tuple[float | None, dict[str, float]]]:
    """Rules for digits; of general answers the share of nines, as a reward model of the whole batch would give it."""
    ruled = by_rules(accuracy)(batch)
    for number, sampled in enumerate(batch):
        if sampled.problem.kind == "general":
            assert sampled.verdict.value == "none"  # it never went to the grader
            share = sampled.text.count("9") / max(1, len(sampled.text))
            ruled[number] = share, {"helpfulness": share}
    return ruled


def test_general_prompts_join_from_a_step_on_and_are_learnt_from_without_a_grader(loop: Callable[..., Loop]) -> None:
    run = loop(steps=16, general=Pool(asked_kindly(), from_step=1, prompts_per_step=4), score=score_with_general)
    run.train()
    rows = run.rows()
    assert ["reward.helpfulness" in row for row in rows] == ["accuracy.digits" not in row for row in rows]
    assert ["reward.helpfulness" in row for row in rows] == [False] + [True] * 15
    assert run.column("no_verdict_share") == [0.0] * 16
    assert not any("accuracy.kindness" in row for row in rows)
    assert rows[0]["reward"] == rows[0]["accuracy"]
    assert rows[1]["reward"] == rows[1]["reward.helpfulness"] < 0.4
    assert min(row["reward.helpfulness"] for row in rows[-2:]) > 0.6


@pytest.mark.parametrize("killed_at", [3, 5])
def test_both_pools_go_on_where_a_killed_run_left_them(loop: Callable[..., Loop], killed_at: int) -> None:
    drawn: list[list[str]] = []

    def note(batch: Sequence[Sampled]) -> list[tuple[float | None, dict[str, float]]]:
        drawn.append([sampled.problem.id for sampled in batch[:: CONFIG.group_size]])
        return score_with_general(batch)

    settings = {"general": Pool(asked_kindly(5), from_step=1, prompts_per_step=3), "score": note, "transcripts_every": 100}
    whole = loop("whole", **settings)
    whole.train()
    expected = drawn.copy()
    general = [name for names in expected for name in names if name[0] == "g"]
    assert sorted(general[:5]) == sorted(general[5:10]) == sorted(general[10:15]) == [f"g{i}" for i in range(5)]
    drawn.clear()
    with pytest.raises(KeyboardInterrupt):
        loop("killed", on_row=raise_at(killed_at), **settings).train()
    resumed = loop("killed", **settings)
    resumed.train()
    assert drawn[-2:] == expected[-2:]
    row = whole.rows()[-1]
    assert row["reward"] == pytest.approx((row["accuracy.digits"] + 3 * row["reward.helpfulness"]) / 4)
    equal_weights(whole, resumed)
    assert resumed.rows() == whole.rows()
