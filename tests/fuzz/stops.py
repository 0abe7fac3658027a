"""Stops that overlap, and a stream in pieces that cut characters: what each call gives and leaves."""

ALPHABETS = ["ab", "abc", "aé€", "𝄞é"]


def word(rng, alphabet, longest, least=0):
    length = rng.integers(least, longest)
    return "".join(alphabet[at] for at in rng.integers(0, len(alphabet), length).tolist())


def first_armed(rng, turn):
    """From which turn on stops count, in a stream that begins at this one."""
    return turn + (rng.integers(0, 4) if rng.random() < 0.4 else 0)


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

    least = 0 if rng.random() < 0.03 else 1
    stops = [symbols(word(rng, alphabet, 6, least)) for _ in range(rng.integers(0, 5))]
    options = {"kind": kind, "tie": ["first", "longest"][rng.integers(2)], "include": bool(rng.integers(2))}
    lines = [f"stops = api.StopSet({stops!r}, **{options!r})", "matcher, result = stops.matcher(), []"]
    armed_at = first_armed(rng, 0)
    for turn in range(rng.integers(1, 8)):
        piece = symbols(word(rng, alphabet, 5), cut=rng.random() < 0.3 and kind != "tokens")
        more = [symbols(word(rng, alphabet, 4)) for _ in range(rng.integers(0, 4))]
        wrongs = rng.random() < 0.03  # takes back that stops count
        action = rng.integers(20)
        if action < 12:
            armed = bool(turn >= armed_at) != wrongs
            says = "" if armed and rng.random() < 0.7 else f", armed={armed}"
            lines.append(f"result += [matcher.feed({piece!r}{says})]")
        elif action < 15:
            armed_from = rng.integers(0, 3) if turn <= armed_at or wrongs else 0
            armed_at = min(armed_at, turn)
            lines.append(f"result += [matcher.feed_many({more!r}, armed_from={armed_from})]")
        elif action == 15:
            lines.append("result += [matcher.flush()]")
            if rng.random() < 0.6:
                lines.append("matcher.reset()")
                armed_at = first_armed(rng, turn + 1)
        elif action == 16:
            lines.append("matcher.reset()")
            armed_at = first_armed(rng, turn + 1)
        else:
            lines.append(
                [
                    "matcher = matcher.clone()",
                    "state = matcher.__getstate__(); matcher = stops.matcher(); matcher.__setstate__(state)",
                    f"result += [stops.find({piece!r})]",
                ][action - 17]
            )
        lines.append("result += [matcher.held, matcher.fed, matcher.emitted, matcher.hit]")
    lines.append("result += [stops.unreachable]")
    return "\n".join(lines)
