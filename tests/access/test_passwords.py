"""The real hashes, once: everything else tests with a fast stand-in."""

import argon2
import pytest

from pillarbox.access.passwords import (
    NOBODY,
    SALT_LENGTH,
    SCRAM_ITERATIONS,
    BadPassword,
    hash_password,
    verify_password,
)
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret


def test_one_password_both_ways() -> None:
    kept = hash_password(Secret("gu\u00adte Nacht\u00a0\u2168"))  # as SASLprep has it: "gute Nacht IX"
    assert kept.argon2.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(kept.argon2, Secret("gute Nacht IX"))
    assert verify_password(kept.argon2, Secret("gu\u00adte Nacht\u00a0\u2168"))
    assert not verify_password(kept.argon2, Secret("gute Nacht ix"))
    assert kept.scram.iterations == SCRAM_ITERATIONS >= 4096  # RFC 7677 §4
    assert kept.scram == derive_keys(b"gute Nacht IX", kept.scram.salt, SCRAM_ITERATIONS)


def test_salts_are_fresh() -> None:
    one, other = hash_password(Secret("x")), hash_password(Secret("x"))
    assert one.argon2 != other.argon2
    assert one.scram.salt != other.scram.salt
    assert len(one.scram.salt) == SALT_LENGTH


@pytest.mark.parametrize("text", ["", "a\nb", "\u00ad", "x" * 513, "é\x00"])
def test_what_cannot_be_a_password(text: str) -> None:
    with pytest.raises(BadPassword):
        hash_password(Secret(text))


def test_nobody_costs_what_a_real_one_costs_and_fits_nothing() -> None:
    real, nobody = (argon2.extract_parameters(h) for h in (hash_password(Secret("x")).argon2, NOBODY))
    assert nobody == real
    for text in ["", "x", "a\nb"]:
        assert not verify_password(NOBODY, Secret(text))


@pytest.mark.parametrize("damaged", ["", "$argon2id$v=19$m=19456,t=2,p=1$short", "plain", NOBODY[:-1]])
def test_a_damaged_hash_fits_nothing(damaged: str) -> None:
    assert not verify_password(damaged, Secret("x"))
