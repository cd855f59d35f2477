"""What comes from outside is read or refused, whatever it is; tests/fuzz looks for longer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS


@st.composite
def _broken(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good input with pieces changed, removed, doubled, or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 16))
        match draw(st.integers(0, 3)):
            case 0:
                data[place : place + length] = draw(st.binary(max_size=16))
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case _:
                del data[place:]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_it_is_read_or_refused(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=150, deadline=None)
    @given(st.one_of(_broken(list(target.seeds())), st.binary(max_size=300)))
    def run(data: bytes) -> None:
        target.try_with(data)

    run()
