"""What the cache of keys and values holds: bytes for each token, freed at once, and MLA's latent beside a dense cache."""

from __future__ import annotations

import ctypes
import gc

from benchmarks.curves.report import Check, check
from benchmarks.curves.work import MORE, NEVER, random_tokens, small_model
from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.kv_cache import BLOCK
from cogitate.model.transformer import Transformer
from cogitate.runtime import resident_bytes
from cogitate.types import SamplingParams

ROWS, GROUP = 8, 8
ROUNDING = 0.05  # of a few hundred tokens, that a block begun by each sequence may add
SPARE = 1.5  # times what is in use may be allocated: the cache grows by half
RESIDENT = 0.1  # of what was allocated, that malloc may add


def cache_checks(length: int) -> list[Check]:
    """Every check, sequences of about `length` tokens."""
    llama, dense = small_model().config, dense_twin(TINY)
    latent = TINY.kv_lora_rank + TINY.qk_rope_head_dim
    expanded = TINY.num_attention_heads * (TINY.qk_head_dim + TINY.v_head_dim)
    grouped = 2 * llama.num_key_value_heads * llama.head_width
    checks: list[Check] = []
    measured: dict[str, float] = {}
    for name, config, width in (("Llama", llama, grouped), ("MLA", TINY, latent), ("MLA's dense twin", dense, expanded)):
        measured[name] = bytes_per_token(config)
        told = width * config.num_hidden_layers * 4  # float32
        checks.append(check(f"{name}: bytes for a token of context", measured[name], told, exact=True))
    share = measured["MLA"] / measured["MLA's dense twin"]
    checks.append(check("MLA's cache over that of its dense twin", share, latent / expanded))
    return checks + held_checks(length) + shared_checks(length) + resident_checks(length)


def dense_twin(config: ModelConfig) -> ModelConfig:
    """A Llama whose heads are those of an MLA model, all with keys and values of their own."""
    assert config.qk_head_dim == config.v_head_dim, "MLA's keys and values must have one width here"
    return ModelConfig.from_dict(
        {
            "model_type": "llama", "vocab_size": config.vocab_size, "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size, "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads, "head_dim": config.v_head_dim,
            "max_position_embeddings": config.max_position_embeddings,
        }
    )  # fmt: skip


def bytes_per_token(config: ModelConfig) -> float:
    """What the cache's tensors take for each token once a prompt has been read."""
    engine = Engine(Transformer(config), end_id=NEVER, max_batch=1)
    engine.submit(GenerationRequest("", random_tokens(4 * BLOCK, 0), SamplingParams(max_new_tokens=2 * BLOCK), (0,)))
    engine.poll()
    return allocated(engine) / (engine.cache.layers[0].shape[0] * BLOCK)


def held_checks(length: int) -> list[Check]:
    """Sequences of different lengths, of which one ends, half are aborted, and all are."""
    engine = running_engine(length, seeds=1)
    cache, token = engine.cache, engine.cache.bytes_per_block // BLOCK
    tokens, used = int(cache.lengths.sum()), in_use(engine)
    checks = [
        check("bytes in use over tokens held x bytes per token", used / (tokens * token), 1 + ROUNDING),
        check("bytes allocated over bytes in use", allocated(engine) / used, SPARE),
    ]
    while len(finished := engine.poll()) == 0:
        pass
    (ended,) = finished
    row_tokens = prompt_length(length, int(ended.request_id)) + len(ended.token_ids)
    freed = (used - in_use(engine)) / (row_tokens * token)
    checks.append(check("freed in the poll in which a request ends, of what it held", freed, 1 - ROUNDING, at_least=True))
    engine.abort([str(number) for number in range(1, ROWS // 2)])
    tokens = int(cache.lengths.sum())
    checks.append(check("after aborting some: bytes in use over tokens held", in_use(engine) / (tokens * token), 1 + ROUNDING))
    engine.abort([str(number) for number in range(ROWS // 2, ROWS)])
    checks.append(check("after aborting all: bytes in use", in_use(engine), 0, exact=True))
    checks.append(check("after aborting all: bytes allocated", allocated(engine), 0, exact=True))
    return checks


def shared_checks(length: int) -> list[Check]:
    """Completions of a prompt hold it once."""
    engine = running_engine(length, seeds=GROUP)
    token = engine.cache.bytes_per_block // BLOCK
    prompts = sum(prompt_length(length, number) for number in range(ROWS))
    own = int(engine.cache.lengths.sum()) - GROUP * prompts
    rounding = ROWS * (GROUP + 1) * BLOCK * token  # a block begun by each prompt and each completion
    return [check(f"{GROUP} completions of a prompt: bytes in use, of their prompt once and their own tokens",
                  in_use(engine) / ((prompts + own) * token + rounding), 1.0)]  # fmt: skip


def resident_checks(length: int) -> list[Check]:
    """The same as the system sees it, once malloc has given back what it keeps for later; none where it cannot be asked."""
    engine, every = running_engine(length, seeds=1), [str(number) for number in range(ROWS)]
    engine.abort(every)
    before = resident_without_spare()
    begin(engine, length, seeds=1)
    held, size = resident_without_spare(), allocated(engine)
    engine.abort(every)
    after = resident_without_spare()
    if before is None or held is None or after is None:
        return []
    return [
        check("the process is larger by, of bytes allocated", (held - before) / size, 1 + RESIDENT),
        check("after aborting all it is larger by, of the same", (after - before) / size, RESIDENT),
    ]


def resident_without_spare() -> int | None:
    """Resident bytes after malloc has given back all that it can; None where malloc is not glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return None
    gc.collect()
    trim(0)
    return resident_bytes()


def running_engine(length: int, seeds: int) -> Engine:
    """An engine that works on ROWS requests."""
    engine = Engine(small_model(max_position_embeddings=length + MORE), end_id=NEVER, max_batch=ROWS * seeds)
    begin(engine, length, seeds)
    return engine


def begin(engine: Engine, length: int, seeds: int) -> None:
    """Submit the requests and start all of them; the first ends first."""
    for number in range(ROWS):
        params = SamplingParams(max_new_tokens=BLOCK if number == 0 else 2 * BLOCK)
        prompt = random_tokens(prompt_length(length, number), number)
        engine.submit(GenerationRequest(str(number), prompt, params, tuple(range(seeds))))
    engine.poll()


def prompt_length(length: int, number: int) -> int:
    """Of a request: from `length` on, no two alike, in no whole number of blocks."""
    return length + 37 * number + 5


def in_use(engine: Engine) -> int:
    return engine.cache.blocks_in_use * engine.cache.bytes_per_block


def allocated(engine: Engine) -> int:
    """Bytes of the cache's tensors."""
    return sum(entries.nbytes for entries in engine.cache.layers)
