"""What a served model generates from."""

import pytest

from cogitate.apps.serve.metrics import Metrics
from cogitate.apps.serve.model import Limits, ServedModel
from cogitate.engine.decode import Decoder
from cogitate.kernels import native_library
from cogitate.recipe.run_directory.store import SHIPPED


@pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
def test_options_of_bits_and_drafts_reach_the_engine() -> None:
    engine = ServedModel(
        "base", SHIPPED / "base", Limits(ngram_drafts=3), Metrics(), dtype="bfloat16", weight_bits=4, activation_bits=8
    ).engine
    assert isinstance(engine.decoder, Decoder)
    assert (engine.decoder.bits, engine.decoder.activation_bits, str(engine.dtype)) == (4, 8, "torch.bfloat16")
    assert engine.lookup is not None
    assert engine.lookup.most == 3
