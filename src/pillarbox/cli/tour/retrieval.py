"""Scenes 4 to 7: mail is fetched, by POP3 on 995 and 110, by IMAP on 993 and 143."""

from pillarbox.cli.tour.stage import Scene, Stage, Talk
from pillarbox.cli.tour.world import PASSWORD, World


def _pop3_log_in(talk: Talk, name: str) -> None:
    talk.say(f"USER {name}")
    talk.hear(r"^\+OK")
    talk.say(f"PASS {PASSWORD}", shown="PASS ••••••••")
    talk.hear(r"^\+OK")


def _pop3_quit(talk: Talk, note: str = "") -> None:
    talk.say("QUIT", note=note)
    talk.hear(r"^\+OK")


def _pop3s(talk: Talk) -> Talk:
    talk.tls()
    talk.hear(r"^\+OK")
    _pop3_log_in(talk, "bob@example.test")
    return talk


def _bob_again(scene: Scene, world: World) -> Talk:
    talk = Talk(scene, world.wire("pop3s"))
    with talk.hushed("Bob comes back: TLS, log-in"):
        return _pop3s(talk)


def pop3s(stage: Stage, world: World) -> None:
    """995: bob fetches and keeps, then fetches and deletes."""
    text = (
        "POP3 is for one device that takes its mail home. Bob fetches Alice's message and leaves it on the server,\n"
        "then comes back and deletes it."
    )
    with stage.scene(995, "Fetching with POP3, TLS from the first octet", text) as scene:
        talk = _pop3s(Talk(scene, world.wire("pop3s")))
        talk.say("UIDL")
        first = talk.hear(
            r"^1 ", last=r"\.$", note="A permanent name for each message: how a client knows what is new."
        )
        talk.say("RETR 1")
        octets = talk.hear("Subject: Lunch", last=r"\.$", show=r"^(\+OK|From:|To:|Subject:|Shall|\.$)")
        _pop3_quit(talk, "No DELE, so it stays.")
        scene.shows("Bob has read it, and it is still there", holds="Shall we say noon?" in octets)
        talk = _bob_again(scene, world)
        talk.say("UIDL")
        second = talk.hear(r"^1 ", last=r"\.$")
        scene.shows("The same name the next time", holds=first[1] == second[1])
        talk.say("DELE 1")
        talk.hear(r"^\+OK", note="Only marked. If the line broke now, nothing would be lost.")
        _pop3_quit(talk, "QUIT makes it so, for all marked messages at once.")
        talk = _bob_again(scene, world)
        talk.say("STAT")
        talk.hear(r"^\+OK 0 0")
        with talk.hushed("QUIT"):
            _pop3_quit(talk)
        scene.shows("Deleted, after QUIT and not before")


def pop3(stage: Stage, world: World) -> None:
    """110: refused before STLS."""
    text = "The older port of POP3. As on 587, a password is refused until the connection is upgraded."
    with stage.scene(110, "Fetching with POP3, upgraded by STLS", text) as scene:
        talk = Talk(scene, world.wire("pop3"))
        talk.hear(r"^\+OK")
        talk.say("CAPA")
        before = talk.hear(
            "^STLS", last=r"\.$", show=r"^(STLS|USER|SASL)", note="Neither USER nor SASL: no way to log in yet."
        )
        talk.say("USER alice@example.test")
        talk.hear(r"^-ERR")
        scene.shows("Before TLS even the name is refused", holds=not any(k in before for k in ("USER", "SASL")))
        talk.say("STLS")
        talk.hear(r"^\+OK")
        talk.tls()
        with talk.hushed("Alice logs in"):
            _pop3_log_in(talk, "alice@example.test")
        talk.say("STAT")
        talk.hear(r"^\+OK 2 ", note="Bob's answer and Carol's message.")
        with talk.hushed("QUIT"):
            _pop3_quit(talk)
        scene.shows("After TLS it works as on 995")


def _open_inbox(talk: Talk) -> Talk:
    talk.tls()
    talk.hear(r"^\* OK")
    talk.say(f"a LOGIN alice@example.test {PASSWORD}", shown="a LOGIN alice@example.test ••••••••")
    talk.completes("a", show="^a ")
    talk.say("b SELECT INBOX")
    talk.completes("b", show="EXISTS|^b ")
    return talk


def imaps(stage: Stage, world: World) -> None:
    """993: what one device does, the other sees at once."""
    text = (
        "IMAP keeps mail on the server for any number of devices. Alice has her inbox open on laptop and phone. The\n"
        "phone waits in IDLE; whatever the laptop does shows there at once."
    )
    with stage.scene(993, "The same mail on two devices with IMAP, TLS from the first octet", text) as scene:
        laptop = _open_inbox(Talk(scene, world.wire("imaps"), client="laptop C:", server="laptop S:"))
        phone = Talk(scene, world.wire("imaps"), client="phone C:", server="phone S:")
        with phone.hushed("the phone does the same"):
            _open_inbox(phone)
        phone.say("c IDLE")
        phone.hear(r"^\+", note="From here on it only listens.")
        laptop.say(r"c STORE 1 +FLAGS (\Seen \Answered)")
        laptop.completes("c")
        phone.hear(r"^\* 1 FETCH .*\\Seen", last=r"\* 1 FETCH")
        scene.shows("A flag set on the laptop shows on the phone")
        laptop.say("d MOVE 1 Archive")
        laptop.completes("d", note="One step, with the new UID in Archive told: it is never in both places or in none.")
        phone.hear(r"^\* 1 EXPUNGE", last=r"\* 1 EXPUNGE")
        scene.shows("A move on the laptop shows on the phone")
        laptop.say("e STORE 1 +FLAGS (\\Deleted)\nf EXPUNGE")
        laptop.completes("f")
        phone.hear(r"^\* 1 EXPUNGE", last=r"\* 1 EXPUNGE")
        scene.shows("A deletion on the laptop shows on the phone")
        phone.say("DONE")
        phone.completes("c", show="^c ")
        laptop.say("g STATUS Archive (MESSAGES)")
        laptop.completes("g", show="STATUS")
        for talk in (laptop, phone):
            with talk.hushed("LOGOUT"):
                talk.say("z LOGOUT")
                talk.completes("z")


def imap(stage: Stage, world: World) -> None:
    """143: refused before STARTTLS; then the mail that would have been relayed."""
    text = (
        "The older port of IMAP, with the same rule. Afterwards we look into world@example.test: there lies what Bob\n"
        "wrote to another domain, since nothing leaves the demo."
    )
    with stage.scene(143, "IMAP, upgraded by STARTTLS", text) as scene:
        talk = Talk(scene, world.wire("imap"))
        greeting = talk.hear(r"^\* OK")
        talk.say("a CAPABILITY")
        before = greeting + talk.completes("a", show="CAPABILITY")
        talk.say("b LOGIN world@example.test wrong-on-purpose")
        talk.completes("b", status=r"(NO|BAD)", note="The password was not even looked at.")
        scene.shows("Before TLS log-in is disabled", holds="LOGINDISABLED" in " ".join(before))
        talk.say("c STARTTLS")
        talk.completes("c")
        talk.tls()
        talk.say(f"d LOGIN world@example.test {PASSWORD}", shown="d LOGIN world@example.test ••••••••")
        talk.completes("d", show="^d ")
        talk.say("e EXAMINE INBOX")
        talk.completes("e", show="EXISTS|^e ")
        talk.say("f FETCH * (FLAGS BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])")
        lines = talk.completes("f", show="^[^)]")
        with talk.hushed("LOGOUT"):
            talk.say("z LOGOUT")
            talk.completes("z")
        scene.shows("After TLS it works as on 993", holds="Subject: Re: Lunch?" in lines)
