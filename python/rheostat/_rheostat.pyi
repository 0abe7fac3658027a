from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, SupportsIndex, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from rheostat.params import SamplingParams
from rheostat.results import Logprobs, Token, Tokens, Verified
from rheostat.stops import StopHit

__all__ = [
    "LAW",
    "BatchSampler",
    "Sampler",
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
    "logprobs",
    "min_p",
    "process",
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
    "verify",
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
_IdList = Sequence[_Integer] | NDArray[np.integer[Any]]
_IdLists = _IdList | Sequence[_IdList | None]
_Histories = Sequence[_IdList] | NDArray[np.integer[Any]]
_Words = Sequence[_IdList]
_WordLists = _Words | Sequence[_Words | None]
_OptionalIntegers = _Integers | Sequence[_Integer | None] | None
_Bitmask = NDArray[np.int32] | _SupportsArray
_Biases = Mapping[Any, _Number]  # keys are ids, or tuples of them; a Mapping is not covariant in its keys
_BiasLists = _Biases | Sequence[_Biases | None]
_Step = str | Callable[[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]], Any]
_Chain = str | tuple[_Step, ...] | list[str] | list[_Step]
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

# The knobs, a group a line: filters, masks, biases, penalties. A row takes one value of each, a batch one for
# all rows or one per row.
# fmt: off
@overload
def kept(
    logits: _Row, /, *,
    seed: _Integer | None = None, stream: _Integer = 0, position: _Integer = 0,
    prompt_ids: _IdList = (), output_ids: _IdList = (), chain: _Chain = "vllm",
    temperature: _Number = 1.0, top_k: _Integer = 0, top_p: _Number = 1.0, min_p: _Number = 0.0,
    typical_p: _Number = 1.0, epsilon_cutoff: _Number = 0.0, eta_cutoff: _Number = 0.0,
    top_h: _Number = 0.0, top_n_sigma: _Number = 0.0, xtc_threshold: _Number = 0.1,
    xtc_probability: _Number = 0.0,
    vocab_size: _Integer | None = None, allowed_token_ids: _IdList | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdList | None = None,
    bad_words: _Words | None = None, no_repeat_ngram_size: _Integer = 0, min_tokens: _Integer = 0,
    eos_token_id: _Integer | _IdList | None = None, stop_token_ids: _IdList | None = None,
    logit_bias: _Biases | None = None, sequence_bias: _Biases | None = None,
    repetition_penalty: _Number = 1.0, frequency_penalty: _Number = 0.0, presence_penalty: _Number = 0.0,
    penalty_last_n: _Integer | None = None, dry_multiplier: _Number = 0.0, dry_base: _Number = 1.75,
    dry_allowed_length: _Integer = 2, dry_penalty_last_n: _Integer | None = None,
    dry_sequence_breakers: _IdList | None = None,
) -> _TokenIds: ...
@overload
def kept(
    logits: _Batch, /, *,
    seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0,
    prompt_ids: _Histories = (), output_ids: _Histories = (), chain: _Chain = "vllm",
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> list[_TokenIds]: ...
@overload
def kept(
    logits: _LogitsLike, /, *,
    seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0,
    prompt_ids: _IdList | _Histories = (), output_ids: _IdList | _Histories = (), chain: _Chain = "vllm",
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> Any: ...
@overload
def sample(
    logits: _Row, /, *,
    seed: _Integer | None = None, stream: _Integer = 0, position: _Integer = 0, u: _Integer | None = None,
    prompt_ids: _IdList = (), output_ids: _IdList = (), chain: _Chain = "vllm",
    temperature: _Number = 1.0, top_k: _Integer = 0, top_p: _Number = 1.0, min_p: _Number = 0.0,
    typical_p: _Number = 1.0, epsilon_cutoff: _Number = 0.0, eta_cutoff: _Number = 0.0,
    top_h: _Number = 0.0, top_n_sigma: _Number = 0.0, xtc_threshold: _Number = 0.1,
    xtc_probability: _Number = 0.0,
    vocab_size: _Integer | None = None, allowed_token_ids: _IdList | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdList | None = None,
    bad_words: _Words | None = None, no_repeat_ngram_size: _Integer = 0, min_tokens: _Integer = 0,
    eos_token_id: _Integer | _IdList | None = None, stop_token_ids: _IdList | None = None,
    logit_bias: _Biases | None = None, sequence_bias: _Biases | None = None,
    repetition_penalty: _Number = 1.0, frequency_penalty: _Number = 0.0, presence_penalty: _Number = 0.0,
    penalty_last_n: _Integer | None = None, dry_multiplier: _Number = 0.0, dry_base: _Number = 1.75,
    dry_allowed_length: _Integer = 2, dry_penalty_last_n: _Integer | None = None,
    dry_sequence_breakers: _IdList | None = None,
) -> int: ...
@overload
def sample(
    logits: _Batch, /, *,
    seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0, u: _Integers | None = None,
    prompt_ids: _Histories = (), output_ids: _Histories = (), chain: _Chain = "vllm",
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> _TokenIds: ...
@overload
def sample(
    logits: _LogitsLike, /, *,
    seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0, u: _Integers | None = None,
    prompt_ids: _IdList | _Histories = (), output_ids: _IdList | _Histories = (), chain: _Chain = "vllm",
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> Any: ...
def choose(
    logits: _LogitsLike, n: _Integer, /, *,
    seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0,
    prompt_ids: _IdList | _Histories = (), output_ids: _IdList | _Histories = (), chain: _Chain = "vllm",
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> _TokenIds: ...
def process(
    logits: _LogitsLike, /, *,
    seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0,
    prompt_ids: _IdList | _Histories = (), output_ids: _IdList | _Histories = (),
    chain: _Chain = "vllm", out: _Out = None,
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> _Result: ...
def logprobs(
    logits: _LogitsLike, token_ids: _Integer | _IdList | _Histories, /, *,
    top: _Integer = 0, seed: _Integers | None = None, stream: _Integers = 0, position: _Integers = 0,
    prompt_ids: _IdList | _Histories = (), output_ids: _IdList | _Histories = (), chain: _Chain = "vllm",
    temperature: _Numbers = 1.0, top_k: _Integers = 0, top_p: _Numbers = 1.0, min_p: _Numbers = 0.0,
    typical_p: _Numbers = 1.0, epsilon_cutoff: _Numbers = 0.0, eta_cutoff: _Numbers = 0.0,
    top_h: _Numbers = 0.0, top_n_sigma: _Numbers = 0.0, xtc_threshold: _Numbers = 0.1,
    xtc_probability: _Numbers = 0.0,
    vocab_size: _OptionalIntegers = None, allowed_token_ids: _IdLists | None = None,
    bitmask: _Bitmask | None = None, banned_token_ids: _IdLists | None = None,
    bad_words: _WordLists | None = None, no_repeat_ngram_size: _Integers = 0, min_tokens: _Integers = 0,
    eos_token_id: _Integer | _IdLists | None = None, stop_token_ids: _IdLists | None = None,
    logit_bias: _BiasLists | None = None, sequence_bias: _BiasLists | None = None,
    repetition_penalty: _Numbers = 1.0, frequency_penalty: _Numbers = 0.0, presence_penalty: _Numbers = 0.0,
    penalty_last_n: _OptionalIntegers = None, dry_multiplier: _Numbers = 0.0, dry_base: _Numbers = 1.75,
    dry_allowed_length: _Integers = 2, dry_penalty_last_n: _OptionalIntegers = None,
    dry_sequence_breakers: _IdLists | None = None,
) -> Logprobs: ...
# fmt: on

# A sequence, and many.

@final
class Sampler:
    def __new__(
        cls, params: SamplingParams, vocab_size: _Integer, *, prompt_ids: _IdList = (), stream: _Integer = 0
    ) -> Sampler: ...
    def sample(self, logits: _LogitsLike, *, bitmask: _Bitmask | None = None) -> Token: ...
    def accept(self, ids: _Integer | _IdList) -> None: ...
    def set_params(self, params: SamplingParams) -> None: ...
    @property
    def params(self) -> SamplingParams: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def stream(self) -> int: ...
    @property
    def mu(self) -> float | None: ...
    @property
    def history(self) -> tuple[int, ...]: ...
    @property
    def prompt_ids(self) -> tuple[int, ...]: ...
    @property
    def output_ids(self) -> tuple[int, ...]: ...
    def snapshot(self) -> bytes: ...
    def restore(self, state: bytes) -> None: ...
    def __setstate__(self, state: bytes) -> None: ...

_BatchState = tuple[int, int, tuple[tuple[int, SamplingParams, bytes], ...]]

@final
class BatchSampler:
    def __new__(cls, vocab_size: _Integer) -> BatchSampler: ...
    def add(self, params: SamplingParams, *, prompt_ids: _IdList = (), stream: _Integer = 0) -> int: ...
    def remove(self, handle: SupportsIndex) -> None: ...
    def step(
        self,
        logits: _LogitsLike,
        handles: _Indices | None = None,
        *,
        bitmask: _Bitmask | Sequence[_Bitmask | None] | None = None,
        on_bad_row: Literal["raise", "mark"] = "raise",
        kept: bool = False,
    ) -> Tokens: ...
    def accept(self, handle: SupportsIndex, ids: _Integer | _IdList) -> None: ...
    def set_params(self, handle: SupportsIndex, params: SamplingParams) -> None: ...
    def snapshot(self, handle: SupportsIndex) -> bytes: ...
    def restore(self, handle: SupportsIndex, state: bytes) -> None: ...
    def params(self, handle: SupportsIndex) -> SamplingParams: ...
    def position(self, handle: SupportsIndex) -> int: ...
    def seed(self, handle: SupportsIndex) -> int: ...
    def stream(self, handle: SupportsIndex) -> int: ...
    def mu(self, handle: SupportsIndex) -> float | None: ...
    def history(self, handle: SupportsIndex) -> tuple[int, ...]: ...
    def prompt_ids(self, handle: SupportsIndex) -> tuple[int, ...]: ...
    def output_ids(self, handle: SupportsIndex) -> tuple[int, ...]: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def handles(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getstate__(self) -> _BatchState: ...
    def __setstate__(self, state: _BatchState) -> None: ...

def verify(
    draft_ids: _IdList,
    draft_logits: _LogitsLike | None,
    target_logits: _LogitsLike,
    /,
    params: SamplingParams,
    *,
    seed: _Integer,
    position: _Integer,
    stream: _Integer = 0,
    method: Literal["match", "lossless"] = "match",
    prompt_ids: _IdList = (),
    output_ids: _IdList = (),
    vocab_size: _Integer | None = None,
    bitmask: _Bitmask | None = None,
) -> Verified: ...

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
    @classmethod
    def from_tiktoken(cls, encoding: Any) -> TokenTable: ...
    @classmethod
    def from_tokenizers(cls, tokenizer: Any) -> TokenTable: ...
    @classmethod
    def from_llama(cls, llama: Any) -> TokenTable: ...
    def prefix_mask(self, prefix: bytes) -> NDArray[np.int32]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, id: SupportsIndex, /) -> bytes | None: ...
    def __iter__(self) -> Iterator[bytes | None]: ...
