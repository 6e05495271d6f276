"""What user data would call, found statement by statement. Pure: text in, findings out; nothing is stored or logged.

It speaks of the first boot only. That a pattern is absent proves nothing about installed software (domain.md 12).
"""

from migration.domain.userdata.decode import Decoded, Part, decode, from_base64
from migration.domain.userdata.findings import Certainty, Finding, Kind
from migration.domain.userdata.scan import scan, scan_text

__all__ = ["Certainty", "Decoded", "Finding", "Kind", "Part", "decode", "from_base64", "scan", "scan_text"]
