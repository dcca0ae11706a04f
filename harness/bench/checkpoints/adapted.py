"""Checkpoints that peft and sentence-transformers write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.bench.checkpoints.layout import layout
from harness.bench.checkpoints.transformed import SHARD, encoder, language, tokenizer


def _adapted(config: Any = None, **settings: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    wanted = config or LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj"], **settings)
    return get_peft_model(language(), wanted)


@layout("peft", "lora")
def _lora(folder: Path) -> None:
    _adapted().save_pretrained(folder)


@layout("peft", "dora-with-head")
def _dora(folder: Path) -> None:
    _adapted(use_dora=True, modules_to_save=["lm_head"]).save_pretrained(folder)


@layout("peft", "lora-with-embeddings")
def _embeddings(folder: Path) -> None:
    _adapted().save_pretrained(folder, save_embedding_layers=True)


@layout("peft", "ia3")
def _ia3(folder: Path) -> None:
    from peft import IA3Config

    config = IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    _adapted(config).save_pretrained(folder)


@layout("peft", "prompt")
def _prompt(folder: Path) -> None:
    from peft import PromptTuningConfig

    _adapted(PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)).save_pretrained(folder)


@layout("peft", "two-adapters")
def _two(folder: Path) -> None:
    from peft import LoraConfig

    model = _adapted()
    model.add_adapter("other", LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["o_proj"]))
    model.save_pretrained(folder)


@layout("peft", "beside-its-base")
def _beside(folder: Path) -> None:
    language().save_pretrained(folder, max_shard_size=SHARD)
    _adapted().save_pretrained(folder)


def _sentences(*more: Any) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertModel

    base = Path(_scratch())
    BertModel(encoder()).save_pretrained(base)
    tokenizer().save_pretrained(base)
    words = Transformer(str(base))
    return SentenceTransformer(modules=[words, Pooling(32), *more], device="cpu")


def _scratch() -> str:
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="harness-encoder-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@layout("sentence-transformers", "pooling")
def _pooling(folder: Path) -> None:
    _sentences().save_pretrained(str(folder))


@layout("sentence-transformers", "dense")
def _dense(folder: Path) -> None:
    from sentence_transformers.models import Dense, Normalize

    _sentences(Dense(32, 16), Dense(16, 8, bias=False), Normalize()).save_pretrained(str(folder))


@layout("sentence-transformers", "static")
def _static(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding

    words = StaticEmbedding(tokenizer().backend_tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[words], device="cpu").save_pretrained(str(folder))


@layout("sentence-transformers", "cross-encoder")
def _cross(folder: Path) -> None:
    from sentence_transformers import CrossEncoder
    from transformers import BertForSequenceClassification

    base = Path(_scratch())
    BertForSequenceClassification(encoder(num_labels=1)).save_pretrained(base)
    tokenizer().save_pretrained(base)
    CrossEncoder(str(base), device="cpu").save_pretrained(str(folder))


@layout("sentence-transformers", "sparse")
def _sparse(folder: Path) -> None:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.models import Pooling, Transformer
    from sentence_transformers.sparse_encoder.models import SparseAutoEncoder
    from transformers import BertModel

    base = Path(_scratch())
    BertModel(encoder()).save_pretrained(base)
    tokenizer().save_pretrained(base)
    modules = [Transformer(str(base)), Pooling(32), SparseAutoEncoder(32, hidden_dim=64, k=4)]
    SparseEncoder(modules=modules, device="cpu").save_pretrained(str(folder))
