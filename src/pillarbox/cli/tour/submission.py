"""Scenes 1 to 3: mail comes in, from people on 465 and 587, from another server on 25."""

from base64 import b64encode

from pillarbox.cli.tour.stage import Scene, Stage, Talk
from pillarbox.cli.tour.world import PASSWORD, World


def plain(address: str, password: str) -> str:
    """The initial response of SASL PLAIN (RFC 4616)."""
    return b64encode(f"\0{address}\0{password}".encode()).decode()


def message(sender: str, recipient: str, subject: str, text: str) -> str:
    """A small message, ended by the dot that ends DATA. The server adds Date and Message-ID when a program forgets them."""
    return f"From: {sender}\nTo: {recipient}\nSubject: {subject}\n\n{text}\n."


def log_in(talk: Talk, address: str, *, note: str = "") -> None:
    """AUTH PLAIN, with the secret hidden on the screen."""
    talk.say(f"AUTH PLAIN {plain(address, PASSWORD)}", shown="AUTH PLAIN ••••••••••••", note=note)
    talk.reply("235")


def transaction(talk: Talk, sender: str, recipients: list[str], text: str, *, note: str) -> None:
    """One mail transaction, pipelined."""
    talk.say(
        f"MAIL FROM:<{sender}>\n" + "".join(f"RCPT TO:<{r}>\n" for r in recipients) + "DATA",
        note="All of it in one packet (PIPELINING): the answers come together.",
    )
    for _ in range(1 + len(recipients)):
        talk.reply("250")
    talk.reply("354")
    talk.say(text)
    talk.reply("250", note=note)
    with talk.hushed("QUIT"):
        talk.say("QUIT")
        talk.reply("221")


def implicit_tls(stage: Stage, world: World) -> None:
    """465: alice sends to bob."""
    text = (
        "Alice's mail program hands in a message. On this port TLS begins with the first octet, so there is nothing\n"
        "that anyone could strip off or read. This is the port to use for sending (RFC 8314)."
    )
    with stage.scene(465, "Sending, TLS from the first octet", text) as scene:
        talk = Talk(scene, world.wire("submissions"))
        talk.tls("The certificate comes from the server's own authority; the client was given its ca.pem.")
        talk.reply("220")
        talk.say("EHLO laptop.example.test")
        talk.reply("250", show="^250-mail|^250.(AUTH|SIZE|PIPELINING)")
        log_in(talk, "alice@example.test", note="Name and password, only ever inside TLS.")
        mail = message("alice@example.test", "bob@example.test", "Lunch?", "Shall we say noon?")
        transaction(
            talk,
            "alice@example.test",
            ["bob@example.test"],
            mail,
            note="250 is a promise: the message is on disk before this line is sent.",
        )
        scene.shows("Bob's message is taken, and Alice has a copy in Sent")


def starttls(stage: Stage, world: World) -> None:
    """587: refused before TLS; bob answers, and writes to another domain."""
    text = (
        "The older way: the connection begins in the clear and is upgraded by STARTTLS. Until then the server neither\n"
        "offers nor takes a password, so that a program with a wrong setting cannot give it away."
    )
    with stage.scene(587, "Sending, upgraded by STARTTLS", text) as scene:
        talk = Talk(scene, world.wire("submission"))
        talk.reply("220")
        talk.say("EHLO phone.example.test")
        before = talk.reply("250", show="^250-mail|STARTTLS", note="STARTTLS is offered, AUTH is not.")
        talk.say("AUTH PLAIN")
        talk.reply("5[0-9]{2}")
        scene.shows("Before TLS a password is refused", holds=not any("AUTH" in line for line in before))
        talk.say("STARTTLS")
        talk.reply("220")
        talk.tls("Both sides forget what was said before: someone on the way may have said it.")
        talk.say("EHLO phone.example.test")
        talk.reply("250", show="AUTH")
        log_in(talk, "bob@example.test")
        talk.say("MAIL FROM:<alice@example.test>")
        talk.reply("5[0-9]{2}", note="Bob may not write in Alice's name.")
        mail = message("bob@example.test", "alice@example.test", "Re: Lunch?", "Noon is fine.")
        transaction(
            talk,
            "bob@example.test",
            ["alice@example.test", "friend@elsewhere.example"],
            mail,
            note="The second one lives elsewhere: a real server relays it; the demo puts it into world@example.test.",
        )
        scene.shows("After TLS it is taken, for here and for elsewhere")


def _refusals(scene: Scene, talk: Talk) -> None:
    talk.say("RCPT TO:<someone@third.example>")
    talk.reply("550", note="Not a domain of this server, and no relay for strangers: nobody can send spam through it.")
    talk.say("RCPT TO:<nobody@example.test>")
    talk.reply(
        "550", note="Refused at once. To take it and send it back later would bother whoever was forged as its sender."
    )
    scene.shows("Strangers cannot relay, and unknown recipients are refused at once")


def reception(stage: Stage, world: World) -> None:
    """25: another server brings mail for alice."""
    text = (
        "Port 25 is where other servers bring mail. They do not log in, so there is no AUTH here at all. TLS is offered\n"
        "and nearly everyone uses it."
    )
    with stage.scene(25, "Receiving from another server", text) as scene:
        talk = Talk(scene, world.wire("smtp"))
        talk.reply("220")
        talk.say("EHLO mx.elsewhere.example")
        talk.reply("250", show="^250-mail|STARTTLS")
        with talk.hushed("STARTTLS, as on 587"):
            talk.say("STARTTLS")
            talk.reply("220")
            talk.tls()
        talk.say("EHLO mx.elsewhere.example")
        after = talk.reply("250", show="^250-mail")
        scene.shows("No password is asked for, in the clear or in TLS", holds=not any("AUTH" in line for line in after))
        talk.say("MAIL FROM:<carol@elsewhere.example>")
        talk.reply("250")
        _refusals(scene, talk)
        talk.say("RCPT TO:<alice@example.test>\nDATA")
        talk.reply("250")
        talk.reply("354")
        talk.say(message("carol@elsewhere.example", "alice@example.test", "Photographs", "They are in the post."))
        talk.reply("250")
        with talk.hushed("QUIT"):
            talk.say("QUIT")
            talk.reply("221")
        scene.shows("Carol's message is in Alice's inbox")
