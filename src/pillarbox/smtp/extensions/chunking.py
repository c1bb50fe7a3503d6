"""CHUNKING (RFC 3030): BDAT instead of DATA. BINARYMIME is not offered: line ends stay CRLF."""

from pillarbox.smtp.registry import Extension, extension

CHUNKING = extension(Extension("CHUNKING", "RFC 3030", "BDAT: message octets by count instead of by a final dot"))
