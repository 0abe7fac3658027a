"""A model for the command line's tests: bytes, each by the one before it. Text of its own training text."""

import numpy as np
import rheostat

TEXT = (
    "the cat sat on the mat. the dog sat on the cat. a cat and a dog ran at the rat.\nthe rat ran on it. "
    "the cat ran at the dog. a rat sat on a mat and the dog ran at the rat and the cat sat.\n\n"
)
EOS = 0


class Bytes:
    """The next byte by how often it came behind the last one; byte 0 ends a text."""

    context_length = 300
    eos_token_id = EOS
    table = rheostat.TokenTable.from_bytes([None, *(bytes([byte]) for byte in range(1, 256))])

    def __init__(self, text=TEXT):
        data = np.frombuffer(text.encode(), np.uint8)
        counts = np.full((256, 256), 0.001)
        np.add.at(counts, (data[:-1], data[1:]), 1)
        self.rows = np.log(counts).astype(np.float32)

    def encode(self, text):
        return list(text.encode())

    def __call__(self, ids):
        return self.rows[ids[-1] if ids else 10]


def load():
    return Bytes()


class Breaks(Bytes):
    """Raises after ten tokens."""

    def __call__(self, ids):
        if len(ids) > 13:
            raise ConnectionError("the model is away")
        return super().__call__(ids)


class Slow(Bytes):
    """Takes its time."""

    def __call__(self, ids):
        import time

        time.sleep(0.05)
        return super().__call__(ids)


class Cached(Bytes):
    """Told only what is new."""

    def start(self, ids):
        return super().__call__(ids)

    def next(self, id):
        return super().__call__([id])


class Signals(Bytes):
    """Ctrl-C comes while the sixth row is computed."""

    def __call__(self, ids):
        if len(ids) == 9:
            import signal

            signal.raise_signal(signal.SIGINT)
        return super().__call__(ids)


class Tableless(Bytes):
    """Has no text."""

    table = None


class Twice(Bytes):
    """Gives two rows."""

    def __call__(self, ids):
        return np.stack([super().__call__(ids)] * 2)


class TwoLetters(Bytes):
    """Knows of no other."""

    def encode(self, text):
        return ["ab".index(letter) for letter in text]


class Held(Bytes):
    """Always writes a word letter by letter, and again."""

    def __call__(self, ids):
        row = np.full(256, -8, np.float32)
        row["the cat \u00e9!".encode()[(len(ids) - 4) % 11]] = 2 + len(ids) % 3
        return row
