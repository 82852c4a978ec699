"""Methods of policy optimisation as data: which advantage, loss, average and KL each is made of, and what it has no use for.

Settings are below the algorithms and hold no tensors, so that functions are named here and found in the tables ADVANTAGES,
LOSSES, AVERAGES and KL_ESTIMATORS of `algorithms/`. A method that combines existing pieces is one more row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Settings that only the methods that name them in `reads` read.
OF_SOME_METHODS = ("covariance_share", "covariance_kl", "covariance_low", "covariance_high", "log_ratio_penalty")
ESTIMATOR_AT = {"loss": "k3", "reward": "k1"}  # the KL estimator of each place, where a method's paper has no other


@dataclass(frozen=True, slots=True)
class MethodOfRL:
    """One method of policy optimisation without a critic.

    Attributes:
        title, paper: for readers.
        advantages: name in algorithms.advantages.ADVANTAGES.
        loss: name in algorithms.policy_loss.LOSSES.
        defaults: settings of RLConfig that the paper has other values for than GRPO's; a stage's own defaults give way to them.
        ignores: settings of RLConfig that have no effect; they are refused where they are set to anything but their default.
        reads: settings of OF_SOME_METHODS that have an effect; the others are refused in the same way.
    """

    title: str
    paper: str
    advantages: str = "group"
    loss: str = "clipped"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


METHODS: dict[str, MethodOfRL] = {
    "grpo": MethodOfRL("GRPO", "arXiv:2402.03300"),
    "dr_grpo": MethodOfRL(
        "Dr. GRPO", "arXiv:2503.20783", defaults={"scale_by_std": False, "loss_average": "dr_grpo", "kl_beta": 0.0}
    ),
    "dapo": MethodOfRL(
        "DAPO",
        "arXiv:2503.14476",
        defaults={
            "clip_eps_low": 0.2, "clip_eps_high": 0.28, "loss_average": "token", "dynamic_sampling": True, "kl_beta": 0.0,
            "mask_truncated": True, "overlong_share": 0.2,
        },
    ),
    "gspo": MethodOfRL(
        "GSPO", "arXiv:2507.18071", loss="gspo", defaults={"clip_eps_low": 3e-4, "clip_eps_high": 4e-4}, ignores=("kl_place",)
    ),
    # The paper leaves the lower bound open and gives no number for the upper one: here a weight is at most 5.
    "cispo": MethodOfRL(
        "CISPO",
        "arXiv:2506.13585",
        loss="cispo",
        defaults={"clip_eps_low": 1.0, "clip_eps_high": 4.0, "loss_average": "token", "kl_beta": 0.0},
    ),
    "rloo": MethodOfRL(
        "RLOO",
        "arXiv:2402.14740",
        advantages="rloo",
        loss="reinforce",
        defaults={"loss_average": "dr_grpo", "kl_place": "reward"},
        ignores=("clip_eps_low", "clip_eps_high", "scale_by_std"),
    ),
    "reinforce_pp": MethodOfRL(
        "REINFORCE++",
        "arXiv:2501.03262",
        advantages="reward",
        defaults={"loss_average": "token", "kl_place": "reward", "whiten_tokens": True},
        ignores=("scale_by_std", "dynamic_sampling"),
    ),
    "reinforce_pp_baseline": MethodOfRL(
        "REINFORCE++ with group baseline",
        "arXiv:2501.03262",
        advantages="reinforce_pp_baseline",
        defaults={"loss_average": "token", "kl_estimator": "k2"},
        ignores=("scale_by_std",),
    ),
    "remax": MethodOfRL(
        "ReMax",
        "arXiv:2310.10505",
        advantages="remax",
        loss="reinforce",
        defaults={"loss_average": "dr_grpo", "kl_place": "reward"},
        ignores=("clip_eps_low", "clip_eps_high", "scale_by_std", "dynamic_sampling"),
    ),
    # Shares, bounds and weight of both are those of their authors' code, as it stands in verl.
    "kl_cov": MethodOfRL(
        "KL-Cov",
        "arXiv:2505.22617",
        loss="kl_cov",
        defaults={"loss_average": "token", "kl_beta": 0.0},
        ignores=("clip_eps_low", "clip_eps_high"),
        reads=("covariance_share", "covariance_kl"),
    ),
    "clip_cov": MethodOfRL(
        "Clip-Cov",
        "arXiv:2505.22617",
        loss="clip_cov",
        defaults={"loss_average": "token", "kl_beta": 0.0},
        reads=("covariance_share", "covariance_low", "covariance_high"),
    ),
    # For these two no penalty is published.
    "dro": MethodOfRL(
        "DRO per token",
        "arXiv:2405.19107",
        loss="dro",
        defaults={"scale_by_std": False, "loss_average": "token", "kl_beta": 0.0},
        ignores=("clip_eps_low", "clip_eps_high"),
        reads=("log_ratio_penalty",),
    ),
    "mirror_descent": MethodOfRL(
        "Online mirror descent (Kimi k1.5)",
        "arXiv:2501.12599",
        loss="mirror_descent",
        defaults={"scale_by_std": False, "loss_average": "dr_grpo", "kl_beta": 0.0, "reset_optimiser": True},
        ignores=("clip_eps_low", "clip_eps_high"),
        reads=("log_ratio_penalty",),
    ),
}  # fmt: skip


def default_of(method: str, name: str, of_stage: Any) -> Any:
    """A setting's default under a method, in a stage whose own default is `of_stage`."""
    row = METHODS.get(method)
    return of_stage if row is None else row.defaults.get(name, of_stage)


def default_kl_estimator(method: str, place: str) -> str:
    """The KL estimator of a method at a place: its paper's where the paper has the KL there."""
    of_paper = default_of(method, "kl_estimator", None)
    paper_place = default_of(method, "kl_place", "loss")
    return of_paper if of_paper and place == paper_place else ESTIMATOR_AT.get(place, "k3")
