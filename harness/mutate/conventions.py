"""Metadata as the big libraries write it into checkpoints: a key, a value, and its source."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """One entry of ``__metadata__``, and the place that documents or writes it."""

    key: str
    value: str
    source: str


_TRANSFORMERS = "huggingface/transformers: src/transformers/modeling_utils.py, save_pretrained"
_DIFFUSERS = "huggingface/diffusers: src/diffusers/loaders/lora_base.py, LORA_ADAPTER_METADATA_KEY"
_MLX = "ml-explore/mlx-lm: mlx_lm/utils.py, save_model"
_SPEC = "Stability-AI/ModelSpec: README.md"
_KOHYA = "kohya-ss/sd-scripts: train_network.py and library/train_util.py"
_COMFY = "comfyanonymous/ComfyUI: comfy_extras/nodes_model_merging.py"
_SAFETENSORS = "safetensors 0.8.0: safetensors/torch.py, save_model"

CONVENTIONS: tuple[Convention, ...] = (
    Convention("format", "pt", _TRANSFORMERS),
    Convention("format", "flax", "huggingface/transformers: src/transformers/modeling_flax_utils.py, save_pretrained"),
    Convention("format", "tf", "huggingface/transformers: src/transformers/modeling_tf_utils.py, save_pretrained"),
    Convention("format", "mlx", _MLX),
    Convention("lm_head.weight", "model.embed_tokens.weight", _SAFETENSORS),
    Convention("lora_adapter_metadata", '{"transformer.r": 16, "transformer.lora_alpha": 16}', _DIFFUSERS),
    Convention("modelspec.sai_model_spec", "1.0.0", _SPEC),
    Convention("modelspec.architecture", "stable-diffusion-xl-v1-base", _SPEC),
    Convention("modelspec.title", "Example Model Version 1.0", _SPEC),
    Convention("modelspec.description", "Line one\nline two, with <b>marks</b> & \u201cquotes\u201d", _SPEC),
    Convention("modelspec.date", "2023-07-26T00:00:00", _SPEC),
    Convention("modelspec.thumbnail", "data:image/jpeg;base64,/9j/4AAQSkZJRg==", _SPEC),
    Convention("modelspec.hash_sha256", "0x" + "0f" * 32, _SPEC),
    Convention("ss_base_model_version", "sdxl_base_v1-0", _KOHYA),
    Convention("ss_network_module", "networks.lora", _KOHYA),
    Convention("ss_network_dim", "32", _KOHYA),
    Convention("ss_network_alpha", "16.0", _KOHYA),
    Convention("ss_network_args", '{"conv_dim": "8", "algo": "lora"}', _KOHYA),
    Convention("ss_learning_rate", "1e-05", _KOHYA),
    Convention("ss_v2", "False", _KOHYA),
    Convention("ss_seed", "None", _KOHYA),
    Convention("ss_tag_frequency", '{"10_style": {"1girl": 12, "\\u5973\\u306e\\u5b50": 3}}', _KOHYA),
    Convention("ss_dataset_dirs", '{"C:\\\\data\\\\10_style": {"n_repeats": 10, "img_count": 2}}', _KOHYA),
    Convention("sshs_model_hash", "ab" * 32, _KOHYA),
    Convention("sshs_legacy_hash", "0123abcd", _KOHYA),
    Convention("prompt", '{"3": {"class_type": "KSampler", "inputs": {"seed": 8566257}}}', _COMFY),
    Convention("workflow", '{"last_node_id": 9, "nodes": [], "version": 0.4}', _COMFY),
)
