"""The bytes of every token, from the tokenizer of another program: a list whose item `id` is bytes, or None
for a token without text.

Both implementations of `TokenTable` are made from these lists. Special tokens have no text, as in the
tokenizers' own decode: a server stops at their ids and never shows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from rheostat.errors import KnobError

Tokens = list[bytes | None]
Step = Callable[[str], str | bytes]

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def of_tiktoken(encoding: Any) -> Tokens:
    """The tokens of a `tiktoken.Encoding`. An id that it leaves out, or a special token's, is None."""
    _needs("encoding", encoding, "a tiktoken.Encoding", ["n_vocab", "decode_single_token_bytes"])
    special = {encoding.encode_single_token(token) for token in encoding.special_tokens_set}

    def token(id: int) -> bytes | None:
        try:
            found: bytes = encoding.decode_single_token_bytes(id)
        except KeyError:
            return None
        return found

    return [None if id in special else token(id) for id in range(encoding.n_vocab)]


def of_tokenizers(tokenizer: Any) -> Tokens:
    """The tokens of a `tokenizers.Tokenizer`, or of what has one as `backend_tokenizer`."""
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
    wanted = "a tokenizers.Tokenizer, or have one as backend_tokenizer"
    needed = ["decoder", "get_vocab", "id_to_token", "get_added_tokens_decoder"]
    _needs("tokenizer", tokenizer, wanted, needed)
    steps = _steps(tokenizer.decoder)
    added = tokenizer.get_added_tokens_decoder()
    special = {id for id, token in added.items() if token.special}
    size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    texts = [None if id in special else tokenizer.id_to_token(id) for id in range(size)]
    return [None if text is None else _bytes(text, steps) for text in texts]


def of_llama(llama: Any) -> Tokens:
    """The tokens of a `llama_cpp.Llama`. What detokenizes to nothing, as its control tokens do, is None."""
    _needs("llama", llama, "a llama_cpp.Llama", ["n_vocab", "detokenize"])
    return [llama.detokenize([id]) or None for id in range(llama.n_vocab())]


def _needs(name: str, value: Any, wanted: str, attributes: list[str]) -> None:
    if not all(hasattr(value, attribute) for attribute in attributes):
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")


def _bytes(text: str, steps: list[Step]) -> bytes:
    """A token's bytes: what the decoder's steps make of it, those that make text before those that make
    bytes.
    """
    piece: str | bytes = text
    for step in steps:
        if isinstance(piece, str):
            piece = step(piece)
    return piece.encode() if isinstance(piece, str) else piece


def _steps(decoder: Any) -> list[Step]:
    """What a decoder does to a single token. One whose text is not its tokens' joined is refused."""
    steps: list[Step] = []
    fused = False
    for part in _parts(None if decoder is None else json.loads(decoder.__getstate__())):
        kind = part["type"]
        if kind == "Fuse":
            fused = True
        elif kind == "Strip" and fused and part["stop"] == 0:
            pass  # of the whole text: the space before its first word, which belongs to the token elsewhere
        elif kind == "ByteLevel" and not fused:
            steps.append(_from_alphabet)
        elif kind == "ByteFallback" and not fused:
            steps.append(_from_byte_token)
        elif kind == "Metaspace" and not fused:
            steps.append(_replace(part["replacement"], " "))
        elif kind == "Replace" and not fused and "String" in part["pattern"]:
            steps.append(_replace(part["pattern"]["String"], part["content"]))
        else:
            raise _refused(kind)
    if not steps:
        raise _refused("none")
    return steps


def _parts(state: Any) -> list[dict[str, Any]]:
    """A decoder's parts, in order, sequences flattened."""
    if state is None:
        return []
    if state["type"] != "Sequence":
        return [state]
    return [part for each in state["decoders"] for part in _parts(each)]


def _refused(kind: str) -> KnobError:
    rule = "tokenizer must have a decoder under which tokens join to the text (byte-level or metaspace)"
    return KnobError(f"{rule}, got {kind}", "tokenizer", kind)


def _replace(old: str, new: str) -> Step:
    return lambda text: text.replace(old, new)


def _from_byte_token(text: str) -> str | bytes:
    """`<0x0A>` is the byte 10."""
    found = BYTE_TOKEN.fullmatch(text)
    return bytes([int(found[1], 16)]) if found else text


def _from_alphabet(text: str) -> str | bytes:
    """Each character is a byte. A token with another one, which only added tokens have, is plain text."""
    return bytes(BYTES[c] for c in text) if all(c in BYTES for c in text) else text


def _alphabet() -> dict[str, int]:
    """The characters that byte-level tokenizers write for the 256 bytes. (Radford et al. 2019, GPT-2)

    The printable ones of Latin-1 stand for themselves; the others, in their order, are those from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    plain = {chr(byte): byte for byte in printable}
    return plain | {chr(0x100 + i): byte for i, byte in enumerate(others)}


BYTES = _alphabet()
