"""DRY, "don't repeat yourself": how long a repetition each token would continue. (p-e-w 2024, koboldcpp,
llama.cpp)

A token continues a repetition of length k if it followed, somewhere earlier, the same k tokens that the
sequence ends with now. A breaker ends what counts: a match never reaches back over one, and a breaker
itself is never penalised.
"""

from __future__ import annotations

from collections.abc import Sequence


def continuations(ids: Sequence[int], breakers: frozenset[int]) -> dict[int, int]:
    """For each token that followed another in ids and is no breaker: the length of the longest repetition
    that it would continue. That may be 0, which costs something only where dry_allowed_length is 0. The first
    token followed nothing and has no length, unless it comes again.

    Reversed, the sequence's end is a beginning, and the length of the match that ends before place k is the
    Z-array's entry there: all of them together cost one pass.
    """
    backwards = list(ids)[::-1]
    limit = next((k for k, token in enumerate(backwards) if token in breakers), len(backwards))
    longest: dict[int, int] = {}
    for k, match in enumerate(z_array(backwards)[1:], 1):
        token = backwards[k - 1]  # what followed the match
        if token not in breakers:
            longest[token] = max(longest.get(token, 0), min(match, limit))
    return longest


def z_array(s: Sequence[int]) -> list[int]:
    """z[k] is the length of the longest common prefix of s and s[k:], in one pass. (Gusfield 1997, section
    1.4)

    s[left:right] is the match that reaches furthest; within it, what is known about its copy at the front
    tells all but what lies beyond its end.
    """
    z = [len(s)] + [0] * (len(s) - 1) if s else []
    left = right = 0
    for k in range(1, len(s)):
        if k < right:
            z[k] = min(right - k, z[k - left])
        while k + z[k] < len(s) and s[z[k]] == s[k + z[k]]:
            z[k] += 1
        if k + z[k] > right:
            left, right = k, k + z[k]
    return z
