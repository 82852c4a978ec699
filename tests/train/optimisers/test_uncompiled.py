import subprocess
import sys

TRAINS = """
import sys
import torch
from torch import nn
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import optimiser_for
from cogitate.train.optimisers.muon import MuonAdamW

for make in (lambda model: make_adamw(model, 0.1, 0.0), lambda model: MuonAdamW(model, 0.1, 0.0)):
    model = nn.Linear(4, 4)
    optimiser, before = optimiser_for(model, make), model.weight.clone()
    model(torch.ones(1, 4)).sum().backward()
    optimiser.step()
    optimiser.zero_grad()
    optimiser.load_state_dict(optimiser.state_dict())
    assert not torch.equal(model.weight, before)
print("torch._dynamo" in sys.modules)
"""


def test_training_on_a_processor_does_not_load_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRAINS], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
