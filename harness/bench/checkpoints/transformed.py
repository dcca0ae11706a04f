"""Checkpoints that transformers, accelerate and timm write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.bench.checkpoints.layout import layout

#: Bytes per shard. The models have some 50 to 200 kB, so they get three shards or more.
SHARD = "24KB"


def language(kind: str = "llama", dtype: str = "float32", **settings: Any) -> Any:
    """A causal language model with random weights of ``dtype``: two layers of width 32, 96 tokens."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tiny = {
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = AutoConfig.for_model(kind, **tiny | settings)
    return AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))


def tokenizer() -> Any:
    """A tokenizer of twelve words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "small", "model", "reads", "these", "few", "words"]
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, words[1]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {f"{word.strip('[]').lower()}_token": word for word in words[:5]}
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=32, **special)


def encoder(**settings: Any) -> Any:
    """Configuration of an encoder of the BERT family: two layers of width 32."""
    from transformers import BertConfig

    tiny = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    return BertConfig(**tiny | {"num_attention_heads": 2, "max_position_embeddings": 64} | settings)


@layout("transformers", "llama")
def _llama(folder: Path) -> None:
    language().save_pretrained(folder)
    tokenizer().save_pretrained(folder)


@layout("transformers", "llama-sharded")
def _llama_sharded(folder: Path) -> None:
    language().save_pretrained(folder, max_shard_size=SHARD)


@layout("transformers", "llama-tied")
def _llama_tied(folder: Path) -> None:
    language(tie_word_embeddings=True).save_pretrained(folder)


@layout("transformers", "llama-tied-sharded")
def _llama_tied_sharded(folder: Path) -> None:
    language(tie_word_embeddings=True).save_pretrained(folder, max_shard_size=SHARD)


@layout("transformers", "llama-fp16")
def _llama_fp16(folder: Path) -> None:
    language(dtype="float16").save_pretrained(folder, variant="fp16")


@layout("transformers", "llama-fp16-sharded")
def _llama_fp16_sharded(folder: Path) -> None:
    language(dtype="float16").save_pretrained(folder, variant="fp16", max_shard_size="12KB")


@layout("transformers", "llama-both-variants")
def _llama_both(folder: Path) -> None:
    language().save_pretrained(folder, max_shard_size=SHARD)
    language(dtype="float16").save_pretrained(folder, variant="fp16", max_shard_size="12KB")


@layout("transformers", "llama-with-pickle")
def _llama_with_pickle(folder: Path) -> None:
    import torch

    model = language()
    model.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


@layout("transformers", "gpt2-sharded")
def _gpt2(folder: Path) -> None:
    language("gpt2", n_embd=32, n_layer=2, n_head=2).save_pretrained(folder, max_shard_size=SHARD)


@layout("transformers", "mixtral-sharded")
def _mixtral(folder: Path) -> None:
    language("mixtral", dtype="bfloat16", num_local_experts=4).save_pretrained(folder, max_shard_size=SHARD)


@layout("transformers", "mamba")
def _mamba(folder: Path) -> None:
    language("mamba", state_size=4).save_pretrained(folder)


@layout("transformers", "bert-tied")
def _bert(folder: Path) -> None:
    from transformers import BertForMaskedLM

    BertForMaskedLM(encoder()).save_pretrained(folder)


@layout("transformers", "t5-sharded")
def _t5(folder: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=96, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(folder, max_shard_size=SHARD)


@layout("transformers", "clip")
def _clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=tower | {"vocab_size": 96},
        vision_config=tower | {"image_size": 16, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)


@layout("transformers", "whisper-sharded")
def _whisper(folder: Path) -> None:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=96,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_mel_bins=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    WhisperForConditionalGeneration(config).save_pretrained(folder, max_shard_size=SHARD)


@layout("transformers", "trainer")
def _trainer(folder: Path) -> None:
    """A run with two checkpoints, each with pickles of optimizer, scheduler and random state."""
    import torch
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": torch.arange(3, 9), "labels": torch.arange(3, 9)} for _ in range(4)]
    arguments = TrainingArguments(
        folder, max_steps=2, save_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(language(), arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model()


@layout("accelerate", "save-model")
def _save_model(folder: Path) -> None:
    from accelerate import Accelerator

    Accelerator(cpu=True).save_model(language(), folder, max_shard_size=SHARD)


@layout("accelerate", "save-state")
def _save_state(folder: Path) -> None:
    """Two models and an optimizer: model.safetensors, model_1.safetensors, and pickles."""
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    models = [language(), language(tie_word_embeddings=True)]
    accelerator.prepare(*models, torch.optim.AdamW(models[0].parameters()))
    accelerator.save_state(str(folder))


@layout("timm", "both-formats")
def _timm(folder: Path) -> None:
    import timm
    from timm.models import save_for_hf

    model = timm.create_model("vit_tiny_patch16_224", depth=1, embed_dim=24, num_heads=2, img_size=32, num_classes=3)
    save_for_hf(model, folder, safe_serialization="both")
