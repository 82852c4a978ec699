"""The shipped experiment on generation in fewer bits."""

from pathlib import Path

from cogitate.apps.experiment.definition import read_experiment

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def test_variants_differ_in_the_bits_that_are_generated_from_and_in_the_correction() -> None:
    experiment = read_experiment(EXPERIMENTS / "fewer_bits.toml")
    assert {name: config.runtime.weight_bits for (name, seed), config in experiment.runs.items() if seed == 0} == {
        "whole": 0, "eight_bits": 8, "eight_bits_masked": 8, "four_bits": 4,
    }  # fmt: skip
