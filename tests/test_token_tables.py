"""A TokenTable's bytes, joined, are the text that the tokenizer itself decodes."""

import copy
import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import rheostat
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from rheostat import KnobError, vocabularies
from rows_strategy import few
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = [
    "The quick brown fox jumps over the lazy dog, twice; the dog sleeps.",
    "Größenwahn naïve café — “quotes” … œuvre",
    "Съешь же ещё этих мягких французских булок",
    "日本語のテキスト、漢字とかな。 中文 한국어",
    "مرحبا بالعالم 🙂👩‍👩‍👧 नमस्ते ไทย",
    "def f(x):\n\treturn  {x: [1, 2.5]}\n\n    # done\r\n",
]
MIXED = " ".join(TEXTS)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(TEXTS)


def trained(model, pre_tokenizer, decoder, trainer):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoder
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def byte_level():
    """As GPT-2 and Llama 3."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = trained(models.BPE(), split, decoders.ByteLevel(), trainer)
    tokenizer.add_tokens(["<tool>", AddedToken("日 本", normalized=False)])
    tokenizer.add_special_tokens(["<|pad|>"])
    return tokenizer


def byte_fallback():
    """As Llama 2 and Mistral: BPE over metaspace, with a token for each byte."""
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>"], show_progress=False)
    plain = json.loads(trained(models.BPE(), pre_tokenizers.Metaspace(), None, trainer).to_str())["model"]
    vocab = {"<unk>": 0, "<s>": 1} | {f"<0x{byte:02X}>": 2 + byte for byte in range(256)}
    vocab |= {text: len(vocab) + id for text, id in plain["vocab"].items() if text.isascii() or "▁" in text}
    vocab = {text: id for id, text in enumerate(vocab)}
    merges = [tuple(pair) for pair in plain["merges"] if {*pair, "".join(pair)} <= set(vocab)]
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>"])
    tokenizer.add_tokens([AddedToken("<extra▁x>", normalized=False)])
    return tokenizer


def metaspace():
    """As T5: unigram over metaspace; what it does not know is lost."""
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
    )
    return trained(models.Unigram(), pre_tokenizers.Metaspace(), decoders.Metaspace(), trainer)


def gemma_like():
    """Metaspace without a space before the first word."""
    tokenizer = byte_fallback()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False, prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


TOKENIZERS = {make.__name__: make() for make in (byte_level, byte_fallback, metaspace, gemma_like)}
HAS_FIRST_SPACE = ("byte_fallback", "metaspace")

RANKS = {bytes([byte]): byte for byte in range(256)}
RANKS |= {b"th": 256, b"the": 257, "é".encode(): 258, "日".encode()[:2]: 259, b" the": 262}
ENCODING = tiktoken.Encoding(
    "offline", pat_str=r"\s?\p{L}+|\s?\S|\s+", mergeable_ranks=RANKS, special_tokens={"<|end|>": 300}
)


class FakeLlama:
    """What `from_llama` asks of `llama_cpp.Llama`, with its rules: control tokens have no text unless asked
    for.
    """

    pieces = (b"<unk>", b"<s>", b"</s>", b" Hello", b" ", b"\xe6", b"\x97", b"\xa5", b"!")
    control = (0, 1, 2)

    def n_vocab(self) -> int:
        return len(self.pieces)

    def detokenize(self, tokens, prev_tokens=None, special=False) -> bytes:
        return b"".join(self.pieces[id] for id in tokens if special or id not in self.control)


def joined(table, ids):
    return b"".join(table[id] or b"" for id in ids)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_of_tokenizers_join_to_its_own_decode(api, name):
    tokenizer = TOKENIZERS[name]
    table = api.TokenTable.from_tokenizers(tokenizer)

    @few
    @given(any_text)
    def check(text):
        ids = tokenizer.encode(text).ids
        whole = joined(table, ids)
        if name in HAS_FIRST_SPACE:
            whole = whole.removeprefix(b" ")
        assert whole.decode("utf-8", "replace") == tokenizer.decode(ids)

    check()
    assert tokenizer.decode(tokenizer.encode(MIXED).ids).count(" ") > 20
    for text in [MIXED, *TEXTS, "a <tool> b 日 本 c <extra▁x>"]:
        check.hypothesis.inner_test(text)


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "gemma_like"])
def test_tokens_of_a_lossless_tokenizer_join_to_the_text(api, name):
    table = api.TokenTable.from_tokenizers(TOKENIZERS[name])
    whole = joined(table, TOKENIZERS[name].encode(MIXED).ids).decode()
    assert whole == (" " if name in HAS_FIRST_SPACE else "") + MIXED


def test_a_single_token_is_what_it_adds_to_a_text(api):
    tokenizer = TOKENIZERS["byte_fallback"]
    table = api.TokenTable.from_tokenizers(tokenizer)
    byte, word = tokenizer.token_to_id("<0xE6>"), tokenizer.encode("the").ids[0]
    assert (table[byte], table[word][:1]) == (b"\xe6", b" ")


def test_special_tokens_and_gaps_have_no_text(api):
    table = api.TokenTable.from_tokenizers(TOKENIZERS["byte_level"])
    assert [id for id, token in enumerate(table) if token is None] == [0, len(table) - 1]
    assert table[TOKENIZERS["byte_level"].token_to_id("<tool>")] == b"<tool>"
    gapped = Tokenizer(models.BPE({"a": 0, "b": 3}, []))
    gapped.decoder = decoders.ByteLevel()
    assert list(api.TokenTable.from_tokenizers(gapped)) == [b"a", None, None, b"b"]


def test_a_transformers_tokenizer_is_taken_by_its_backend(api):
    tokenizer = TOKENIZERS["metaspace"]
    wrapped = SimpleNamespace(backend_tokenizer=tokenizer)
    assert list(api.TokenTable.from_tokenizers(wrapped)) == list(api.TokenTable.from_tokenizers(tokenizer))


@pytest.mark.parametrize(
    ("decoder", "name"),
    [
        (decoders.WordPiece(), "WordPiece"),
        (decoders.CTC(), "CTC"),
        (decoders.BPEDecoder(), "BPEDecoder"),
        (decoders.Strip(" ", 1, 0), "Strip"),
        (decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 0, 1)]), "Strip"),
        (decoders.Sequence([decoders.Fuse(), decoders.ByteFallback()]), "ByteFallback"),
        (decoders.Replace(Regex("a+"), "b"), "Replace"),
        (decoders.Fuse(), "none"),
        (None, "none"),
    ],
    ids=repr,
)
def test_a_decoder_that_does_not_join_tokens_is_refused(api, decoder, name):
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    if decoder is not None:
        tokenizer.decoder = decoder
    rule = r"tokenizer must have a decoder under which tokens join to the text \(byte-level or metaspace\)"
    with pytest.raises(KnobError, match=f"^{rule}, got {name}$") as caught:
        api.TokenTable.from_tokenizers(tokenizer)
    assert caught.value.argument == "tokenizer"


def test_byte_level_characters_are_those_of_tokenizers():
    assert sorted(vocabularies.BYTES) == sorted(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    written = "".join(text for text, _ in split.pre_tokenize_str(MIXED))
    assert bytes(vocabularies.BYTES[character] for character in written) == MIXED.encode()


def test_tokens_of_tiktoken_join_to_its_own_decode(api):
    table = api.TokenTable.from_tiktoken(ENCODING)

    @few
    @given(any_text)
    def check(text):
        ids = ENCODING.encode_ordinary(text)
        assert joined(table, ids) == ENCODING.decode_bytes(ids) == text.encode()

    check()
    check.hypothesis.inner_test(MIXED)
    assert len(table) == ENCODING.n_vocab == 301
    assert [table[id] for id in (256, 260, 261, 262, 299, 300)] == [b"th", None, None, b" the", None, None]


def test_tokens_of_llama_are_what_it_detokenizes(api):
    llama = FakeLlama()
    table = api.TokenTable.from_llama(llama)
    assert list(table) == [None, None, None, b" Hello", b" ", b"\xe6", b"\x97", b"\xa5", b"!"]
    ids = [1, 3, 4, 5, 6, 7, 8, 2]
    assert joined(table, ids) == llama.detokenize(ids) == " Hello 日!".encode()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("from_tiktoken", "encoding must be a tiktoken.Encoding, got dict"),
        (
            "from_tokenizers",
            "tokenizer must be a tokenizers.Tokenizer, or have one as backend_tokenizer, got dict",
        ),
        ("from_llama", "llama must be a llama_cpp.Llama, got dict"),
    ],
)
def test_what_is_no_tokenizer_is_refused(api, make, message):
    with pytest.raises(TypeError) as caught:
        getattr(api.TokenTable, make)({})
    assert str(caught.value) == message


@few
@given(st.lists(st.none() | st.binary(max_size=3), max_size=40))
def test_a_table_iterates_pickles_and_copies(tokens):
    for api in (rheostat, rheostat.reference):
        table = api.TokenTable.from_bytes(tokens)
        for other in (table, pickle.loads(pickle.dumps(table)), copy.copy(table), copy.deepcopy(table)):
            assert type(other) is api.TokenTable
            assert list(other) == [other[id] for id in range(len(other))] == tokens


few_bytes = st.text("ab", max_size=4).map(str.encode)


@few
@given(st.lists(st.none() | few_bytes, max_size=70), few_bytes)
def test_a_prefix_mask_is_of_tokens_that_begin_with_it_and_of_its_beginnings(tokens, prefix):
    masks = [api.TokenTable.from_bytes(tokens).prefix_mask(prefix) for api in (rheostat, rheostat.reference)]
    for mask in masks:
        assert (mask.dtype, mask.shape) == (np.dtype(np.int32), (-(-len(tokens) // 32),))
        assert mask.flags.writeable
    np.testing.assert_array_equal(*masks)
    allowed = [masks[0][id // 32] >> id % 32 & 1 for id in range(masks[0].size * 32)]
    for id, bit in enumerate(allowed):
        token = tokens[id] if id < len(tokens) else None
        fits = token is not None and (
            token[: len(prefix)] == prefix or token in [prefix[:n] for n in (1, 2, 3)]
        )
        assert bit == fits


def test_a_cut_prompt_is_healed(api):
    """The prompt ends within a word: its last token is cut off, and what comes first may begin with it."""
    tokens = [b"ht", b"htt", b"http", b"https://", b"h", b"t", b"x", b"", None]
    table = api.TokenTable.from_bytes(tokens)
    logits = np.arange(len(tokens), dtype=np.float32)
    kept = api.kept(logits, bitmask=table.prefix_mask(b"htt"))
    assert [tokens[id] for id in kept] == [b"ht", b"htt", b"http", b"https://", b"h"]
    kept = api.kept(logits, bitmask=table.prefix_mask(b""))
    assert kept.tolist() == list(range(8))


@pytest.mark.parametrize("prefix", ["htt", bytearray(b"h"), None], ids=repr)
def test_a_prefix_that_is_not_bytes_is_refused(api, prefix):
    table = api.TokenTable.from_bytes([b"a"])
    with pytest.raises(TypeError) as caught:
        table.prefix_mask(prefix)
    assert str(caught.value) == f"prefix must be bytes, got {prefix!r}"
