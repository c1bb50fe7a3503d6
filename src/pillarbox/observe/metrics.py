"""Every metric that there is: its name, its kind, what it means, and its labels. docs/operations.md lists them from here.

Names follow the conventions of Prometheus: base units (seconds, bytes), `_total` for what only grows.

Security: labels are words of our own code, and few. No address, name or text that a stranger chose is ever in one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """`kind` is counter, gauge or histogram. `seen`: values of its one label that are shown before they first happen, so that
    the first time is an increase, too."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


OTHER = "other"
"""What a label says in place of what is not expected."""

FAULTS = ("disk_full", "io_error", "read_only", "file_too_large", "no_descriptors", "damaged", OTHER)
REASONS = ("address", "mailbox", "system", "network", "dns", "protocol", "content", "policy", OTHER)
"""Why a message did not go on: the second number of an enhanced status code (RFC 3463 §3), and x.4.3 by itself."""

# --- the process -------------------------------------------------------------------------------------------------------

BUILD = Metric("pillarbox_build_info", "gauge", "Always 1.", ("version", "python", "sqlite", "event_loop"))
START_TIME = Metric("process_start_time_seconds", "gauge", "When the process started, in epoch seconds.")
CPU = Metric("process_cpu_seconds_total", "counter", "Processor time of the process, user and system.")
MEMORY = Metric("process_resident_memory_bytes", "gauge", "Memory that is in use (RSS).")
OPEN_FILES = Metric("process_open_fds", "gauge", "File descriptors that are open.")
MAX_FILES = Metric("process_max_fds", "gauge", "How many may be.")
NO_DESCRIPTORS = Metric(
    "pillarbox_out_of_descriptors_seconds_total", "counter", "Seconds in which there was no descriptor to be had."
)
LAG = Metric(
    "pillarbox_event_loop_lag_seconds", "histogram", "How late the event loop was, looked at four times a second."
)
LAG_SUMMED = Metric(
    "pillarbox_event_loop_lag_since_start_seconds",
    "gauge",
    "The same since the start: `0.5` median, `0.99`, and `1` the worst ever.",
    ("quantile",),
)
EVENTS = Metric(
    "pillarbox_events_total", "counter", "Everything that the log can tell, by its name, written or not.", ("event",)
)

# --- connections -------------------------------------------------------------------------------------------------------

CONNECTIONS = Metric("pillarbox_connections_total", "counter", "Connections that were let in.", ("listener",))
OPEN = Metric("pillarbox_connections_open", "gauge", "Connections that are open now.", ("listener",))
REFUSED = Metric("pillarbox_connections_refused_total", "counter", "Connections above `limits`.", ("listener",))
MADE_ROOM = Metric(
    "pillarbox_connections_made_room_total", "counter", "Connections that were closed for newcomers.", ("listener",)
)
RECEIVED = Metric(
    "pillarbox_received_bytes_total", "counter", "Octets of the protocol from peers, without TLS.", ("listener",)
)
SENT = Metric("pillarbox_sent_bytes_total", "counter", "Octets of the protocol to peers, without TLS.", ("listener",))
COMMANDS = Metric(
    "pillarbox_commands_total", "counter", "Commands, those that are refused too, but no unknown ones.", ("listener", "command")
)  # fmt: skip
HANDSHAKES = Metric("pillarbox_tls_handshakes_total", "counter", "TLS handshakes that succeeded.", ("version",))
HANDSHAKES_FAILED = Metric("pillarbox_tls_failures_total", "counter", "TLS handshakes and sessions that failed.")
CERTIFICATE = Metric(
    "pillarbox_tls_certificate_expiry_timestamp_seconds",
    "gauge",
    "When each certificate in use ends, in epoch seconds: `main`, or its number in `tls.more`.",
    ("certificate",),
)

# --- logins ------------------------------------------------------------------------------------------------------------

LOGINS = Metric(
    "pillarbox_logins_total",
    "counter",
    "Logins: `ok`, `failed` (wrong password, unknown, disabled), `unavailable` (throttled, busy, store in trouble).",
    ("mechanism", "outcome"),
)
THROTTLED = Metric(
    "pillarbox_logins_deferred_total",
    "counter",
    "Logins refused unseen: `throttled` (too many wrong passwords), `busy` (too many at once).",
    ("reason",),
    ("throttled", "busy"),
)
IN_CLEAR = Metric(
    "pillarbox_passwords_in_clear_total", "counter", "Logins that were tried before TLS, and refused unseen."
)
EXPOSED = Metric("pillarbox_passwords_exposed_total", "counter", "Passwords sent that way that were right.")
THROTTLE = Metric(
    "pillarbox_throttle_entries",
    "gauge",
    "Whom wrong passwords were counted for (`blocks`, `accounts`, `pairs` of both), and `familiar` places.",
    ("table",),
)

# --- messages ----------------------------------------------------------------------------------------------------------

MESSAGES = Metric(
    "pillarbox_messages_received_total",
    "counter",
    "Messages taken: from other servers (`network`) or from accounts (`submission`).",
    ("source",),
    ("network", "submission"),
)
MESSAGE_BYTES = Metric(
    "pillarbox_messages_received_bytes_total", "counter", "Their octets.", ("source",), ("network", "submission")
)
DELIVERED = Metric("pillarbox_messages_delivered_total", "counter", "Copies of them put into mailboxes here.")
QUEUED = Metric("pillarbox_recipients_queued_total", "counter", "Their recipients elsewhere, put into the queue.")
MESSAGES_REFUSED = Metric(
    "pillarbox_messages_refused_total", "counter", "Messages refused after their octets, by reply code.", ("code",)
)
RECIPIENTS_REFUSED = Metric(
    "pillarbox_recipients_refused_total", "counter", "Refused at RCPT, by reply code.", ("code",)
)
RELAYED = Metric("pillarbox_relayed_total", "counter", "Recipients elsewhere whose server has taken the message.")
DEFERRED = Metric(
    "pillarbox_relay_deferred_total", "counter", "Attempts put off, by recipient and reason.", ("reason",), REASONS
)
BOUNCED = Metric("pillarbox_relay_failed_total", "counter", "Recipients given up, by reason.", ("reason",), REASONS)
DNS_FAILURES = Metric(
    "pillarbox_dns_failures_total",
    "counter",
    "Questions that the DNS gave no answer to: `timeout`, `servfail` (REFUSED and DNSSEC too), `other`.",
    ("reason",),
    ("timeout", "servfail", OTHER),
)
QUEUE = Metric("pillarbox_queue_messages", "gauge", "Messages in the queue.")
QUEUE_BYTES = Metric("pillarbox_queue_bytes", "gauge", "Their octets.")
QUEUE_OLDEST = Metric("pillarbox_queue_oldest_seconds", "gauge", "How long the oldest of them waits; 0 when none does.")
QUEUE_RECIPIENTS = Metric(
    "pillarbox_queue_recipients", "gauge", "Recipients of these messages: `queued`, `held`, or done.", ("state",)
)

# --- the store ---------------------------------------------------------------------------------------------------------

STORE_FAULTS = Metric(
    "pillarbox_store_write_failures_total",
    "counter",
    "Commits, and octets of large messages, that the disk did not take.",
    ("fault",),
    FAULTS,
)
SPOOL_FAULTS = Metric(
    "pillarbox_spool_failures_total", "counter", "Messages on their way in that could not be kept.", ("fault",), FAULTS
)
STORE_REFUSALS = Metric(
    "pillarbox_store_refusals_total",
    "counter",
    "Commands of IMAP and POP3 that failed because the store could not read or write.",
    ("fault",),
    FAULTS,
)
COMMIT = Metric("pillarbox_store_commit_seconds", "histogram", "How long each commit took, failed ones too.")
OPERATIONS = Metric(
    "pillarbox_store_operations_total", "counter", "Operations in these commits: divided by them, the size of a batch."
)
STORE_BYTES = Metric(
    "pillarbox_store_bytes",
    "gauge",
    "Octets on the disk: `segments` (the mail), `index`, `search_index`, `placements`, `incoming`, `other`.",
    ("part",),
)
SEGMENTS = Metric("pillarbox_store_segments", "gauge", "Files that hold the mail.")
BLOBS = Metric("pillarbox_store_blobs", "gauge", "Different messages in them.")
COMPACTED = Metric("pillarbox_store_segments_compacted_total", "counter", "Segments that gave back their space.")
ACCOUNTS = Metric("pillarbox_accounts", "gauge", "Accounts.")
MAILBOXES = Metric("pillarbox_mailboxes", "gauge", "Mailboxes.")
STORED = Metric("pillarbox_messages", "gauge", "Messages in mailboxes.")
STORED_BYTES = Metric("pillarbox_messages_bytes", "gauge", "Their octets as quotas count them.")
TO_INDEX = Metric(
    "pillarbox_search_index_backlog", "gauge", "Messages that the full-text index has not seen yet, at most."
)
DISK_FREE = Metric("pillarbox_disk_free_bytes", "gauge", "Octets that are free on the data directory's file system.")
DISK_SIZE = Metric("pillarbox_disk_size_bytes", "gauge", "Its size.")
DISK_FILES = Metric("pillarbox_disk_free_files", "gauge", "Files that may still be made there.")

METRICS: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""All of them, in the order of this file."""
