"""SCRAM-SHA-256(-PLUS), server side: the client proves that it knows the password without sending it (RFC 5802, RFC 7677).

With -PLUS it also proves that its TLS connection is ours, by a channel binding (RFC 5802 §6). A client that could bind and
says that we do not offer it ("y") was lied to where we did: that is refused.

Security: strangers feed this. Unknown names run the whole exchange with invented keys; only the proof fails.
"""

import hashlib
import hmac
from collections.abc import Callable

from pillarbox.sasl.api import (
    AuthenticationFailed,
    BadExchange,
    Channel,
    Credentials,
    Identity,
    NotOurChannel,
    ScramKeys,
)
from pillarbox.sasl.authorisation import authorise
from pillarbox.sasl.scram_message import attributes, decode, encode, expect, mac, nonce_text, unescape, xor


class ScramExchange:
    """client-first, server-first, client-final, server-final, and an empty response that ends it."""

    __slots__ = (
        "_authcid",
        "_authzid",
        "_binding",
        "_channel",
        "_credentials",
        "_gs2_header",
        "_identity",
        "_keys",
        "_nonce",
        "_plus",
        "_server_nonce",
        "_transcript",
    )

    def __init__(
        self, credentials: Credentials, nonce: Callable[[], str], channel: Channel, *, plus: bool = False
    ) -> None:
        self._credentials = credentials
        self._server_nonce = nonce
        self._channel = channel
        self._plus = plus
        self._binding = b""
        self._authcid = ""
        self._authzid = ""
        self._gs2_header = b""
        self._nonce = ""
        self._transcript = b""
        self._keys: ScramKeys | None = None
        self._identity: Identity | None = None

    async def step(self, response: bytes | None) -> bytes | Identity:
        """See `Exchange.step`."""
        if response is None:
            return b""
        if self._identity is not None:
            if response:
                raise BadExchange("the exchange is over; an empty response was expected")
            return self._identity
        if self._keys is None:
            return await self._first(response)
        return await self._final(response, self._keys)

    async def _first(self, message: bytes) -> bytes:
        """client-first-message = gs2-header client-first-message-bare"""
        bare = self._gs2(message)
        name, nonce = expect(attributes(bare), "nr")
        self._authcid = unescape(name)
        if not self._authcid:
            raise BadExchange("the name is empty")
        self._nonce = nonce_text(nonce) + self._server_nonce()
        keys = await self._credentials.scram_keys(self._authcid)
        reply = b"r=%b,s=%b,i=%d" % (self._nonce.encode(), encode(keys.salt), keys.iterations)
        self._transcript = bare + b"," + reply
        self._keys = keys
        return reply

    def _gs2(self, message: bytes) -> bytes:
        """Read gs2-cbind-flag "," [ "a=" saslname ] ","; returns what follows. Raises BadExchange."""
        flag, comma, rest = message.partition(b",")
        authzid, second_comma, bare = rest.partition(b",")
        if not comma or not second_comma or (authzid and not authzid.startswith(b"a=")):
            raise BadExchange("the GS2 header is malformed")
        self._binding = self._bind(flag)
        self._authzid = unescape(authzid[2:])
        self._gs2_header = message[: len(message) - len(bare)]
        return bare

    def _bind(self, flag: bytes) -> bytes:
        """The channel binding that a gs2-cbind-flag calls for. Raises NotOurChannel, BadExchange."""
        if self._plus:
            binding = self._channel.bindings.get(flag[2:].decode("latin-1")) if flag.startswith(b"p=") else None
            if binding is None:
                raise BadExchange("that channel binding does not exist here, or none was named")
            return binding
        if flag == b"y" and self._channel.bindings:
            raise NotOurChannel("Channel binding is offered here, and your program was told that it is not")
        if flag not in (b"n", b"y"):
            raise BadExchange("the GS2 header is malformed, or names a channel binding")
        return b""

    async def _final(self, message: bytes, keys: ScramKeys) -> bytes:
        """client-final-message = channel-binding "," nonce ["," extensions] "," proof"""
        without_proof, comma, proof_attribute = message.rpartition(b",p=")
        if not comma:
            raise BadExchange("the proof is missing")
        binding, nonce = expect(attributes(without_proof), "cr")
        proof = decode(proof_attribute, 32)
        bound = decode(binding)
        if self._plus and bound.startswith(self._gs2_header) and bound != self._gs2_header + self._binding:
            raise NotOurChannel("The connection that your program sees is not the one that this server sees")
        if bound != self._gs2_header + self._binding or nonce != self._nonce.encode():
            raise BadExchange("the final message does not belong to the first one")
        signed = self._transcript + b"," + without_proof
        client_key = xor(proof, mac(keys.stored_key, signed))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key):
            await self._credentials.scram_rejected(self._authcid)
            raise AuthenticationFailed
        identity = await self._credentials.scram_verified(self._authcid)
        self._identity = authorise(identity, authcid=self._authcid, authzid=self._authzid)
        return b"v=" + encode(mac(keys.server_key, signed))
