"""The functions that programs of target ``torch_writers`` call. The target runs them; reproducers carry them as source.

Of the modules for programs, this one alone imports torch. The target imports it when it opens.
"""

from __future__ import annotations

from typing import Any

import torch


class Own(torch.Tensor):
    """A subclass of Tensor."""


class Mapping(dict):  # type: ignore[type-arg]
    """A subclass of dict."""


def memory(dtype: str, shape: Any, first: int, zero: bool = False) -> Any:
    """A new tensor with bytes that depend on their place."""
    kind = getattr(torch, dtype)
    size = kind.itemsize
    for count in shape:
        size *= count
    if not size:
        return torch.empty(shape, dtype=kind)
    octets = [at % 2 if dtype == "bool" else (first + 7 * at) % 120 for at in range(size)]
    return torch.tensor([0] * size if zero else octets, dtype=torch.uint8).view(kind).reshape(shape)


def parameter(tensor: Any) -> Any:
    """A parameter of a module, with a gradient where possible."""
    return torch.nn.Parameter(tensor.detach(), requires_grad=tensor.is_floating_point() or tensor.is_complex())


def flipped(tensor: Any) -> Any:
    """The view with reversed dimensions."""
    return tensor.permute(tuple(reversed(range(tensor.ndim))))


def halves(tensor: Any) -> Any:
    """The two halves of the numbers, as views."""
    flat = tensor.view(-1)
    middle = (len(flat) + 1) // 2
    return flat[:middle], flat[middle:]


class Model(torch.nn.Module):
    """A module with these tensors. A dot in a name leads into a child. Other values are extra state."""

    def __init__(self, tensors: Any) -> None:
        super().__init__()
        for name, tensor in tensors:
            *path, last = name.split(".")
            module: Any = self
            for word in path:
                if word not in dict(module.named_children()):
                    module.add_module(word, Model(()))
                module = module.get_submodule(word)
            if isinstance(tensor, torch.nn.Parameter):
                module.register_parameter(last, tensor)
            elif isinstance(tensor, torch.Tensor):
                module.register_buffer(last, tensor)
            else:
                module.extra = tensor


class Stateful(Model):
    """A module with extra state."""

    def get_extra_state(self) -> Any:
        """The extra state."""
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        """Restore the extra state."""
        self.extra = state


def module(tensors: Any) -> Any:
    """A module with these tensors; of two equal names the last counts."""
    tensors = dict(tensors)
    whole = all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())
    return (Model if whole else Stateful)(tensors.items())


def raw(tensor: Any) -> Any:
    """The bytes of a tensor in C order; None for a sparse tensor, or one without data."""
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        return None
    # A tensor with one element is contiguous for torch with any stride.
    plain = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes()


def held(tensors: Any) -> Any:
    """Dtype, shape and bytes of tensors by name; of other values, the type."""
    return {
        name: ("inference " * one.is_inference() + str(one.dtype).partition(".")[2], tuple(one.shape), raw(one))
        if isinstance(one, torch.Tensor) else (type(one).__name__, (), None)
        for name, one in tensors.items()
    }  # fmt: skip


def scribble(tensors: Any) -> None:
    """Overwrite every tensor in place."""
    for tensor in tensors.values():
        if tensor.numel():
            tensor.detach().reshape(-1).view(torch.uint8).fill_(1)


def loaded(model: Any, answer: Any) -> Any:
    """The state of a model after load_model, and the two parts of the answer, sorted, with their types."""
    missing, unexpected = answer
    return held(model.state_dict()), sorted(missing), sorted(unexpected), (type(missing), type(unexpected))
