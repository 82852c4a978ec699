"""The numbers TRL computes, read from trl_reference.json, and the inputs of its policy losses."""

import json
from pathlib import Path

import torch

TRL = json.loads(Path(__file__).with_name("trl_reference.json").read_text())
INPUTS = {name: torch.tensor(value) for name, value in TRL["policy_inputs"].items()}
SETTINGS = TRL["settings"]
CLIP = {"clip_eps_low": SETTINGS["clip_eps_low"], "clip_eps_high": SETTINGS["clip_eps_high"]}
