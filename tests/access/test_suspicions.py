"""What an administrator is shown: accounts by name, and no name that might be a password."""

from tests.access.conftest import ELSEWHERE, Bench

from pillarbox.access.suspicions import MAX_SUSPICIONS, NO_ACCOUNT, suspicions


async def test_a_name_that_is_no_account_is_not_told(bench: Bench) -> None:
    throttle = bench.access.throttle
    names = ("alice@example.test", "hunter2@example.test", "my secret", "p@ssword.example", "carol@example.test")
    for number, name in enumerate(names):
        throttle.failed(f"8.8.{number}.8", name, bench.now)
    found = await suspicions(throttle, bench.access.directory, bench.now)
    assert {each.account for each in found} == {"", "alice@example.test", "carol@example.test", NO_ACCOUNT}
    assert sum(each.account == NO_ACCOUNT for each in found) == 6  # anywhere, and from its block
    assert "hunter2" not in repr(found)


async def test_no_more_than_a_person_reads(bench: Bench) -> None:
    for number in range(MAX_SUSPICIONS):
        bench.access.throttle.failed(ELSEWHERE, f"x{number}@example.test", bench.now)
    assert len(await suspicions(bench.access.throttle, bench.access.directory, bench.now)) == MAX_SUSPICIONS
