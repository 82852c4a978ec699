"""config.json as a value: real files are read, mistakes are named."""

import json
from typing import Any

import pytest

from cogitate.errors import ConfigError
from cogitate.model.config import DEEPSEEK_V3, TINY, ModelConfig

DEEPSEEK_R1 = json.loads("""{
  "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"}, "aux_loss_alpha": 0.001, "bos_token_id": 0,
  "eos_token_id": 1, "ep_size": 1, "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168,
  "initializer_range": 0.02, "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
  "model_type": "deepseek_v3", "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256,
  "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 128, "num_experts_per_tok": 8,
  "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "pretraining_tp": 1,
  "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
  "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
  "weight_block_size": [128, 128]},
  "rms_norm_eps": 1e-06, "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0,
  "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096, "type": "yarn"}, "rope_theta": 10000,
  "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "seq_aux": true, "tie_word_embeddings": false, "topk_group": 4,
  "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "transformers_version": "4.46.3", "use_cache": true,
  "v_head_dim": 128, "vocab_size": 129280}""")
R1_DISTILL_QWEN = json.loads("""{
  "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643,
  "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02, "intermediate_size": 8960,
  "max_position_embeddings": 131072, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 12,
  "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000, "sliding_window": 4096,
  "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.44.0", "use_cache": true,
  "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936}""")
R1_DISTILL_LLAMA = json.loads("""{
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
  "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
  "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
  "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": false,
  "torch_dtype": "bfloat16", "transformers_version": "4.43.0.dev0", "use_cache": true, "vocab_size": 128256}""")

QWEN3_MOE = json.loads("""{
  "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
  "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048,
  "initializer_range": 0.02, "intermediate_size": 6144, "max_position_embeddings": 40960, "max_window_layers": 48,
  "mlp_only_layers": [], "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": true,
  "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48,
  "num_key_value_heads": 4, "output_router_logits": false, "rms_norm_eps": 1e-06, "rope_scaling": null,
  "rope_theta": 1000000.0, "router_aux_loss_coef": 0.001, "sliding_window": null, "tie_word_embeddings": false,
  "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false,
  "vocab_size": 151936}""")


def test_the_released_config_of_r1_is_the_preset() -> None:
    assert ModelConfig.from_dict(DEEPSEEK_R1) == DEEPSEEK_V3


def test_configs_of_the_distilled_models_are_read() -> None:
    qwen = ModelConfig.from_dict(R1_DISTILL_QWEN)
    assert (qwen.head_width, qwen.attention_bias, qwen.window_of_layer(27)) == (128, True, None)
    llama = ModelConfig.from_dict(R1_DISTILL_LLAMA)
    assert llama.rope_scaling is not None
    assert llama.rope_scaling["factor"] == 8.0
    assert llama.eos_token_id == [128001, 128008, 128009]


def test_what_transformers_adds_to_a_model_that_it_has_read_from_gguf_changes_nothing() -> None:
    added = {"_model_name_or_path": "Smollm2 135M 8k Lc100K Mix1 Ep2", "unk_token_id": 0}
    assert ModelConfig.from_dict({**R1_DISTILL_LLAMA, **added}) == ModelConfig.from_dict(R1_DISTILL_LLAMA)


@pytest.mark.parametrize("raw", [TINY.to_dict(), DEEPSEEK_R1, R1_DISTILL_QWEN, R1_DISTILL_LLAMA, QWEN3_MOE])
def test_what_is_written_is_read_back_equal(raw: dict[str, Any]) -> None:
    config = ModelConfig.from_dict(raw)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_both_spellings_of_rope_settings_are_one() -> None:
    new = {k: v for k, v in R1_DISTILL_LLAMA.items() if k not in ("rope_scaling", "rope_theta")}
    new["rope_parameters"] = {**R1_DISTILL_LLAMA["rope_scaling"], "rope_theta": 500000.0}
    assert ModelConfig.from_dict(new) == ModelConfig.from_dict(R1_DISTILL_LLAMA)


@pytest.mark.parametrize(
    "settings",
    [
        {"rope_scaling": {"rope_type": "default", "factor": 4.0}},
        {"rope_scaling": {"type": "default", "factor": 4.0}},
        {"rope_scaling": {"rope_type": "default", "type": "default", "factor": 4.0}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0, "factor": 4.0}},
        {"rope_scaling": {"rope_type": "default", "factor": 4.0, "original_max_position_embeddings": 8192}},
    ],
)
def test_a_factor_without_effect_loads_and_is_named(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """transformers ignores it."""
    plain = {key: value for key, value in R1_DISTILL_LLAMA.items() if key != "rope_scaling"}
    assert ModelConfig.from_dict({**plain, **settings}) == ModelConfig.from_dict(plain)
    assert caplog.records[0].getMessage().startswith("rope_type is default: rope_scaling.factor")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rope_scaling": None},
        {"rope_scaling": {"rope_type": "default"}},
        {"rope_scaling": {"type": "default", "factor": None}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0, "partial_rotary_factor": 1.0}},
    ],
)
def test_plain_rope_says_nothing(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    plain = {key: value for key, value in R1_DISTILL_LLAMA.items() if key != "rope_scaling"}
    assert ModelConfig.from_dict({**plain, **settings}).rope_scaling is None
    assert not caplog.records


def test_a_window_applies_from_max_window_layers_on() -> None:
    config = ModelConfig.from_dict({**R1_DISTILL_QWEN, "use_sliding_window": True})
    assert [config.window_of_layer(layer) for layer in (0, 20, 21, 27)] == [None, None, 4096, 4096]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"model_type": "gpt2"}, "model_type = 'gpt2': not supported; supported are deepseek_v3, llama, qwen2, qwen3, qwen3_moe"),
    ({"hiden_size": 4}, "unknown key hiden_size for model_type llama; did you mean hidden_size"),
    ({"kv_lora_rank": 4}, "unknown key kv_lora_rank for model_type llama"),
    ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "rope_scaling.rope_type = 'longrope': not supported"),
    ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "rope_scaling.rope_type = 'dynamic': not supported"),
    ({"rope_scaling": {"rope_type": "linear"}}, "rope_scaling.factor is missing"),
    ({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "beta_fast": 3}}, "unknown key rope_scaling.beta_fast"),
    ({"rope_scaling": {"rope_type": "linear", "factor": "2"}}, "rope_scaling.factor = '2': must be a number above 0"),
    ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "rope_scaling.factor = 0: must be a number above 0"),
    ({"rope_scaling": {"type": ["yarn"]}}, r"rope_scaling.rope_type = \['yarn'\]: not supported"),
    ({"rope_scaling": {"factor": 2.0}}, "rope_scaling.factor: has no meaning without a rope_type"),
    ({"rope_scaling": {"rope_type": "linear", "factor": float("nan")}}, "rope_scaling.factor = nan: must be a number"),
    ({"rope_scaling": {"rope_type": "linear", "factor": 10**400}}, "rope_scaling.factor = 1000"),
    ({"rope_scaling": {"rope_type": "linear", "factor": True}}, "rope_scaling.factor = True: must be a number above 0"),
    ({"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 2.0}}, "rope_type = 'default' and its old name"),
    ({"rope_theta": float("inf")}, "rope_theta = Infinity"),
    ({"hidden_size": 1 << 40}, "hidden_size = 1099511627776"),
    ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000"),
    ({"rope_scaling": [1]}, r"rope_scaling = \[1\]: must be an object"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ({"hidden_act": "gelu"}, 'hidden_act = "gelu"'),
    ({"hidden_size": "4096"}, 'hidden_size = "4096"'),
    ({"hidden_size": 0}, "hidden_size = 0"),
    ({"num_key_value_heads": 5}, "num_attention_heads = 32 is no multiple of num_key_value_heads = 5"),
    ({"attention_dropout": 0.1}, "attention_dropout = 0.1: only 0.0"),
    ({"rope_interleaved": True}, "rope_interleaved = true: not supported"),
    ({"tie_word_embeddings": "yes"}, 'tie_word_embeddings = "yes"'),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict({**R1_DISTILL_LLAMA, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scoring_func": "softmax"}, 'scoring_func = "softmax"'),
        ({"topk_method": "greedy"}, 'topk_method = "greedy"'),
        ({"moe_layer_freq": 2}, "moe_layer_freq = 2"),
        ({"n_group": 7}, "n_routed_experts = 256 is no multiple of n_group = 7"),
        ({"topk_group": 9}, "topk_group = 9 is more than n_group = 8"),
        ({"num_experts_per_tok": 200}, "num_experts_per_tok = 200 is more than the 128 experts of topk_group groups"),
        ({"num_key_value_heads": 8}, "num_key_value_heads = 8: MLA has as many as num_attention_heads = 128"),
        ({"num_nextn_predict_layers": 2}, "num_nextn_predict_layers = 2"),
    ],
)
def test_what_deepseek_v3_cannot_be_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict({**DEEPSEEK_R1, **change})


def test_experts_may_be_in_every_nth_layer_or_in_all_but_those_listed() -> None:
    every = ModelConfig.from_dict({**QWEN3_MOE, "decoder_sparse_step": 3})
    assert [every.is_moe_layer(layer) for layer in range(6)] == [False, False, True, False, False, True]
    listed = ModelConfig.from_dict({**QWEN3_MOE, "mlp_only_layers": [1, 2]})
    assert [listed.is_moe_layer(layer) for layer in range(4)] == [True, False, False, True]


def test_both_names_of_the_number_of_experts_are_one_and_the_released_one_is_written() -> None:
    renamed = {**QWEN3_MOE, "num_local_experts": QWEN3_MOE["num_experts"]}
    del renamed["num_experts"]
    config = ModelConfig.from_dict(renamed)
    assert config == ModelConfig.from_dict(QWEN3_MOE)
    assert config.n_routed_experts == 128
    assert config.to_dict()["num_experts"] == 128
    assert not {"num_local_experts", "n_routed_experts", "n_shared_experts"} & config.to_dict().keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_local_experts": 64}, "num_experts and num_local_experts differ"),
        ({"n_routed_experts": 128}, "unknown key n_routed_experts for model_type qwen3_moe; did you mean num_experts"),
        ({"n_shared_experts": 1}, "unknown key n_shared_experts for model_type qwen3_moe"),
        ({"use_sliding_window": True}, "use_sliding_window = true: not supported for model_type qwen3_moe"),
        ({"decoder_sparse_step": 0}, "decoder_sparse_step = 0"),
        ({"mlp_only_layers": [48]}, "mlp_only_layers names layer 48: there are 48, counted from 0"),
        ({"num_experts_per_tok": 129}, "num_experts_per_tok = 129 is more than the 128 experts"),
    ],
)
def test_what_qwen3_moe_cannot_be_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict({**QWEN3_MOE, **change})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="vocab_size: Field required"):
        ModelConfig.from_dict({key: value for key, value in R1_DISTILL_LLAMA.items() if key != "vocab_size"})


@pytest.mark.parametrize("raw", [DEEPSEEK_R1, R1_DISTILL_QWEN, R1_DISTILL_LLAMA, QWEN3_MOE])
def test_any_rubbish_for_any_key_is_a_config_error_or_harmless(raw: dict[str, Any]) -> None:
    rubbish: list[Any] = [None, [], {}, "x", -1, 0, 1.5, True, [1], {"a": 1}, [None], float("nan"), 10**30]
    refused = 0
    for key in raw:
        for value in rubbish:
            try:
                config = ModelConfig.from_dict({**raw, key: value})
            except ConfigError:
                refused += 1
            else:
                assert config.to_dict()
    assert refused > 5 * len(raw)
