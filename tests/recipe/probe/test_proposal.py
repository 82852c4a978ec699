"""proposal.toml, and the settings that stages take from it."""

import tomllib
from pathlib import Path

import pytest

from cogitate.config import Config, ZeroRLConfig
from cogitate.errors import ArtifactError
from cogitate.recipe.probe.proposal import Proposed, with_proposals, write_proposal
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe
from cogitate.types import Artifact

EXAMPLE = {"question": 'What is "2 + 2"?', "thinking": "2 + 2 = 4", "answer": "4"}
PROPOSED = [
    Proposed("worked_examples", [EXAMPLE, EXAMPLE], "two of the model's own"), Proposed("prompt", "plain", "as good as any"),
    Proposed("open_thinking", True, "it keeps the form"), Proposed("group_size", 32, "few are right"),
]  # fmt: skip
LEFT = 'r1_zero.from_probe=["prompt", "open_thinking", "worked_examples", "group_size"]'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_proposal(tmp_path / "proposal.toml", "r1_zero", PROPOSED, ["A head.", ""])
    return load_recipe("own", [f"inputs.base={tmp_path}", "tasks.train=arithmetic", LEFT])


def test_a_proposal_is_a_recipes_section_with_reasons(config: Config, tmp_path: Path) -> None:
    text = (tmp_path / "proposal.toml").read_text()
    assert tomllib.loads(text)["r1_zero"] == {
        "prompt": "plain", "open_thinking": True, "group_size": 32, "worked_examples": [EXAMPLE, EXAMPLE],
    }  # fmt: skip
    assert text.startswith("# A head.\n#\n\n[r1_zero]\n# as good as any\nprompt = ")


def test_a_stage_takes_what_it_leaves_to_the_probe_and_nothing_else(config: Config, tmp_path: Path) -> None:
    graph = graph_of(config)
    probe = Artifact("probe", "id", tmp_path)
    for inputs in ({"probe": probe}, {"r1_zero": probe}, {"probe": Artifact("probe", "id", tmp_path / "proposal.toml")}):
        taken = with_proposals(config, graph, inputs).section("r1_zero", ZeroRLConfig)
        assert (taken.group_size, taken.open_thinking, taken.steps) == (32, True, ZeroRLConfig().steps)
        assert [one.model_dump() for one in taken.worked_examples] == [EXAMPLE, EXAMPLE]
    assert with_proposals(config, graph, {"base": probe}) is config
    own = load_recipe("own", [f"inputs.base={tmp_path}", "tasks.train=arithmetic", 'r1_zero.from_probe=["prompt"]'])
    assert with_proposals(own, graph, {"probe": probe}).section("r1_zero", ZeroRLConfig).group_size == ZeroRLConfig().group_size


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[r1_zero]\nprompt = 'plain'", r"\[r1_zero\] has no open_thinking, which r1_zero.from_probe leaves to it"),
        ("prompt", "not a TOML file"),
        ("r1_zero = 3", "r1_zero is no section"),
        ("[r1_zero]\nprompt = 'turn'\nopen_thinking = true\nworked_examples = []\ngroup_size = 1", "r1_zero.group_size = 1: "),
    ],
)  # fmt: skip
def test_a_proposal_that_cannot_be_used_is_one_line(config: Config, tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "proposal.toml").write_text(text)
    with pytest.raises(ArtifactError, match=fault):
        with_proposals(config, graph_of(config), {"probe": Artifact("probe", "id", tmp_path)})


def test_a_model_without_its_proposal_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "proposal.toml").unlink()
    with pytest.raises(ArtifactError, match=r"proposal.toml: cannot be read: .*; r1_zero takes settings from it"):
        with_proposals(config, graph_of(config), {"r1_zero": Artifact("r1_zero", "id", tmp_path)})
