from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, SupportsIndex, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from rheostat.stops import StopHit

__all__ = [
    "LAW",
    "StopBatch",
    "StopMatcher",
    "StopSet",
    "TokenTable",
    "__version__",
    "_set_simd_level",
    "build_info",
    "choose",
    "kept",
    "log_softmax",
    "min_p",
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
]

__version__: str
LAW: int

def build_info() -> dict[str, Any]: ...
def set_num_threads(n: _Integer, /) -> None: ...
def _set_simd_level(name: str) -> bool: ...

# Logits: a row or a batch. What tells the two apart in its type tells a token from an array of tokens in the
# result; elsewhere the result is Any.

class _SupportsDLPack(Protocol):
    def __dlpack__(self, /) -> Any: ...
    def __dlpack_device__(self, /) -> Any: ...

class _SupportsArray(Protocol):
    def __array__(self, /) -> Any: ...

_Row = np.ndarray[tuple[int], np.dtype[Any]] | Sequence[float]
_Batch = np.ndarray[tuple[int, int], np.dtype[Any]] | Sequence[Sequence[float]]
_LogitsLike = (
    NDArray[Any] | _SupportsDLPack | _SupportsArray | Buffer | Sequence[float] | Sequence[Sequence[float]]
)

_Integer = int | np.integer[Any]
_Number = float | np.integer[Any] | np.floating[Any]
_Integers = _Integer | Sequence[_Integer] | NDArray[np.integer[Any]]
_Numbers = _Number | Sequence[_Number] | NDArray[np.integer[Any] | np.floating[Any]]
_Chain = str | tuple[str, ...] | list[str]
_Out = NDArray[np.float32] | None
_Result = NDArray[np.float32]
_TokenIds = NDArray[np.int64]

def softmax(logits: _LogitsLike, /, *, temperature: _Numbers = 1.0, out: _Out = None) -> _Result: ...
def log_softmax(logits: _LogitsLike, /, *, temperature: _Numbers = 1.0, out: _Out = None) -> _Result: ...
def top_k(
    logits: _LogitsLike, k: _Integers, /, *, temperature: _Numbers = 1.0, out: _Out = None
) -> _Result: ...
def top_p(
    logits: _LogitsLike, p: _Numbers, /, *, temperature: _Numbers = 1.0, out: _Out = None
) -> _Result: ...
def min_p(
    logits: _LogitsLike, p: _Numbers, /, *, temperature: _Numbers = 1.0, out: _Out = None
) -> _Result: ...
@overload
def kept(
    logits: _Row,
    /,
    *,
    temperature: _Number = 1.0,
    top_k: _Integer = 0,
    top_p: _Number = 1.0,
    min_p: _Number = 0.0,
    chain: _Chain = "vllm",
) -> _TokenIds: ...
@overload
def kept(
    logits: _Batch,
    /,
    *,
    temperature: _Numbers = 1.0,
    top_k: _Integers = 0,
    top_p: _Numbers = 1.0,
    min_p: _Numbers = 0.0,
    chain: _Chain = "vllm",
) -> list[_TokenIds]: ...
@overload
def kept(
    logits: _LogitsLike,
    /,
    *,
    temperature: _Numbers = 1.0,
    top_k: _Integers = 0,
    top_p: _Numbers = 1.0,
    min_p: _Numbers = 0.0,
    chain: _Chain = "vllm",
) -> Any: ...
@overload
def sample(
    logits: _Row,
    /,
    *,
    seed: _Integer | None = None,
    stream: _Integer = 0,
    position: _Integer = 0,
    u: _Integer | None = None,
    temperature: _Number = 1.0,
    top_k: _Integer = 0,
    top_p: _Number = 1.0,
    min_p: _Number = 0.0,
    chain: _Chain = "vllm",
) -> int: ...
@overload
def sample(
    logits: _Batch,
    /,
    *,
    seed: _Integers | None = None,
    stream: _Integers = 0,
    position: _Integers = 0,
    u: _Integers | None = None,
    temperature: _Numbers = 1.0,
    top_k: _Integers = 0,
    top_p: _Numbers = 1.0,
    min_p: _Numbers = 0.0,
    chain: _Chain = "vllm",
) -> _TokenIds: ...
@overload
def sample(
    logits: _LogitsLike,
    /,
    *,
    seed: _Integers | None = None,
    stream: _Integers = 0,
    position: _Integers = 0,
    u: _Integers | None = None,
    temperature: _Numbers = 1.0,
    top_k: _Integers = 0,
    top_p: _Numbers = 1.0,
    min_p: _Numbers = 0.0,
    chain: _Chain = "vllm",
) -> Any: ...
def choose(
    logits: _LogitsLike,
    n: _Integer,
    /,
    *,
    seed: _Integers | None = None,
    stream: _Integers = 0,
    position: _Integers = 0,
    temperature: _Numbers = 1.0,
    top_k: _Integers = 0,
    top_p: _Numbers = 1.0,
    min_p: _Numbers = 0.0,
    chain: _Chain = "vllm",
) -> _TokenIds: ...

# Stop sequences. Text: str or bytes in, str out. Bytes: bytes in and out. Tokens: ids in, a list out.

_Ids = SupportsIndex | Sequence[SupportsIndex] | NDArray[np.integer[Any]]
_Piece = str | bytes | _Ids
_Indices = Sequence[SupportsIndex] | NDArray[np.integer[Any]]
_Flags = Sequence[bool] | NDArray[np.bool_]

@final
class StopSet:
    def __new__(
        cls,
        stops: Sequence[str] | Sequence[bytes] | Sequence[_Ids],
        *,
        kind: Literal["text", "bytes", "tokens"] | None = None,
        tie: Literal["first", "longest"] = "first",
        include: bool = False,
    ) -> StopSet: ...
    @property
    def kind(self) -> Literal["text", "bytes", "tokens"]: ...
    @property
    def stops(self) -> tuple[str, ...] | tuple[bytes, ...] | tuple[tuple[int, ...], ...]: ...
    @property
    def tie(self) -> Literal["first", "longest"]: ...
    @property
    def include(self) -> bool: ...
    @property
    def max_len(self) -> int: ...
    @property
    def unreachable(self) -> tuple[int, ...]: ...
    @property
    def nbytes(self) -> int: ...
    def find(self, whole: _Piece) -> StopHit | None: ...
    def matcher(self) -> StopMatcher: ...
    def batch(self, n: SupportsIndex) -> StopBatch: ...
    def __hash__(self) -> int: ...

@final
class StopMatcher:
    def __new__(cls, stop_set: StopSet) -> StopMatcher: ...
    def feed(self, piece: _Piece, armed: bool | np.bool_ = True) -> Any: ...
    def feed_many(self, pieces: Sequence[_Piece], armed_from: SupportsIndex = 0) -> tuple[Any, int]: ...
    def flush(self) -> Any: ...
    @property
    def hit(self) -> StopHit | None: ...
    @property
    def held(self) -> bytes | list[int]: ...
    @property
    def fed(self) -> int: ...
    @property
    def emitted(self) -> int: ...
    def reset(self) -> None: ...
    def clone(self) -> StopMatcher: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...

@final
class StopBatch:
    def __new__(cls, stop_set: StopSet | Sequence[StopSet], n: SupportsIndex) -> StopBatch: ...
    def __len__(self) -> int: ...
    def feed(
        self,
        pieces: Sequence[_Piece],
        rows: _Indices | None = None,
        armed: bool | np.bool_ | _Flags | None = None,
    ) -> list[Any]: ...
    def feed_ids(
        self,
        ids: _Indices,
        table: TokenTable,
        rows: _Indices | None = None,
        armed: bool | np.bool_ | _Flags | None = None,
    ) -> list[Any]: ...
    @property
    def hits(self) -> NDArray[np.int32]: ...
    @property
    def ends(self) -> NDArray[np.int64]: ...
    def flush(self, rows: _Indices | None = None) -> list[Any]: ...
    def reset(self, rows: _Indices | None = None) -> None: ...
    def reorder(self, index: _Indices) -> None: ...

@final
class TokenTable:
    @classmethod
    def from_bytes(cls, tokens: Sequence[bytes | None]) -> TokenTable: ...
    def __len__(self) -> int: ...
    def __getitem__(self, id: SupportsIndex, /) -> bytes | None: ...
    def __iter__(self) -> Iterator[bytes | None]: ...  # by __getitem__, which checkers do not accept
