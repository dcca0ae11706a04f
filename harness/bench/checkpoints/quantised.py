"""Quantised checkpoints, of each library that can write one without an accelerator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.bench.checkpoints.layout import layout
from harness.bench.checkpoints.transformed import SHARD, language

#: Width of a model whose layers divide into groups of 32 and blocks of 64.
_WIDE: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128}


def _compressed(folder: Path, format_: str, shard: str = "5GB", **weights: Any) -> None:
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        QuantizationStatus,
        apply_quantization_config,
    )

    model = language(**_WIDE)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))
    config = QuantizationConfig(
        config_groups={"group_0": scheme},
        ignore=["lm_head"],
        format=format_,
        quantization_status=QuantizationStatus.FROZEN,
    )
    apply_quantization_config(model, config)
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):
            parameter.data.fill_(0.01)
    compressor = ModelCompressor.from_pretrained_model(model, format_)
    compressor.compress_model(model)
    model.save_pretrained(folder, max_shard_size=shard)
    compressor.update_config(folder)


@layout("compressed-tensors", "int4-packed")
def _int4(folder: Path) -> None:
    _compressed(folder, "pack-quantized", num_bits=4, type="int", strategy="group", group_size=32)


@layout("compressed-tensors", "int4-packed-sharded")
def _int4_sharded(folder: Path) -> None:
    _compressed(folder, "pack-quantized", SHARD, num_bits=4, type="int", strategy="group", group_size=32)


@layout("compressed-tensors", "int8-by-channel")
def _int8(folder: Path) -> None:
    _compressed(folder, "int-quantized", num_bits=8, type="int", strategy="channel", symmetric=False)


@layout("compressed-tensors", "float8")
def _float8(folder: Path) -> None:
    _compressed(folder, "float-quantized", num_bits=8, type="float", strategy="tensor")


def _reloaded(folder: Path, quantization: Any, shard: str = "5GB") -> None:
    """Save a model, load it quantised, and save it again, as users do."""
    from transformers import AutoModelForCausalLM

    plain = folder.with_name(f"{folder.name}.plain")
    language(**_WIDE, dtype="bfloat16").save_pretrained(plain)
    model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=quantization, device_map="cpu")
    model.save_pretrained(folder, max_shard_size=shard)
    for path in plain.iterdir():
        path.unlink()
    plain.rmdir()


@layout("bitsandbytes", "nf4")
def _nf4(folder: Path) -> None:
    from transformers import BitsAndBytesConfig

    _reloaded(folder, BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"))


@layout("bitsandbytes", "nf4-twice-sharded")
def _nf4_twice(folder: Path) -> None:
    from transformers import BitsAndBytesConfig

    twice = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    _reloaded(folder, twice, SHARD)


@layout("bitsandbytes", "int8")
def _bits_int8(folder: Path) -> None:
    from transformers import BitsAndBytesConfig

    _reloaded(folder, BitsAndBytesConfig(load_in_8bit=True))


@layout("torchao", "int8")
def _torchao(folder: Path) -> None:
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    _reloaded(folder, TorchAoConfig(Int8WeightOnlyConfig(version=2)), SHARD)


@layout("optimum-quanto", "int8")
def _quanto_int8(folder: Path) -> None:
    from optimum.quanto import QuantizedModelForCausalLM, qint8

    QuantizedModelForCausalLM.quantize(language(**_WIDE), weights=qint8).save_pretrained(folder)


@layout("optimum-quanto", "int4")
def _quanto_int4(folder: Path) -> None:
    from optimum.quanto import QuantizedModelForCausalLM, qint4

    QuantizedModelForCausalLM.quantize(language(**_WIDE), weights=qint4, exclude="lm_head").save_pretrained(folder)


def _replaced(folder: Path, parts: Any, quantization: dict[str, Any]) -> None:
    """Save a model whose linear layers are replaced by ``parts(name, rows, columns)``, in the layout of a quantiser."""
    from huggingface_hub import save_torch_state_dict

    model = language(**_WIDE)
    state: dict[str, Any] = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("proj.weight"):
            state |= parts(name.removesuffix(".weight"), *tensor.shape)
        else:
            state[name] = tensor
    save_torch_state_dict(state, folder, max_shard_size=SHARD)
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": quantization}
    (folder / "config.json").write_text(json.dumps(config, indent=2))


@layout("gptq-layout", "int4-sharded")
def _gptq(folder: Path) -> None:
    """Needs an accelerator to be computed, so the parts are zeros in the shapes that its writers give them."""
    import torch

    def parts(name: str, rows: int, columns: int) -> dict[str, Any]:
        groups = columns // 32
        return {
            f"{name}.qweight": torch.zeros(columns // 8, rows, dtype=torch.int32),
            f"{name}.qzeros": torch.zeros(groups, rows // 8, dtype=torch.int32),
            f"{name}.scales": torch.ones(groups, rows, dtype=torch.float16),
            f"{name}.g_idx": torch.arange(columns, dtype=torch.int32) // 32,
        }

    _replaced(folder, parts, {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True})


@layout("awq-layout", "int4-sharded")
def _awq(folder: Path) -> None:
    import torch

    def parts(name: str, rows: int, columns: int) -> dict[str, Any]:
        groups = columns // 32
        return {
            f"{name}.qweight": torch.zeros(columns, rows // 8, dtype=torch.int32),
            f"{name}.qzeros": torch.zeros(groups, rows // 8, dtype=torch.int32),
            f"{name}.scales": torch.ones(groups, rows, dtype=torch.float16),
        }

    _replaced(
        folder, parts, {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
    )


@layout("fp8-layout", "blocks-sharded")
def _fp8(folder: Path) -> None:
    """Blocks of 32 x 32 with one scale each, as DeepSeek's releases have them."""
    import torch

    def parts(name: str, rows: int, columns: int) -> dict[str, Any]:
        return {
            f"{name}.weight": torch.zeros(rows, columns).to(torch.float8_e4m3fn),
            f"{name}.weight_scale_inv": torch.ones(rows // 32, columns // 32),
        }

    _replaced(folder, parts, {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32]})
