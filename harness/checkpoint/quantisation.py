"""The tensors of each quantised weight against each other, by names, dtypes and shapes.

A rule states what the writers of one method always write. It is asked where the names leave no doubt about the method:

- GPTQ and AWQ: ``qweight``, ``qzeros``, ``scales`` and ``g_idx`` of a layer (GPTQModel and AutoAWQ, their linear layers).
- bitsandbytes: ``weight``, ``weight.absmax``, ``weight.quant_map``, ``weight.quant_state.bitsandbytes__nf4`` or ``__fp4``
  (``QuantState.as_dict``); ``SCB`` and ``weight_format`` of 8-bit layers (``Linear8bitLt``).
- FP8: ``weight`` with ``weight_scale`` or ``weight_scale_inv`` (transformers, ``finegrained_fp8``; compressed-tensors).
- Packed weights: ``weight_packed`` with ``weight_scale`` and, by format, ``weight_shape`` or ``weight_global_scale``
  (compressed-tensors, ``compression_param_names``); ``weight_scale_2`` (NVIDIA ModelOpt). The format ``marlin-24`` has
  ``scale_packed`` and ``meta`` instead.
- MXFP4 of gpt-oss: ``X_blocks`` with ``X_scales`` (transformers, ``integrations/mxfp4``).
- optimum-quanto: ``weight._data`` with ``weight._scale`` and, of 4 bits, ``weight._shift`` (``QTensor.save_to_state_dict``).
- torchao: ``_weight_qdata`` with ``_weight_scale`` (``flatten_tensor_state_dict``; the tensor classes name their parts).
- MLX: ``weight`` of U32 with ``scales`` and ``biases`` (``mlx.nn.QuantizedLinear``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

from harness.checkpoint import problems
from harness.checkpoint.problems import Kind
from harness.format.dtypes import DTYPE_BITS
from harness.format.header import Tensor

Layer = dict[str, Tensor | None]
"""The tensors of a layer by the last part of their names. None: the index names it, but its shard could not be read."""
Fault = tuple[Kind, str]
_FLOAT8 = ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
_STATE = "quant_state.bitsandbytes__"
_FP8_SCALES = {"weight_scale", "weight_scale_inv"}
#: Tensors whose names begin as that of a weight, and that hold no weight.
_BESIDE = {
    "weight_scale_2",
    "weight_global_scale",
    "weight_zero_point",
    "weight_shape",
    "weight_g_idx",
    "weight_format",
}
_QUANTO = ("_data", "_scale", "_shift")
#: Block sizes that bitsandbytes supports.
_BLOCKS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


def check(tensors: Mapping[str, Tensor | None]) -> list[tuple[Kind, str]]:
    """The contradictions among the tensors of a checkpoint: kind and description, in the order of their layers."""
    layers = _layers(tensors)
    found = []
    sound = {}
    for prefix, layer in layers.items():
        faults = [*_lacking(layer), *_misfits(layer)]
        found += [(kind, f"layer {problems.names([prefix or '(top)'])}: {what}") for kind, what in faults]
        if not faults:
            sound[prefix] = layer
    return found + list(_unlike_the_others(sound))


def _layers(tensors: Mapping[str, Tensor | None]) -> dict[str, Layer]:
    """The tensors by layer. Tensors of a bitsandbytes weight and of gpt-oss form a layer of the weight's name."""
    layers: dict[str, Layer] = {}
    for name, tensor in tensors.items():
        weight, state, method = name.partition("." + _STATE)
        if state:
            layers.setdefault(weight, {})[_STATE + method] = tensor
            continue
        prefix, _, leaf = name.rpartition(".")
        if leaf in _QUANTO:
            # Packed values are a tensor within the tensor: ``weight._data._data``.
            parent, _, weight = prefix.removesuffix("._data").rpartition(".")
            if weight == "weight":
                prefix, leaf = parent, f"weight.{leaf}"
        layers.setdefault(prefix, {})[leaf] = tensor
        for suffix in ("_blocks", "_scales"):
            if leaf.endswith(suffix):
                layers.setdefault(name.removesuffix(suffix), {})[suffix] = tensor
    for prefix, layer in layers.items():
        # The weight itself is a tensor of the layer above it.
        if prefix in tensors:
            layer[""] = tensors[prefix]
    return layers


# -- members ---------------------------------------------------------------------------------------------------------------


def _dtype(layer: Layer, name: str) -> str:
    tensor = layer.get(name)
    return "" if tensor is None else tensor.dtype


def _bitsandbytes(layer: Layer) -> bool:
    return any(name.startswith(_STATE) for name in layer) or {"absmax", "quant_map"} <= layer.keys()


def _packed(layer: Layer, *dtypes: str) -> bool:
    return _dtype(layer, "weight_packed") in dtypes


def _weights(layer: Layer) -> list[str]:
    """The names of tensors that may hold the values of a weight, of any method."""
    return [name for name in layer if name.startswith(("weight", "qweight")) and name not in _FP8_SCALES | _BESIDE]


#: A condition on a layer, and the tensor that it then has; of alternatives, separated by a bar, it has one. A name that
#: ends in a star stands for all that begin so.
_NEEDS: tuple[tuple[str, Callable[[Layer], bool], str], ...] = (
    ("GPTQ or AWQ", lambda layer: {"qweight", "qzeros"} <= layer.keys(), "scales"),
    ("GPTQ or AWQ", lambda layer: {"qzeros", "scales"} <= layer.keys(), "qweight"),
    ("GPTQ", lambda layer: {"g_idx", "scales"} <= layer.keys(), "qweight"),
    ("GPTQ", lambda layer: {"g_idx", "scales", "qweight"} <= layer.keys(), "qzeros"),
    ("bitsandbytes", _bitsandbytes, ""),
    ("bitsandbytes", _bitsandbytes, "absmax"),
    ("bitsandbytes", _bitsandbytes, "quant_map"),
    ("bitsandbytes", _bitsandbytes, _STATE + "*"),
    ("bitsandbytes", lambda layer: _bitsandbytes(layer) and "nested_quant_map" in layer, "nested_absmax"),
    ("bitsandbytes", lambda layer: _bitsandbytes(layer) and "nested_absmax" in layer, "nested_quant_map"),
    ("bitsandbytes", lambda layer: "SCB" in layer, "weight"),
    ("bitsandbytes", lambda layer: "weight_format" in layer and _dtype(layer, "weight") == "I8", "SCB"),
    ("FP8", lambda layer: not _FP8_SCALES.isdisjoint(layer) and not _weights(layer), "weight|weight_packed"),
    ("compressed-tensors", lambda layer: "weight_packed" in layer and "scale_packed" not in layer, "weight_scale"),
    ("compressed-tensors", lambda layer: _packed(layer, "I32") and "scale_packed" not in layer, "weight_shape"),
    (
        "compressed-tensors",
        lambda layer: _packed(layer, "U8") and _dtype(layer, "weight_scale") == "F8_E4M3",
        "weight_global_scale",
    ),
    ("ModelOpt", lambda layer: "weight_scale_2" in layer, "weight_scale"),
    ("MXFP4", lambda layer: _dtype(layer, "_blocks") == "U8", "_scales"),
    ("MXFP4", lambda layer: _dtype(layer, "_scales") == "U8" and "" not in layer, "_blocks"),
    ("optimum-quanto", lambda layer: "weight._data" in layer, "weight._scale"),
    ("optimum-quanto", lambda layer: "weight._scale" in layer, "weight._data"),
    ("optimum-quanto", lambda layer: "weight._shift" in layer, "weight._data"),
    ("torchao", lambda layer: "_weight_qdata" in layer, "_weight_scale|_weight_group_scale|_weight_row_scale"),
    ("torchao", lambda layer: "_weight_scale" in layer, "_weight_qdata"),
    ("MLX", lambda layer: _dtype(layer, "weight") == "U32" and "biases" in layer, "scales"),
    ("MLX", lambda layer: {"scales", "biases"} <= layer.keys(), "weight"),
)


def _lacking(layer: Layer) -> Iterator[Fault]:
    for method, condition, needed in _NEEDS:
        if condition(layer) and not any(_has(layer, name) for name in needed.split("|")):
            shown = needed.replace("|", " or ").replace("*", "nf4") or "the weight"
            beside = problems.names(sorted(filter(None, layer)))
            yield problems.MEMBER, f"{method}: {shown} is missing beside {beside}"


def _has(layer: Layer, name: str) -> bool:
    return any(one.startswith(name[:-1]) for one in layer) if name.endswith("*") else name in layer


#: Weights of one kind that have these tensors in a checkpoint, as a rule, have them in every layer.
_TOGETHER: tuple[tuple[Callable[[Layer], bool], tuple[str, ...]], ...] = (
    (lambda layer: "qweight" in layer, ("scales", "wscales")),
    (lambda layer: "qweight" in layer, ("qzeros",)),
    (lambda layer: "weight._data" in layer, ("weight._shift",)),
    (lambda layer: {"qweight", "qzeros"} <= layer.keys(), ("g_idx",)),
    (lambda layer: _dtype(layer, "weight") in _FLOAT8 and _rank(layer, "weight") == 2, ("weight_scale", "weight_scale_inv")),
    (lambda layer: _dtype(layer, "weight") == "I8" and _rank(layer, "weight") == 2, ("SCB", "weight_scale")),
    (lambda layer: _dtype(layer, "weight") == "U32", ("scales",)),
)  # fmt: skip


def _rank(layer: Layer, name: str) -> int:
    tensor = layer.get(name)
    return -1 if tensor is None else len(tensor.shape)


def _unlike_the_others(layers: Mapping[str, Layer]) -> Iterator[Fault]:
    for condition, members in _TOGETHER:
        alike = {prefix: layer for prefix, layer in layers.items() if condition(layer)}
        without = [prefix for prefix, layer in alike.items() if layer.keys().isdisjoint(members)]
        if without and 2 * len(without) <= len(alike):
            others = len(alike) - len(without)
            what = f"{' or '.join(members)} is missing, which {others} like {'it has' if others == 1 else 'them have'}"
            yield problems.MEMBER, f"layer {problems.names(without)}: {what}"


# -- shapes ----------------------------------------------------------------------------------------------------------------


def _misfits(layer: Layer) -> Iterator[Fault]:
    for rule in (_integers, _scales, _blocks, _eight_bits, _four_bits, _mlx):
        what = rule(layer)
        if what:
            yield problems.SHAPE, what


def _shapes(layer: Layer, *names: str) -> list[tuple[int, ...]] | None:
    """The shapes of these tensors, or None where one is not there."""
    found = []
    for name in names:
        tensor = layer.get(name)
        if tensor is None:
            return None
        found.append(tensor.shape)
    return found


def _say(layer: Layer, *names: str) -> str:
    shown = []
    for name in names:
        tensor = layer.get(name)
        if tensor is not None:
            shown.append(f"{name or 'the weight'} is {tensor.dtype} {list(tensor.shape)}")
    return ", ".join(shown)


def _unfit(layer: Layer, *names: str) -> str:
    return f"the shapes do not fit: {_say(layer, *names)}"


def _integers(layer: Layer) -> str:
    """GPTQ packs rows of ``qweight``, AWQ columns; both pack columns of ``qzeros``, and scale groups of rows.

    AWQ for GEMV (AutoAWQ, ``WQLinear_GEMV``) stores the transposed tensors, with eight columns of ``scales`` for one of ``qzeros``.
    """
    names = ("qweight", "qzeros", "scales")
    shapes = _shapes(layer, *names)
    if shapes is None or any(len(shape) != 2 for shape in shapes):
        return ""
    if not _dtype(layer, "qweight") == _dtype(layer, "qzeros") == "I32":
        return ""
    weight, zeros, scales = shapes
    gptq = weight[1] == scales[1]
    awq = weight[1] == zeros[1]
    index = _shapes(layer, "g_idx")
    if index is None and weight[0] == zeros[0] == scales[0] and scales[1] == 8 * zeros[1]:
        return ""
    if zeros[0] != scales[0] or not (gptq or awq) or (index is not None and not gptq):
        return _unfit(layer, *names)
    if not scales[1] or zeros[1] * DTYPE_BITS[_dtype(layer, "qzeros")] < scales[1]:
        return _unfit(layer, *names)
    if index is not None and len(index[0]) == 1 and weight[0]:
        # Bits of a value by rows and by columns: 3 bits fill 32 rows, and may pad.
        bits = zeros[1] * DTYPE_BITS[_dtype(layer, "qzeros")] / scales[1]
        rows = weight[0] * DTYPE_BITS[_dtype(layer, "qweight")] / bits
        if abs(rows - index[0][0]) >= 32:
            return f"g_idx does not fit: {_say(layer, 'qweight', 'qzeros', 'scales', 'g_idx')}"
    return ""


def _scales(layer: Layer) -> str:
    """A scale for the tensor, for each row, or for each block of rows and columns, of weights in quantised dtypes."""
    weight = layer.get("weight_packed") or layer.get("weight")
    scale = layer.get("weight_scale_inv") or layer.get("weight_scale")
    if weight is None or scale is None or weight.dtype not in (*_FLOAT8, "I8", "U8", "I32"):
        return ""
    if len(weight.shape) != 2 or prod(scale.shape) == 1:
        return ""
    names = [name for name in ("weight_packed", "weight", "weight_scale_inv", "weight_scale") if name in layer]
    wrong = _unfit(layer, *names)
    if len(scale.shape) > 2 or not scale.shape:
        return wrong if not scale.shape else ""
    if not _blocked(weight.shape[0], scale.shape[0]):
        return wrong
    if len(scale.shape) == 2 and weight.dtype in (*_FLOAT8, "I8") and not _blocked(weight.shape[1], scale.shape[1]):
        return wrong
    # NVFP4: two values in a byte, a scale for 16.
    nvfp4 = weight.dtype == "U8" and scale.dtype == "F8_E4M3" and len(scale.shape) == 2
    return wrong if nvfp4 and 2 * weight.shape[1] > 16 * scale.shape[1] else ""


def _blocked(length: int, blocks: int) -> bool:
    """Whether some size of a block divides ``length`` into this many blocks, the last one maybe shorter."""
    if not length or not blocks:
        return length == blocks
    size = -(-length // blocks)
    return -(-length // size) == blocks


def _blocks(layer: Layer) -> str:
    shapes = _shapes(layer, "_blocks", "_scales")
    if shapes is None or _dtype(layer, "_blocks") != "U8" or len(shapes[0]) != len(shapes[1]) + 1:
        return ""
    return "" if shapes[0][:-1] == shapes[1] else _unfit(layer, "_blocks", "_scales")


def _eight_bits(layer: Layer) -> str:
    shapes = _shapes(layer, "weight", "SCB")
    if shapes is None or not shapes[0] or prod(shapes[1]) == shapes[0][0]:
        return ""
    return _unfit(layer, "weight", "SCB")


def _four_bits(layer: Layer) -> str:
    """``absmax`` has a value for each block of values, of which two are in a byte of the weight."""
    weight, absmax = layer.get(""), layer.get("absmax")
    if weight is None or absmax is None or not _bitsandbytes(layer):
        return ""
    size, count = weight.end - weight.begin, prod(absmax.shape)
    # The last byte may hold one value.
    if any(-(-values // block) == count for block in _BLOCKS for values in (2 * size, 2 * size - 1)):
        return ""
    return f"absmax does not fit: {_say(layer, '', 'absmax')}"


def _mlx(layer: Layer) -> str:
    shapes = _shapes(layer, "weight", "scales", "biases")
    if shapes is None or _dtype(layer, "weight") != "U32":
        return ""
    weight, scales, biases = shapes
    fits = scales == biases and weight[:-1] == scales[:-1]
    return "" if fits else _unfit(layer, "weight", "scales", "biases")
