"""Stops that overlap, and a stream in pieces that cut characters: what each call gives and leaves."""

ALPHABETS = ["ab", "abc", "aé€", "𝄞é"]


def word(rng, alphabet, longest):
    return "".join(alphabet[at] for at in rng.integers(0, len(alphabet), rng.integers(0, longest)).tolist())


def case(rng):
    """Lines that make a set and a matcher, and use them."""
    alphabet = ALPHABETS[rng.integers(4)]
    kind = ["text", "bytes", "tokens"][rng.integers(3)]

    def symbols(text, cut=False):
        if kind == "tokens":
            return [ord(letter) for letter in text]
        if kind == "bytes" or cut:
            return text.encode()[: rng.integers(1, 99)] if cut else text.encode()
        return text

    stops = [symbols(word(rng, alphabet, 6)) for _ in range(rng.integers(0, 5))]
    options = {"kind": kind, "tie": ["first", "longest"][rng.integers(2)], "include": bool(rng.integers(2))}
    lines = [f"stops = api.StopSet({stops!r}, **{options!r})", "matcher, result = stops.matcher(), []"]
    for _ in range(rng.integers(1, 8)):
        piece = symbols(word(rng, alphabet, 5), cut=rng.random() < 0.3 and kind != "tokens")
        more = [symbols(word(rng, alphabet, 4)) for _ in range(rng.integers(0, 4))]
        action = rng.integers(20)
        if action < 12:
            armed = "" if rng.random() < 0.6 else f", armed={bool(rng.integers(2))}"
            lines.append(f"result += [matcher.feed({piece!r}{armed})]")
        elif action < 15:
            lines.append(f"result += [matcher.feed_many({more!r}, armed_from={rng.integers(0, 3)})]")
        else:
            lines.append(
                [
                    "result += [matcher.flush()]",
                    "matcher.reset()",
                    "matcher = matcher.clone()",
                    "state = matcher.__getstate__(); matcher = stops.matcher(); matcher.__setstate__(state)",
                    f"result += [stops.find({piece!r})]",
                ][action - 15]
            )
        lines.append("result += [matcher.held, matcher.fed, matcher.emitted, matcher.hit]")
    lines.append("result += [stops.unreachable]")
    return "\n".join(lines)
