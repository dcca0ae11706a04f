"""The functions over which programs write tensors, as source: the target runs it, and reproducers carry it.

Each framework has the same functions. ``memory`` makes a tensor of known bytes. ``flipped``, ``broadcast`` and ``lazy`` are
views and values as the framework makes them. ``held_as`` wraps a tensor in another class in which users keep weights.
"""

from __future__ import annotations

_COMMON = '''\
def octets(size, first, truth):
    """Bytes that differ from their neighbours, without infinities; zeros and ones for booleans."""
    return numpy.array([at % 2 if truth else (first + 7 * at) % 120 for at in range(size)], "uint8")


def of_numpy(dtype, shape, first):
    """An array of numpy of a dtype of its own or of ml_dtypes."""
    kind = numpy.dtype(dtype) if dtype in numpy.sctypeDict else numpy.dtype(getattr(ml_dtypes, dtype))
    return octets(math.prod(shape) * kind.itemsize, first, dtype == "bool").view(kind).reshape(shape)


def part(tensor):
    """All but the first row, or the tensor."""
    return tensor[1:] if len(tensor.shape) else tensor


'''
_FLAX = """\
def memory(dtype, shape, first):
    return jax.numpy.asarray(of_numpy(dtype, shape, first))


def flipped(tensor):
    return tensor.T


def broadcast(tensor):
    return jax.numpy.broadcast_to(tensor, (2, *tensor.shape))


def lazy(tensor):
    return jax.jit(lambda one: one[::1])(tensor)


def held_as(tensor):
    return numpy.asarray(tensor)


def reported(tensor):
    return jax.numpy.asarray(tensor)
"""
_TENSORFLOW = """\
def memory(dtype, shape, first):
    return tensorflow.constant(of_numpy(dtype, shape, first))


def flipped(tensor):
    return tensorflow.transpose(tensor)


def broadcast(tensor):
    return tensorflow.broadcast_to(tensor, (2, *tensor.shape))


def lazy(tensor):
    return tensorflow.concat([tensor[:1], tensor[1:]], 0)


def held_as(tensor):
    return tensorflow.Variable(tensor)


def reported(tensor):
    return tensorflow.convert_to_tensor(tensor)
"""
_PADDLE = """\
def memory(dtype, shape, first):
    kind = getattr(paddle, dtype)
    size = math.prod(shape) * (1 if dtype == "bool" else int(re.findall("[0-9]+", dtype)[0]) // 8)
    if not size:
        return paddle.empty(shape, kind)
    return paddle.to_tensor(octets(size, first, dtype == "bool")).view(kind).reshape(shape)


def flipped(tensor):
    return tensor.transpose(list(reversed(range(tensor.ndim))))


def broadcast(tensor):
    return tensor.expand([2, *tensor.shape])


def lazy(tensor):
    return tensor.clone()


def held_as(tensor):
    kept = paddle.nn.ParameterList([paddle.create_parameter(tensor.shape, tensor.dtype)])
    kept[0].set_value(tensor)
    return kept[0]


def reported(tensor):
    return tensor
"""
_MLX = """\
def memory(dtype, shape, first):
    kind = core.bool_ if dtype == "bool" else getattr(core, dtype)
    size = math.prod(shape) * kind.size
    return core.array(octets(size, first, dtype == "bool")).view(kind).reshape(shape)


def flipped(tensor):
    return tensor.T


def broadcast(tensor):
    return core.broadcast_to(tensor, (2, *tensor.shape))


def lazy(tensor):
    return core.concatenate([tensor[:1], tensor[1:]])


def held_as(tensor):
    return core.stop_gradient(tensor)


def reported(tensor):
    return tensor
"""
#: The source by the name of the framework.
KITS = {
    name: _COMMON + own
    for name, own in (("flax", _FLAX), ("tensorflow", _TENSORFLOW), ("paddle", _PADDLE), ("mlx", _MLX))
}
