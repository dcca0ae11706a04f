from __future__ import annotations

import pytest

from harness.checkpoint import quantisation
from harness.format.dtypes import byte_size
from harness.format.header import Tensor

Specs = dict[str, tuple[str, tuple[int, ...]]]
GPTQ: Specs = {
    "qweight": ("I32", (64, 256)),
    "qzeros": ("I32", (4, 32)),
    "scales": ("F16", (4, 256)),
    "g_idx": ("I32", (512,)),
}
GPTQ3: Specs = {
    "qweight": ("I32", (48, 256)),
    "qzeros": ("I32", (4, 24)),
    "scales": ("F16", (4, 256)),
    "g_idx": ("I32", (512,)),
}
AWQ: Specs = {"qweight": ("I32", (512, 32)), "qzeros": ("I32", (4, 32)), "scales": ("F16", (4, 256))}
# AutoAWQ for GEMV: 4 bits, groups of 128 of 4096 rows.
AWQ_GEMV: Specs = {"qweight": ("I32", (4096, 512)), "qzeros": ("I32", (4096, 4)), "scales": ("F16", (4096, 32))}
AWQ_GEMV_FAST: Specs = {"qweight": ("I16", (256, 4096)), "qzeros": ("F16", (32, 1024)), "scales": ("F16", (32, 1024))}
MARLIN_24: Specs = {
    "weight_packed": ("I32", (128, 8192)),
    "scale_packed": ("F16", (32, 4096)),
    "meta": ("I16", (4096, 256)),
}
NF4: Specs = {
    "weight": ("U8", (2048, 1)),
    "weight.absmax": ("U8", (64,)),
    "weight.quant_map": ("F32", (16,)),
    "weight.nested_absmax": ("F32", (1,)),
    "weight.nested_quant_map": ("F32", (256,)),
    "weight.quant_state.bitsandbytes__nf4": ("U8", (90,)),
}
INT8: Specs = {"weight": ("I8", (16, 8)), "SCB": ("F32", (16,)), "weight_format": ("U8", ())}
FP8: Specs = {"weight": ("F8_E4M3", (256, 300)), "weight_scale_inv": ("F32", (2, 3))}
FP8_ROWS: Specs = {"weight": ("F8_E4M3", (256, 300)), "weight_scale": ("BF16", (256, 1)), "input_scale": ("F32", ())}
FP8_TENSOR: Specs = {"weight": ("F8_E4M3", (256, 300)), "weight_scale": ("F32", ())}
INT4: Specs = {
    "weight_packed": ("I32", (256, 16)),
    "weight_scale": ("BF16", (256, 1)),
    "weight_shape": ("I64", (2,)),
}
NVFP4: Specs = {
    "weight_packed": ("U8", (64, 64)),
    "weight_scale": ("F8_E4M3", (64, 8)),
    "weight_global_scale": ("F32", (1,)),
}
MODELOPT: Specs = {"weight": ("U8", (64, 64)), "weight_scale": ("F8_E4M3", (64, 8)), "weight_scale_2": ("F32", ())}
MXFP4: Specs = {"up_proj_blocks": ("U8", (2, 8, 3, 16)), "up_proj_scales": ("U8", (2, 8, 3)), "up_proj_bias": ("F32", (8,))}  # fmt: skip
MLX: Specs = {"weight": ("U32", (64, 8)), "scales": ("F16", (64, 1)), "biases": ("F16", (64, 1))}
QUANTO: Specs = {"weight._data": ("I8", (64, 64)), "weight._scale": ("F32", (64, 1)), "input_scale": ("F32", ())}
QUANTO4: Specs = {
    "weight._data._data": ("U8", (32, 64)),
    "weight._scale": ("F32", (64, 1)),
    "weight._shift": ("F32", (64, 1)),
}
TORCHAO: Specs = {
    "_weight_qdata": ("I8", (64, 64)),
    "_weight_scale": ("F32", (64, 1)),
    "_weight_zero_point": ("I8", (64, 1)),
}
#: Layers that only look like one of the others.
PLAIN: Specs = {"weight": ("F8_E4M3", (4, 4)), "scales": ("F32", (4,)), "k_scale": ("F32", ()), "layer_scale": ("F32", (7,)), "_scale": ("F32", ())}  # fmt: skip
FP_QUANT: Specs = {"qweight": ("U8", (64, 32)), "scales": ("U8", (64, 2)), "weight_global_scale": ("F32", ())}
SVDQUANT: Specs = {"qweight": ("I8", (64, 32)), "wscales": ("BF16", (1, 64)), "proj_down": ("BF16", (64, 8))}
#: A weight in floats, with a tensor of that name for another purpose.
UNQUANTISED: Specs = {"weight": ("F32", (16, 64)), "weight_scale": ("F32", (5, 7))}
BITNET: Specs = {"weight": ("U8", (16, 64)), "weight_scale": ("BF16", (1,))}
ORDERED = {
    name: value for name, value in globals().items() if name.isupper() and isinstance(value, dict) and name != "ORDERED"
}


def problems(*layers: Specs, without: str = "", other: Specs | None = None) -> list[tuple[str, str]]:
    """The contradictions of a checkpoint of these layers; in the first, a tensor is left out or another."""
    tensors = {}
    for place, layer in enumerate(layers):
        for name, (dtype, shape) in (layer | (other or {}) if not place else layer).items():
            if place or name != without:
                whole = f"model.layers.{place}.{name}"
                tensors[whole] = Tensor(whole, dtype, shape, 0, byte_size(dtype, shape) or 0)
    return [(kind.code, what) for kind, what in quantisation.check(tensors)]


@pytest.mark.parametrize("name", ORDERED)
def test_layers_in_order_have_no_problem(name: str):
    assert problems(ORDERED[name]) == []


def test_all_methods_may_stand_in_one_checkpoint():
    assert problems(GPTQ, GPTQ3, NF4, INT8, FP8, FP8_ROWS, FP8_TENSOR, INT4, NVFP4, MXFP4, MLX) == []


@pytest.mark.parametrize(
    ("layer", "members"),
    [
        (GPTQ, "qweight qzeros scales"),
        (AWQ, "qweight scales"),
        (NF4, "weight weight.absmax weight.quant_map weight.nested_absmax weight.nested_quant_map"),
        (NF4, "weight.quant_state.bitsandbytes__nf4"),
        (INT8, "weight SCB"),
        (FP8, "weight"),
        (INT4, "weight_packed weight_scale weight_shape"),
        (NVFP4, "weight_packed weight_scale weight_global_scale"),
        (MODELOPT, "weight weight_scale"),
        (MXFP4, "up_proj_blocks up_proj_scales"),
        (MLX, "weight scales"),
        (QUANTO, "weight._data weight._scale"),
        (QUANTO4, "weight._data._data weight._scale"),
        (TORCHAO, "_weight_qdata _weight_scale"),
    ],
)
def test_a_missing_member_is_told(layer: Specs, members: str):
    for member in members.split():
        found = problems(layer, without=member)
        assert found
        assert {code for code, _ in found} == {"quantisation-member"}


def test_many_and_long_names_are_shortened():
    beside: Specs = {f"{'x' * 500}{place}": ("F32", (1,)) for place in range(100)}
    ((_, what),) = problems(beside | {"weight_scale": ("F32", ())})
    assert "and 98 more" in what
    assert len(what) < 600
    ((_, what),) = problems({f"{'y' * 500}.weight_packed": ("U8", (1, 1))})
    assert len(what) < 300


@pytest.mark.parametrize(
    ("layer", "member"),
    [(FP8, "weight_scale_inv"), (AWQ, "qzeros"), (GPTQ, "g_idx"), (QUANTO4, "weight._shift"), (MLX, "scales")],
)
def test_a_member_that_all_other_layers_have_is_told(layer: Specs, member: str):
    ((code, what),) = problems(layer, layer, layer, without=member)
    assert code == "quantisation-member"
    assert "'model.layers.0'" in what


@pytest.mark.parametrize(
    ("layer", "member", "dtype", "shape"),
    [
        (GPTQ, "qweight", "I32", (64, 255)),
        (GPTQ, "qzeros", "I32", (5, 32)),
        (GPTQ, "scales", "F16", (4, 257)),
        (GPTQ, "g_idx", "I32", (1024,)),
        (AWQ, "qweight", "I32", (512, 31)),
        (AWQ, "scales", "F16", (3, 256)),
        (NF4, "weight.absmax", "U8", (63,)),
        (INT8, "SCB", "F32", (8,)),
        (FP8, "weight_scale_inv", "F32", (257, 3)),
        (FP8, "weight_scale_inv", "F32", (2, 301)),
        (FP8_ROWS, "weight_scale", "BF16", (255, 1)),
        (INT4, "weight_scale", "BF16", (200, 1)),
        (NVFP4, "weight_scale", "F8_E4M3", (64, 7)),
        (MXFP4, "up_proj_scales", "U8", (2, 8, 4)),
        (MLX, "scales", "F16", (63, 1)),
    ],
)
def test_shapes_that_do_not_fit_are_told(layer: Specs, member: str, dtype: str, shape: tuple[int, ...]):
    ((code, what),) = problems(layer, other={member: (dtype, shape)})
    assert code == "quantisation-shape"
    assert str(list(shape)) in what


def test_a_tensor_that_only_the_index_names_is_not_missing():
    tensors = {f"a.{name}": None for name in GPTQ}
    assert quantisation.check(tensors | {"a.qweight": Tensor("a.qweight", "I32", (1, 1), 0, 4)}) == []
