"""Pooling of several seeds by hand-worked numbers, each claim on both sides of its line, and the page that is made of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evidence.claims import of_puzzles, of_tiny
from benchmarks.evidence.page import as_markdown, write_stages
from benchmarks.evidence.pool import MODELS, load_seeds, pool_difference, pool_rate, pool_table, pool_votes
from benchmarks.evidence.r1_zero import write_r1_zero
from benchmarks.evidence.run import main
from cogitate.errors import ArtifactError
from tests.benchmarks.evidence.written_runs import write_run

# Means of the four problems: 1, .5, 0, 1 and 1, 1, 0, .5. Over seeds 1, .75, 0, .75, mean .625; each seed's mean is .625, too.
SOME = ([(1, 1), (1, 0), (0, 0), (1, 1)], [(1, 1), (1, 1), (0, 0), (0, 1)])
# Variance of the four problems' means: (.375^2 + 2 x .125^2 + .625^2) / 3 / 4 = .046875; that of seeds is below what problems
# and completions explain, so it adds nothing; 3 degrees of freedom: t = 3.1824.
HALF = 3.1824 * math.sqrt(0.046875)
MakeRuns = Callable[..., list[Path]]
NONE, ALL = [(0, 0)] * 4, [(1, 1)] * 4


@pytest.fixture
def make(tmp_path: Path) -> MakeRuns:
    """Two seeds, of which the models named have other columns: one value for both, or a tuple of two."""

    def make_runs(seconds: Mapping[str, float] | None = None, **models: Mapping[str, Any]) -> list[Path]:
        directories = []
        for seed in (0, 1):
            given = {
                model: {name: value[seed] if isinstance(value, tuple) else value for name, value in columns.items()}
                for model, columns in models.items()
            }
            number = len(list(tmp_path.iterdir()))
            directories.append(write_run(tmp_path / f"run-{number}", seed, given, seconds=seconds))
        return directories

    return make_runs


def claims_of(make: MakeRuns, **models: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The claims by their first words."""
    return {claim["claim"].split(":")[0]: claim for claim in of_tiny(load_seeds(make(**models)))}


def test_a_rate_is_pooled_over_seeds_at_the_prompt_the_model_is_scored_by(make: MakeRuns) -> None:
    seeds = load_seeds(make(r1={"right": SOME}))
    assert pool_rate(seeds, "r1", "pass@1").value == 0.625
    assert pool_rate(seeds, "r1", "pass@1", "sums").value == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert pool_rate(seeds, "r1", "pass@1", "code").value == pytest.approx((0 + 1 + 0 + 0.5) / 4)
    assert pool_rate(seeds, "r1", "format_rate").value == 1.0
    assert pool_rate(seeds, "r1", "language_mix_rate").value == 0.0  # that of the general prompts does not count


def test_a_difference_is_paired_by_seed_and_problem(make: MakeRuns) -> None:
    difference = pool_difference(load_seeds(make(r1={"right": SOME}, r1_dev3={"right": NONE})), "r1", "r1_dev3", "pass@1")
    assert difference.value == 0.625
    assert difference.low == pytest.approx(0.625 - HALF)
    assert difference.high == 1.0  # and never more


def test_pairs_of_the_same_values_differ_by_nothing_however_they_scatter(make: MakeRuns) -> None:
    seeds = load_seeds(make(r1={"right": SOME}, r1_dev3={"right": SOME}))
    assert pool_difference(seeds, "r1", "r1_dev3", "pass@1").value == 0.0


def test_a_problem_without_a_verdict_at_one_seed_is_left_out_of_the_difference_of_all(make: MakeRuns) -> None:
    lost = ([(None, None), (0, 0), (0, 0), (0, 0)], NONE)
    seeds = load_seeds(make(r1={"right": SOME}, r1_dev3={"right": lost}))
    # Left are the problems .5, 0, 1 and 1, 0, .5, whose mean is .5.
    assert pool_difference(seeds, "r1", "r1_dev3", "pass@1").value == pytest.approx(0.5)


def test_votes_are_counted_by_problem_and_paired_with_the_completions_that_voted(make: MakeRuns) -> None:
    outvoted = [("7", True), ("8", False), ("8.", False)]  # one answer twice: the right one loses
    tied = [("7", True), ("8", False), (None, False)]
    seeds = load_seeds(make(r1={"votes": ([outvoted, tied], [tied, tied])}))
    votes = pool_votes(seeds, "r1")
    assert (votes["k"], votes["problems"]) == (3, 2)
    assert votes["cons@k"]["value"] == pytest.approx((0 + 0.5 + 0.5 + 0.5) / 4)
    assert votes["pass@1"]["value"] == pytest.approx(1 / 3)
    assert votes["difference"]["value"] == pytest.approx(0.375 - 1 / 3)


def test_the_table_has_every_model_by_task_with_what_it_is_scored_by_and_its_seconds(make: MakeRuns) -> None:
    pooled = pool_table(load_seeds(make(r1={"right": SOME, "safety": [(1, 0.5), (0.5, 0)]}, seconds={"r1": 42.0})))
    assert list(pooled["models"]) == list(MODELS)
    assert pooled["problems"] == {"sums": 2, "code": 2, "general": 1, "safety": 1}
    row = pooled["models"]["r1"]
    assert row["pass@1"].keys() == {"sums", "code", "all"}
    assert {task: value["value"] for task, value in row["safety"].items()} == {"general": 0.75, "safety": 0.25, "all": 0.5}
    assert row["scored by"]["prompt"] == ["r1", "r1"]
    assert pooled["models"]["base"]["scored by"]["contract"] == ["free", "free"]
    assert (row["seconds"], pooled["seconds"]["cold_start"]) == ([42.0, 42.0], [10.0, 10.0])


def test_language_mix_is_judged_by_its_values_and_the_interval_is_told_apart(make: MakeRuns) -> None:
    one_of_eight = [(1, 0), (0, 0), (0, 0), (0, 0)]
    claims = claims_of(make, r1_zero={"language_mix": one_of_eight})
    zero, dev2 = (claims[name] for name in claims if "mixes" in name)
    assert (zero["verdict"], zero["settled"]) == ("holds", False)  # 12.5 %, of four problems
    assert dev2["verdict"] == "holds"
    assert dev2["parts"][0]["figures"]["allowed"] == pytest.approx(0.0125)
    claims = claims_of(make, r1_dev2={"language_mix": one_of_eight})
    zero, dev2 = (claims[name] for name in claims if "mixes" in name)
    assert (zero["verdict"], dev2["verdict"]) == ("does not hold", "does not hold")
    assert dev2["parts"][0]["figures"]["allowed"] == 0.005


def test_accuracy_is_kept_only_where_the_lower_bound_says_so(make: MakeRuns) -> None:
    name = "RL with the language reward keeps accuracy"
    assert claims_of(make, r1_dev2={"right": ALL}, r1_zero={"right": NONE})[name]["verdict"] == "holds"
    uncertain = claims_of(make, r1_dev2={"right": SOME}, r1_zero={"right": NONE})[name]
    assert uncertain["parts"][0]["figures"]["difference in pass@1 of these runs"]["value"] == 0.625
    assert uncertain["verdict"] == "does not hold"  # the bound is 0.625 - 0.689
    half = ALL, [(1, 0)] * 4  # every problem gains 0.75 in these runs, but one seed gains 1 and the other 0.5
    claim = claims_of(make, r1_dev2={"right": half}, r1_zero={"right": NONE})[name]
    assert (claim["verdict"], claim["settled"]) == ("holds", False)


def test_a_score_rises_by_its_value_and_the_interval_is_told_apart(make: MakeRuns) -> None:
    name = "RL over all scenarios raises helpfulness"
    risen = claims_of(make, r1={"helpfulness": [(0.75, 0.75), (0.5, 0.5)]})[name]
    assert risen["parts"][0]["figures"]["difference in helpfulness"]["value"] == pytest.approx(0.125)
    assert (risen["verdict"], risen["settled"]) == ("holds", False)
    assert claims_of(make)[name]["verdict"] == "does not hold"  # the same is no rise
    assert claims_of(make, r1={"helpfulness": [(0.4, 0.5), (0.5, 0.5)]})[name]["verdict"] == "does not hold"


def test_rl_beats_its_base_only_where_the_intervals_do_not_touch_in_both_families(make: MakeRuns) -> None:
    name = "RL alone beats its student base"
    trained = {f"student_rl_{family}": {"right": ALL} for family in ("llama", "qwen")}
    nothing = {f"student_base_{family}": {"right": NONE} for family in ("llama", "qwen")}
    both = claims_of(make, **trained)[name]
    assert [part["holds"] for part in both["parts"]] == [False, False]  # all of four against half: they touch
    assert [part["of"] for part in both["parts"]] == ["Llama", "Qwen"]
    one = claims_of(make, **{**trained, **nothing, "student_rl_qwen": {"right": NONE}})[name]
    # Wilson's ends of four of four and of none of four: 4 / (4 + 1.96^2) = 0.51 and 0.49.
    assert [part["holds"] for part in one["parts"]] == [True, False]
    assert one["verdict"] == "does not hold"
    assert claims_of(make, **trained, **nothing)[name]["verdict"] == "holds"


def test_distillation_beats_rl_alone_only_where_that_took_at_least_as_long(make: MakeRuns) -> None:
    name = "Distillation beats RL alone of at least the same seconds"
    models = {f"r1_distill_{family}": {"right": ALL} for family in ("llama", "qwen")}
    models |= {f"student_rl_{family}": {"right": NONE} for family in ("llama", "qwen")}
    assert claims_of(make, **models)[name]["verdict"] == "holds"
    unfair = claims_of(make, **models, seconds={"student_rl_qwen": 9.9})[name]
    assert [part["holds"] for part in unfair["parts"]] == [True, False]
    assert unfair["verdict"] == "does not hold"
    assert unfair["parts"][1]["figures"]["seconds of RL alone by seed"] == [9.9, 9.9]


def test_the_vote_has_to_help_every_model(make: MakeRuns) -> None:
    name = "The majority vote is above pass@1 of the same completions"
    helped = claims_of(make)[name]
    assert len(helped["parts"]) == 12
    assert helped["verdict"] == "holds"
    sure = [[("7", True)] * 3] * 2
    claim = claims_of(make, r1={"votes": sure})[name]
    assert [part["of"] for part in claim["parts"] if not part["holds"]] == ["R1"]
    assert claim["verdict"] == "does not hold"


def test_the_claims_of_puzzles_go_along_the_recipe(make: MakeRuns) -> None:
    """A base that is never right, R1-Zero always, and the cold start half of the time."""
    models = {"base": {"right": NONE}, "r1_zero": {"right": ALL}, "r1_dev1": {"right": SOME}, "r1_dev2": {"right": SOME}}
    claims = {claim["claim"].split(":")[0]: claim for claim in of_puzzles(load_seeds(make(**models, r1={"right": ALL})))}
    verdicts = {name: claim["verdict"] for name, claim in claims.items()}
    assert verdicts["Pure RL raises accuracy"] == verdicts["The cold start costs accuracy"] == "holds"
    assert verdicts["Reasoning RL wins it back"] == "does not hold"  # the same rows: no difference
    assert verdicts["All later stages win it back"] == "holds"
    lost = claims["The cold start costs accuracy"]["parts"][0]
    assert lost["of"] == "R1-Zero - R1-Dev1"
    assert lost["figures"]["difference in pass@1"]["value"] == 0.375


def test_the_page_prints_each_verdict_and_the_files_stand_beside_it(make: MakeRuns, tmp_path: Path) -> None:
    seeds = load_seeds(make(r1_zero={"language_mix": [(1, 0), (0, 0), (0, 0), (0, 0)]}, r1={"right": SOME}))
    page = write_stages(seeds, "tiny", tmp_path / "r1").read_text(encoding="utf-8")
    found = {path.name for path in (tmp_path / "r1").iterdir()}
    assert found == {"README.md", "pooled.json", "stages.png", "seed-0.results.json", "seed-1.results.json"}
    pooled = json.loads((tmp_path / "r1" / "pooled.json").read_text(encoding="utf-8"))
    assert as_markdown(pooled) == page
    for number, claim in enumerate(pooled["claims"], 1):
        note = " (interval undecided)" if claim["holds"] and not claim["settled"] else ""
        assert f"{number}. {claim['claim']}: **{claim['verdict']}{note}**" in page
    held = sum(claim["verdict"] == "holds" for claim in pooled["claims"])
    assert 0 < held < 9
    assert f"{held} of 9 claims hold." in page
    assert "| R1 | 87.5 [" in page
    assert "| Base | few-shot | think and answer tags | free | plain turn |" in page
    assert (tmp_path / "r1" / "stages.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_of_r1_zero_has_two_models_and_their_minutes(make: MakeRuns, tmp_path: Path) -> None:
    seeds = load_seeds(make(r1_zero={"right": SOME}, base={"right": NONE}))
    write_r1_zero(seeds, tmp_path / "r1_zero")
    results = json.loads((tmp_path / "r1_zero" / "seed-1.results.json").read_text(encoding="utf-8"))
    assert list(results["stages"]) == ["base", "r1_zero"]
    pooled = json.loads((tmp_path / "r1_zero" / "pooled.json").read_text(encoding="utf-8"))
    assert pooled["pass@1"]["all"]["gain"]["value"] == 0.625
    assert pooled["rank correlation of thinking tokens with the step"] == [1.0, 1.0]
    page = (tmp_path / "r1_zero" / "README.md").read_text(encoding="utf-8")
    assert "Minutes by seed: 0.5, 0.5." in page  # 10 s each of r1_zero and two evaluations; base is shipped
    assert "| all | 4 | 0.000 [0.00, 0." in page


def test_runs_that_cannot_be_pooled_are_refused(make: MakeRuns, tmp_path: Path) -> None:
    first, second = make()
    with pytest.raises(ArtifactError, match="seeds are \\[0, 0\\]"):
        load_seeds([first, first])
    with pytest.raises(ArtifactError, match="no finished run there"):
        load_seeds([tmp_path / "nothing"])
    completions = second / "evaluate.r1" / "completions.jsonl"
    lines = completions.read_text(encoding="utf-8").splitlines(keepends=True)
    completions.write_text("".join(line for line in lines if '"problem_id": "d"' not in line), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"evaluate\.r1: its problems \(judged\)"):
        load_seeds([first, second])
    completions.write_text("".join(lines).replace('"reflection"', '"thoughts"'), encoding="utf-8")
    with pytest.raises(ArtifactError, match="made by an earlier version"):
        load_seeds([first, second])


def test_the_command_pools_the_runs_it_is_given_and_says_what_is_wrong(
    make: MakeRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directories = [str(directory) for directory in make()]
    out = tmp_path / "results"
    assert main(["tiny", "--pool-only", "--runs", *directories, "--out", str(out)]) == 0
    assert (out / "r1" / "README.md").is_file()
    assert (out / "r1_zero" / "curve.png").is_file()
    assert "What it shows" in capsys.readouterr().out
    assert main(["tiny", "--pool-only", "--runs", directories[0], directories[0], "--out", str(out)]) == 2
    assert "each seed can be pooled once" in capsys.readouterr().err
