"""Checkpoints that diffusers writes: pipelines with a folder per part, variants, shards, adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.bench.checkpoints.layout import layout
from harness.bench.checkpoints.transformed import SHARD, tokenizer


def _unet(**settings: Any) -> Any:
    from diffusers import UNet2DConditionModel

    tiny = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 32,
        "norm_num_groups": 2,
    }
    return UNet2DConditionModel(**tiny | settings)


def _pipeline() -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextConfig, CLIPTextModel

    text = CLIPTextConfig(
        vocab_size=96, hidden_size=32, intermediate_size=37, num_hidden_layers=1, num_attention_heads=2
    )
    return StableDiffusionPipeline(
        vae=AutoencoderKL(block_out_channels=[8], norm_num_groups=2, latent_channels=4, sample_size=8),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer(),
        unet=_unet(),
        scheduler=DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@layout("diffusers", "ddpm")
def _ddpm(folder: Path) -> None:
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    model = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=2,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    DDPMPipeline(model, DDPMScheduler()).save_pretrained(folder)


@layout("diffusers", "stable-diffusion")
def _stable(folder: Path) -> None:
    _pipeline().save_pretrained(folder)


@layout("diffusers", "stable-diffusion-both-variants")
def _stable_variants(folder: Path) -> None:
    import torch

    pipeline = _pipeline()
    pipeline.save_pretrained(folder)
    pipeline.to(torch.float16).save_pretrained(folder, variant="fp16")


@layout("diffusers", "stable-diffusion-sharded")
def _stable_sharded(folder: Path) -> None:
    _pipeline().save_pretrained(folder, max_shard_size=SHARD)


@layout("diffusers", "unet-sharded")
def _unet_sharded(folder: Path) -> None:
    _unet().save_pretrained(folder, max_shard_size=SHARD)


@layout("diffusers", "unet-fp16-sharded")
def _unet_fp16(folder: Path) -> None:
    import torch

    _unet().to(torch.float16).save_pretrained(folder, variant="fp16", max_shard_size="12KB")


@layout("diffusers", "unet-both-variants-sharded")
def _unet_both(folder: Path) -> None:
    _unet_sharded(folder)
    _unet_fp16(folder)


@layout("diffusers", "flux-transformer-sharded")
def _flux(folder: Path) -> None:
    from diffusers import FluxTransformer2DModel

    FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    ).save_pretrained(folder, max_shard_size=SHARD)


@layout("diffusers", "lora")
def _lora(folder: Path) -> None:
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = _unet()
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    weights = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)


@layout("diffusers", "training-run")
def _training_run(folder: Path) -> None:
    """As the training scripts leave it: the pipeline, and a moving average of its model in a folder of a checkpoint."""
    from diffusers.training_utils import EMAModel

    _pipeline().save_pretrained(folder)
    unet = _unet()
    unet.save_pretrained(folder / "checkpoint-500" / "unet")
    average = EMAModel(unet.parameters(), model_cls=type(unet), model_config=unet.config)
    average.save_pretrained(folder / "checkpoint-500" / "unet_ema")
