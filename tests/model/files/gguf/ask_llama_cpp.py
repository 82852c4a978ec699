"""Run by a Python that has llama-cpp-python: `ask_llama_cpp.py JOB.json`. A job may name

quantise: [source, target, llama_ftype] of files to quantise
logits, tokens: files whose logits on the tokens go to FILE.npy
tokenise, texts: files whose token ids of each text go to FILE.ids.json
chats, messages: files whose answer to the conversation goes to FILE.answer.txt

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
EXACT_CACHE = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32}
for source, target, kind in job.get("quantise", []):
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.nthread, settings.allow_requantize = kind, 1, True
    assert llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)) == 0, source
for file in job.get("logits", []):
    model = llama_cpp.Llama(file, n_ctx=64, n_batch=1, n_threads=1, logits_all=True, verbose=False, **EXACT_CACHE)
    model.eval(job["tokens"])
    np.save(f"{file}.npy", np.array(model.scores[: len(job["tokens"])]))
for file in job.get("tokenise", []):
    model = llama_cpp.Llama(file, vocab_only=True, verbose=False)
    ids = [model.tokenize(text.encode(), add_bos=False, special=False) for text in job["texts"]]
    Path(f"{file}.ids.json").write_text(json.dumps(ids))
for file in job.get("chats", []):
    model = llama_cpp.Llama(file, n_ctx=256, n_batch=1, n_threads=2, verbose=False)
    answer = model.create_chat_completion(job["messages"], max_tokens=32, temperature=0)
    Path(f"{file}.answer.txt").write_text(answer["choices"][0]["message"]["content"])
