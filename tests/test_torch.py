"""torch tensors on the CPU go in as they are."""

import gc
import weakref

import numpy as np
import pytest
import rheostat
from rheostat import KnobError

torch = pytest.importorskip("torch")

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def same(result, tensor):
    assert type(result) is np.ndarray
    assert result.dtype == np.float32
    expected = tensor.detach().resolve_neg().float().numpy()
    np.testing.assert_array_equal(result.view(np.uint32), np.ascontiguousarray(expected).view(np.uint32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_float_dtype_and_stride_is_read(api, dtype):
    x = torch.randn(5, 37, generator=torch.Generator().manual_seed(1)).to(dtype)
    before = x.clone()
    hidden = torch.stack([x, x])[:, 2]
    for given in (x, x[0], x[:, ::3], x.T, x[:, :7], x[::2], x[1:1], hidden, x[None, 0].expand(4, 37)):
        same(api.top_k(given, 0), given)
    assert torch.equal(x, before)


def test_a_tensor_that_requires_grad_is_read(api):
    x = torch.randn(3, 5, requires_grad=True)
    same(api.top_k(x, 0), x)
    same(api.top_k(x * 2, 0), x * 2)
    same(api.top_k(torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)), 0), torch.ones(4))
    assert x.requires_grad


def test_a_lazy_negation_is_applied(api):
    x = torch.randn(3, 5, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    same(api.top_k(x, 0), x)


@pytest.mark.parametrize(
    ("tensor", "got"),
    [
        (torch.arange(3), "int64"),
        (torch.ones(3) > 0, "bool"),
        (
            torch.ones(3, dtype=torch.complex64),
            "complex64",
        ),
        (torch.ones(3, dtype=torch.uint8), "uint8"),
    ],
)
def test_other_dtypes_are_named(api, tensor, got):
    with pytest.raises(TypeError) as error:
        api.top_k(tensor, 0)
    assert str(error.value) == f"logits must be float32, float64, float16 or bfloat16, got {got}"


def test_dtypes_that_numpy_has_no_name_for_are_unreadable(api):
    with pytest.raises(TypeError, match=r"^logits must be a readable DLPack tensor, got Tensor$"):
        api.top_k(torch.ones(3).to(torch.float8_e4m3fn), 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_shapes_are_named(api, dtype):
    with pytest.raises(KnobError) as error:
        api.top_k(torch.zeros(2, 3, 4, dtype=dtype), 0)
    assert str(error.value) == (
        "logits must be (vocab,) or (batch, vocab), got shape (2, 3, 4); pass logits[:, -1]"
    )
    with pytest.raises(KnobError, match=r"got shape \(\)$"):
        api.top_k(torch.tensor(1.0, dtype=dtype), 0)
    with pytest.raises(KnobError, match="vocabulary of 1 to 1048576, got 0"):
        api.top_k(torch.zeros(2, 0, dtype=dtype), 0)


def test_tensors_without_memory_on_the_cpu_are_errors(api):
    with pytest.raises(ValueError, match="meta"):
        api.top_k(torch.ones(3, device="meta"), 0)
    with pytest.raises(BufferError, match=r"torch\.strided"):
        api.top_k(torch.ones(2, 2).to_sparse(), 0)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
def test_a_fake_tensor_is_an_error(api):
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        fake = torch.ones(3)
    with pytest.raises(TypeError, match="readable DLPack tensor, got FakeTensor"):
        api.top_k(fake, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_is_released_once_it_is_read(api, dtype):
    x = torch.ones(3, 5, dtype=dtype)
    gone = weakref.ref(x)
    result = api.top_k(x, 0)
    for _ in range(1000):
        api.top_k(x, 0)
    storage = weakref.ref(x.untyped_storage())
    del x
    gc.collect()
    assert gone() is None
    assert storage() is None
    assert (result == 1).all()


def test_a_temporary_tensor_is_read_safely(api):
    for dtype in DTYPES:
        for _ in range(50):
            assert (api.top_k(torch.full((64, 1024), 3, dtype=dtype), 0) == 3).all()


def test_out_may_share_a_tensors_memory_only_as_the_same_array(api):
    memory = torch.arange(60, dtype=torch.float32).reshape(6, 10)
    before = memory.clone()
    array = memory.numpy()
    assert api.top_k(memory, 0, out=array) is array
    assert api.top_k(memory[:, :5], 0, out=array[:, :5]) is not None
    assert torch.equal(memory, before)
    api.top_k(memory[:, :5], 0, out=array[:, 5:])
    assert torch.equal(memory[:, 5:], before[:, :5])
    for logits, out in [(memory[:, :5], array[:, 1:6]), (memory.view(torch.bfloat16)[:, :10], array)]:
        with pytest.raises(KnobError, match="got an overlapping array"):
            api.top_k(logits, 0, out=out)
    apart = np.empty((6, 10), np.float32)
    same(api.top_k(memory.bfloat16(), 0, out=apart), memory.bfloat16())


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_tensor_is_read_in_place(dtype):
    """The result follows a write to the tensor made through another view, and no row is allocated."""
    x = torch.zeros(2, 1 << 18, dtype=dtype)
    out = np.empty((2, 1 << 18), np.float32)
    address = x.data_ptr()
    for value in (1, 2, 3):
        x[:, ::2] = value
        rheostat.top_k(x, 0, out=out)
        assert (out[:, ::2] == value).all()
        assert (out[:, 1::2] == 0).all()
    assert x.data_ptr() == address


def test_a_transposed_bitmask_is_read_row_by_row(api):
    words = torch.tensor([[1, 0], [4, 2]], dtype=torch.int32)
    assert [ids.tolist() for ids in api.kept(torch.zeros(2, 64), bitmask=words.T)] == [[0, 34], [33]]
