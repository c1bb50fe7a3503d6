"""The peers, from Debian's packages: Postfix hands to Dovecot (mdbox) by LMTP; tuned as a good administrator would.

Durability is each side's default. Runs as root, on high loopback ports, without systemd, in one temporary folder.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from bench import measure
from bench.stack import DOMAIN, PASSWORD, Stack, account, certificate, free_port

_DOVECOT = """
base_dir = {dir}/run
state_dir = {dir}/state
protocols = imap pop3 lmtp
listen = 127.0.0.1
log_path = {dir}/dovecot.log
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = yes
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_home = {dir}/mail/%u
mail_location = mdbox:~/mdbox
auth_mechanisms = plain login
mail_max_userip_connections = 20000
default_client_limit = 30000
default_process_limit = 30000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={dir}/mail/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Archive {{
    auto = subscribe
  }}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 1
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service imap {{
  service_count = 0
  process_min_avail = 2
  client_limit = 1
}}
service pop3 {{
  service_count = 0
}}
service imap {{
  process_limit = 12000
}}
service pop3 {{
  process_limit = 12000
}}
service lmtp {{
  unix_listener {dir}/lmtp {{
    mode = 0666
  }}
  process_min_avail = 2
}}
service auth {{
  unix_listener {dir}/auth {{
    mode = 0666
  }}
}}
service anvil {{
  client_limit = 30000
}}
"""

# Squat is Dovecot 2.3's own index of substrings; 4 and 10 are what its documentation gives as an example and its default.
# The plugin of Solr is never asked anything: it is loaded because each plugin of an index since 2.3.17 has to prepare the
# user for the plugin "fts", which the one of Squat in Debian 12 (2.3.19.1) does not, so that every process that opens a mailbox
# crashes; another one that is loaded does it for both.
_SQUAT = """
mail_plugins = fts fts_squat fts_solr
plugin {{
  fts = squat
  fts_squat = partial=4 full=10
  fts_autoindex = yes
  fts_solr = url=http://127.0.0.1:9/
}}
"""

_MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/postfix-data
maillog_file = {dir}/postfix.log
maillog_file_prefixes = /
myhostname = mail.bench.test
mydestination =
mynetworks = 127.0.0.2/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = {domain}
virtual_transport = lmtp:unix:{dir}/lmtp
smtpd_recipient_restrictions = reject_unauth_destination
message_size_limit = 60000000
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dir}/auth
smtp_tls_security_level = may
relayhost = [127.0.0.1]:{relay_port}
default_process_limit = 100
lmtp_destination_concurrency_limit = 20
alias_maps =
"""

_MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class PostfixDovecot(Stack):
    """Both daemons, started and stopped together."""

    name = "Postfix + Dovecot"

    def __init__(self, directory: Path, accounts: int, *, indexed: bool = False) -> None:
        """`indexed`: Dovecot keeps an index of substrings, brought up to date behind each change."""
        self.directory = directory
        self.accounts = accounts
        self._dovecot = _DOVECOT + (_SQUAT if indexed else "")
        self.ports = {name: free_port() for name in ("smtp", "submissions", "imap", "imaps", "pop3", "pop3s")}
        self.relay_port = free_port()

    def fresh(self, directory: Path, accounts: int, *, indexed: bool) -> "PostfixDovecot":
        """Another."""
        return PostfixDovecot(directory, accounts, indexed=indexed)

    def start(self) -> None:
        """Write the configuration and start; returns when every port answers."""
        d = self.directory
        for name in ("run", "state", "mail", "spool", "postfix-data", "conf"):
            (d / name).mkdir(parents=True, exist_ok=True)
        d.chmod(0o755)
        shutil.chown(d / "mail", "mail", "mail")
        shutil.chown(d / "postfix-data", "postfix")
        self.ca = certificate(d)
        (d / "users").write_text("".join(f"{account(n)}:{{PLAIN}}{PASSWORD}\n" for n in range(self.accounts)))
        (d / "dovecot.conf").write_text(self._dovecot.format(dir=d, **self.ports))
        (d / "conf/main.cf").write_text(_MAIN.format(dir=d, domain=DOMAIN, relay_port=self.relay_port))
        (d / "conf/master.cf").write_text(_MASTER.format(**self.ports))
        subprocess.run(["dovecot", "-c", d / "dovecot.conf"], check=True)
        subprocess.run(["postfix", "-c", d / "conf", "start"], check=True, capture_output=True)
        self.wait_for_ports()
        self.roots = [int((d / "run/master.pid").read_text()), int((d / "spool/pid/master.pid").read_text())]

    def stop(self) -> None:
        """End both and wait for them."""
        subprocess.run(["postfix", "-c", self.directory / "conf", "stop"], check=False, capture_output=True)
        with contextlib.suppress(OSError, IndexError, AttributeError):
            os.kill(self.roots[0], signal.SIGTERM)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in self.roots):
            time.sleep(0.05)

    def waiting(self) -> int:
        """Messages accepted by Postfix and not yet in a mailbox."""
        spool = self.directory / "spool"
        return sum(
            len(files)
            for queue in ("incoming", "active", "deferred", "maildrop")
            for _, _, files in os.walk(spool / queue)
        )

    def index_octets(self) -> int:
        """Of Squat's files in all mailboxes."""
        return sum(path.stat().st_size for path in (self.directory / "mail").rglob("dovecot.index.search*"))

    def processes(self) -> list[int]:
        """Every process of both trees."""
        return [pid for root in self.roots for pid in measure.tree(root)]
