"""What a card says of the data and tokens that a stage learnt from."""

from pathlib import Path

from benchmarks.ship import thinned
from cogitate.apps.report.cards.section import tokens_of
from cogitate.apps.report.data import Row, Run, StageRecord, find_stages
from cogitate.recipe.recipe import R1
from cogitate.recipe.run_directory.store import SHIPPED

ROWS: list[Row] = [{"step": step, "loss": 1.5, "tokens": 2000 + step} for step in range(25)]
READ = 25 * 2000 + 24 * 25 // 2


def run_of(rows: list[Row], tokens: int | None = None) -> Run:
    base = StageRecord("base", Path("base"), True, rows, [], {}, 1.0, tokens)
    return Run(Path(), 0, {}, {}, {"base": base}, None, None)


def test_tokens_are_those_of_all_steps_of_a_whole_log() -> None:
    assert tokens_of(run_of(ROWS), "base") == READ


def test_tokens_of_a_shipped_log_are_those_of_the_steps_that_it_leaves_out_too() -> None:
    assert tokens_of(run_of(thinned(ROWS), READ), "base") == READ


def test_a_stage_without_a_log_has_none() -> None:
    assert tokens_of(run_of([]), "base") == tokens_of(run_of(ROWS), "r1_zero") == 0


def test_the_shipped_bases_have_read_what_their_settings_say() -> None:
    for place, steps, of_step in ((SHIPPED, 4200, 4096), (SHIPPED / "puzzles", 12720, 2048)):
        (base,) = (stage for stage in find_stages(place, R1) if stage.name == "base")
        assert base.tokens is not None
        assert base.rows[-1]["step"] == steps - 1
        assert 0.95 * steps * of_step < base.tokens < 1.05 * steps * of_step
