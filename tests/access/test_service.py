"""Access: who may log in, what strangers can tell, and what a login costs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.access.conftest import ELSEWHERE, Bench, bench_with, hashes

from pillarbox.access.passwords import NOBODY, SALT_LENGTH, SCRAM_ITERATIONS
from pillarbox.access.policy import Budget
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Identity
from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.registry import exchange
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Alias, Directory, StoreUnavailable
from pillarbox.wire.engine import TlsInfo

ALICE = Identity(1, "Alice@example.test")
FAR = "8.8.8.8"
TLS = TlsInfo("TLSv1.3", "x")


@pytest.mark.parametrize(
    "name",
    ["alice@example.test", "ALICE@EXAMPLE.TEST", " alice@example.test\r\n", "alice", "Alice ", "alice@Example.Test"],
)
async def test_names_that_are_alice(bench: Bench, name: str) -> None:
    assert await bench.login(name, "open sesame") == ALICE


@pytest.mark.parametrize(
    "name",
    ["", "@", "alias@example.test", "alice+tag@example.test", "alice@", "@example.test", "a b@example.test", "é" * 400],
)
async def test_names_that_are_nobody(bench: Bench, name: str) -> None:
    await bench.store.directory.add_alias(Alias("alias@example.test", ("alice@example.test",)))
    with pytest.raises(AuthenticationFailed):
        await bench.login(name, "open sesame")


async def test_a_name_without_domain_needs_the_only_domain(bench: Bench) -> None:
    await bench.store.directory.add_domain("other.test")
    with pytest.raises(AuthenticationFailed):
        await bench.login("alice", "open sesame")


async def test_unknown_disabled_and_wrong_are_the_same_to_the_peer(bench: Bench) -> None:
    seen = []
    for peer, name, password in [
        ("8.1.1.1", "nobody@example.test", "open sesame"),
        ("8.1.2.1", "carol@example.test", "away"),
        ("8.1.3.1", "alice@example.test", "wrong"),
        ("8.1.4.1", "not an address", "wrong"),
    ]:
        for _repeated in range(2):
            bench.compared.clear()
            bench.slept.clear()
            with pytest.raises(AuthenticationFailed) as failure:
                await bench.login(name, password, peer)
            seen.append((str(failure.value), len(bench.compared), tuple(bench.slept)))
    assert seen == [("", 1, (0.5,)), ("", 0, (0.5,))] * 4
    reasons = [facts["reason"] for _, facts in bench.events]
    assert reasons[::2] == ["no such account", "the account is disabled", "wrong password", "not an address"]
    assert bench.events[6][1]["name"] == ""  # what is no address may be a password


async def test_nobodys_hash_is_compared_for_unknown_and_disabled(bench: Bench) -> None:
    for name in ["nobody@example.test", "carol@example.test"]:
        with pytest.raises(AuthenticationFailed):
            await bench.login(name, "away")
    assert bench.compared == [NOBODY, NOBODY]


async def test_a_verified_password_is_known_again(bench: Bench) -> None:
    for _ in range(100):
        bench.now += 800  # less than `verified_for`, each use counts anew
        assert await bench.login("alice@example.test", "open sesame") == ALICE
    assert len(bench.compared) == 1
    bench.now += bench.policy.verified_for + 1
    await bench.login("alice@example.test", "open sesame")
    assert len(bench.compared) == 2


async def test_a_new_password_and_a_disabled_account_count_at_once(bench: Bench) -> None:
    await bench.login("alice@example.test", "open sesame")
    await bench.store.directory.set_hashes(ALICE.account, hashes("new"))
    with pytest.raises(AuthenticationFailed):
        await bench.login("alice@example.test", "open sesame")
    await bench.login("alice@example.test", "new")
    await bench.store.directory.set_disabled(ALICE.account, disabled=True)
    with pytest.raises(AuthenticationFailed):
        await bench.login("alice@example.test", "new")
    await bench.store.directory.set_disabled(ALICE.account, disabled=False)
    assert await bench.login("alice@example.test", "new") == ALICE


async def _new_password(directory: Directory) -> None:
    await directory.set_hashes(ALICE.account, hashes("new"))


async def _disable(directory: Directory) -> None:
    await directory.set_disabled(ALICE.account, disabled=True)


async def _remove(directory: Directory) -> None:
    await directory.remove_account(ALICE.account)


async def _make_anew(directory: Directory) -> None:
    await directory.remove_account(ALICE.account)
    await directory.add_account("Alice@example.test", hashes("open sesame"))


@pytest.mark.parametrize("change", [_new_password, _disable, _remove, _make_anew])
async def test_an_account_changed_while_its_password_is_compared_does_not_log_in(
    bench: Bench, change: Callable[[Directory], Awaitable[None]]
) -> None:
    bench.hold.clear()
    login = asyncio.create_task(bench.login("alice@example.test", "open sesame"))
    while not bench.running:
        await asyncio.sleep(0.001)
    await change(bench.store.directory)
    bench.hold.set()
    with pytest.raises(AuthenticationFailed):
        await login


async def test_a_wrong_password_that_was_rejected_is_good_after_it_became_the_right_one(bench: Bench) -> None:
    with pytest.raises(AuthenticationFailed):
        await bench.login("alice@example.test", "new")
    await bench.store.directory.set_hashes(ALICE.account, hashes("new"))
    assert await bench.login("alice@example.test", "new") == ALICE


async def test_the_same_wrong_password_counts_once(bench: Bench) -> None:
    for _ in range(200):
        with pytest.raises(AuthenticationFailed):
            await bench.login("alice@example.test", "the old one", FAR)
    assert len(bench.compared) == 1
    assert set(bench.slept) == {0.5}
    assert await bench.login("alice@example.test", "open sesame", FAR) == ALICE


async def guess(bench: Bench, name: str, peer: str, start: int = 0, most: int = 1000) -> int:
    """Guess different passwords until refused; how many were tried."""
    for i in range(most):
        try:
            await bench.login(name, f"guess {start + i}", peer)
        except AuthenticationUnavailable:
            return i
        except AuthenticationFailed:
            pass
    return most


async def test_a_guesser_is_refused_without_costing_argon2(bench: Bench) -> None:
    assert await guess(bench, "alice@example.test", FAR) == bench.policy.block.burst
    assert len(bench.compared) == bench.policy.block.burst
    for name in ["alice@example.test", "nobody@example.test"]:
        with pytest.raises(AuthenticationUnavailable, match=r"^Too many failed logins; try again in 1 minute$"):
            await bench.login(name, "open sesame", "8.8.8.99")
    assert len(bench.compared) == bench.policy.block.burst
    bench.now += 60
    assert await guess(bench, "alice@example.test", FAR, 1000) == 1


async def test_a_botnet_does_not_lock_the_owner_out(bench: Bench) -> None:
    await bench.login("alice@example.test", "open sesame", FAR)
    tried = [await guess(bench, "alice@example.test", f"9.1.{i}.1", i * 1000, 10) for i in range(30)]
    assert sum(tried) == bench.policy.account.burst
    with pytest.raises(AuthenticationUnavailable):  # a new place has to wait
        await bench.login("alice@example.test", "open sesame", "11.9.8.7")
    assert await bench.login("alice@example.test", "open sesame", "8.8.8.200") == ALICE  # the owner's does not


async def test_local_peers_are_delayed_but_never_refused(bench: Bench) -> None:
    for i in range(100):
        with pytest.raises(AuthenticationFailed):
            await bench.login("alice@example.test", f"guess {i}", "127.0.0.1")
    assert max(bench.slept) == bench.policy.local_delay
    assert await bench.login("alice@example.test", "open sesame", "127.0.0.1") == ALICE


async def test_many_connections_of_one_client_cost_one_comparison(bench: Bench) -> None:
    logins = [bench.login("alice@example.test", "open sesame", FAR) for _ in range(40)]
    assert await asyncio.gather(*logins) == [ALICE] * 40
    assert len(bench.compared) == 1
    assert not len(bench.access.pair_lines)
    assert not len(bench.access.block_lines)


async def test_guessing_on_many_connections_is_no_faster(bench: Bench) -> None:
    logins = [bench.login("alice@example.test", f"guess {i}", FAR) for i in range(60)]
    outcomes = await asyncio.gather(*logins, return_exceptions=True)
    assert sum(isinstance(o, AuthenticationFailed) for o in outcomes) == bench.policy.block.burst
    assert bench.most_running == 1


async def test_work_is_bounded_whatever_the_storm() -> None:
    bench = await bench_with(queue=10, queue_reserved=4, per_block=4, workers=2).people()
    await bench.login("bob@example.test", "hunter2", FAR)
    bench.now += bench.policy.verified_for + 1
    bench.hold.clear()
    storm = [
        asyncio.create_task(bench.login(f"user{i}@example.test", "x", f"9.{i}.1.1")) for i in range(50)
    ]  # 50 blocks
    while bench.running < 2:
        await asyncio.sleep(0.001)
    done, waiting = await asyncio.wait(storm, timeout=0.05)
    assert len(waiting) == 6  # the places that are not reserved
    assert all(isinstance(t.exception(), AuthenticationUnavailable) for t in done)
    familiar = asyncio.create_task(bench.login("bob@example.test", "hunter2", FAR))
    await asyncio.sleep(0.01)
    bench.hold.set()
    assert (await familiar).address == "bob@example.test"
    await asyncio.gather(*storm, return_exceptions=True)
    assert bench.most_running == 2
    bench.access.close()


async def test_one_block_cannot_take_all_workers() -> None:
    bench = await bench_with(per_block=3, workers=8, line=10).people()
    bench.hold.clear()
    storm = [asyncio.create_task(bench.login(f"user{i}@example.test", "x", FAR)) for i in range(30)]
    while bench.running < 3:
        await asyncio.sleep(0.001)
    done, waiting = await asyncio.wait(storm, timeout=0.05)
    assert (len(done), len(waiting), bench.running) == (20, 10, 3)
    bench.hold.set()
    await asyncio.gather(*storm, return_exceptions=True)
    assert bench.most_running == 3
    bench.access.close()


async def test_trouble_in_the_store_is_not_a_wrong_password(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_address: str) -> None:
        raise StoreUnavailable("disk on fire")

    monkeypatch.setattr(bench.store.directory, "account", broken)
    with pytest.raises(AuthenticationUnavailable) as failure:
        await bench.login("alice@example.test", "open sesame")
    assert "fire" not in str(failure.value)


# SCRAM


async def scram(bench: Bench, name: str, password: str, peer: str = FAR) -> Identity:
    server = exchange("SCRAM-SHA-256", bench.credentials(peer), tls=TLS)
    client = ScramClient(name, Secret(password), lambda: "client")
    challenge = await server.step(client.initial())
    while isinstance(challenge, bytes):
        challenge = await server.step(client.answer(challenge))
    client.succeeded()
    return challenge


async def test_scram_logs_in_and_makes_familiar(bench: Bench) -> None:
    assert await scram(bench, "alice@example.test", "open sesame") == ALICE
    assert bench.access.throttle.is_familiar(FAR, "alice@example.test", bench.now)


@pytest.mark.parametrize("name", ["nobody@example.test", "carol@example.test", "alice@example.test"])
async def test_scram_failures_are_alike(bench: Bench, name: str) -> None:
    with pytest.raises(AuthenticationFailed):
        await scram(bench, name, "away" if name.startswith("carol") else "wrong")
    assert bench.slept == [0.5]


async def test_scram_salt_of_nobody_is_plausible_and_stable(bench: Bench) -> None:
    one = await bench.credentials().scram_keys("nobody@example.test")
    assert (len(one.salt), one.iterations) == (SALT_LENGTH, SCRAM_ITERATIONS)
    assert await bench.credentials(FAR).scram_keys("NOBODY@example.test ") == one
    assert (await bench.credentials().scram_keys("nobody2@example.test")).salt != one.salt
    again = await Bench().people()
    assert await again.credentials().scram_keys("nobody@example.test") == one  # same secret, after a restart
    again.access.close()


async def test_scram_salt_stays_when_an_account_is_disabled(bench: Bench) -> None:
    before = await bench.credentials().scram_keys("alice@example.test")
    await bench.store.directory.set_disabled(ALICE.account, disabled=True)
    after = await bench.credentials().scram_keys("alice@example.test")
    assert (after.salt, after.iterations) == (before.salt, before.iterations)
    assert after.stored_key != before.stored_key


async def test_scram_guesses_are_throttled_and_the_right_one_does_not_stand_out(bench: Bench) -> None:
    credentials = bench.credentials(FAR)
    for _ in range(bench.policy.block.burst):
        await credentials.scram_rejected("alice@example.test")
    for call in (credentials.scram_keys, credentials.scram_rejected, credentials.scram_verified):
        with pytest.raises(AuthenticationUnavailable):
            await call("alice@example.test")


async def test_scram_with_a_password_that_changes_meanwhile(bench: Bench) -> None:
    credentials = bench.credentials()
    await credentials.scram_keys("alice@example.test")
    await bench.store.directory.set_hashes(ALICE.account, replace(hashes("new")))
    with pytest.raises(AuthenticationFailed):
        await credentials.scram_verified("alice@example.test")


async def test_another_policy_keeps_what_was_counted_and_verified(bench: Bench) -> None:
    await bench.login("alice@example.test", "open sesame")
    with pytest.raises(AuthenticationFailed):
        await bench.login("alice@example.test", "guess", ELSEWHERE)
    compared = len(bench.compared)
    bench.access.change(replace(bench.policy, block=Budget(1, 60), workers=1, per_block=1))
    with pytest.raises(AuthenticationUnavailable):
        await bench.login("alice@example.test", "another", ELSEWHERE)
    await bench.login("alice@example.test", "open sesame")
    assert len(bench.compared) == compared  # neither was looked at with argon2
    await bench.login("bob@example.test", "hunter2")  # the new threads work
