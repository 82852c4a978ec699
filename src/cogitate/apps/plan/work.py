"""Work: what a stage does, as tokens, steps and models."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cogitate.costs.generation import Sampling
from cogitate.costs.shape import Shape
from cogitate.recipe.stage import Stage


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that a stage does.

    Attributes:
        steps: optimiser steps, or rounds of sampling.
        step_tokens: learnt from in each step; 0: nothing is learnt. micro_tokens: of one forward pass.
        sequence: tokens that see each other. predicted: share of the tokens that logits are made for.
        sampling: completions of each step or round.
        graded: share of the completions that rules judge. measured: that are puzzles' and whose steps an evaluation counts.
        at_a_time: completions that this project draws at a time, the next ones after the longest of them; other frameworks
            draw all at once.
        prefix: tokens that all prompts begin with, which our learner of RL reads once in each pass.
        scorings: further forward passes over a step's tokens, by models that only score.
        only_scores: a step's tokens are not learnt from, a model scores them.
        updated_share: of a step's tokens those that are learnt from; dead groups are not. most_updated_share: of the step with
            most of them.
        single_update: a batch of rollouts is learnt from in one optimiser step, so that our learner needs no log-probabilities
            of the policy's own.
        other_models: models of about this size that rest beside it: a reference, reward models.
        critics: models that are trained beside it.
        packed: several texts stand in a row; uneven: and no two steps have rows of the same lengths.
        muon: the optimiser is Muon; mtp: MTP blocks are trained.
        models_moved: models that are read from files or written to them, where nothing else is done; models_held: of these
            those that are in memory together. averaged: their weights, in float64.
    """

    shape: Shape
    steps: float
    step_tokens: float = 0.0
    micro_tokens: float = 0.0
    sequence: float = 0.0
    predicted: float = 1.0
    sampling: Sampling | None = None
    graded: float = 1.0
    measured: float = 0.0
    at_a_time: float = math.inf
    prefix: float = 0.0
    scorings: float = 0
    only_scores: bool = False
    updated_share: float = 1.0
    most_updated_share: float = 1.0
    single_update: bool = False
    other_models: int = 0
    critics: int = 0
    packed: bool = False
    uneven: bool = False
    muon: bool = False
    mtp: bool = False
    models_moved: float = 0.0
    models_held: float = 0.0
    averaged: bool = False


@dataclass(frozen=True, slots=True)
class StageWork:
    """What a stage does, and what was guessed.

    Attributes:
        further: deviation of the logarithm of its time from these guesses.
        seconds: of the whole stage, where a setting says how long it may take; 0 elsewhere.
        earlier: stages that the same process makes before it.
        not_planned: why its work is not known; "" of others, also of those that have nothing to do.
    """

    stage: Stage
    shape: Shape | None
    works: tuple[Work, ...]
    notes: tuple[str, ...] = ()
    further: float = 0.0
    seconds: float = 0.0
    not_planned: str = ""
    earlier: int = 0
