"""Run by a Python that has llama-cpp-python: `ask_llama_cpp.py JOB.json` quantises files and writes llama.cpp's logits.

One token at a time: with several, some virtual machines stop llama.cpp at instructions that they announce and do not have.
"""

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np

job = json.loads(Path(sys.argv[1]).read_text())
llama_cpp.llama_backend_init()
for source, target, kind in job["quantise"]:
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.nthread, settings.allow_requantize = kind, 1, True
    assert llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)) == 0, source
for file in job["logits"]:
    exact_cache = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32}
    model = llama_cpp.Llama(file, n_ctx=64, n_batch=1, n_threads=1, logits_all=True, verbose=False, **exact_cache)
    model.eval(job["tokens"])
    np.save(f"{file}.npy", np.array(model.scores[: len(job["tokens"])]))
