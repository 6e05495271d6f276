"""A plain mail, by Django's own sender."""

import hashlib
import smtplib
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage

from migration.domain import notices
from migration.domain.notices import Notice
from migration.notify.errors import NotDelivered


def message(notice: Notice, *, sender: str, to: list[str]) -> EmailMessage:
    """One mail to all. Its Message-ID is made of the key: many mail programs show a copy that came twice only once."""
    domain = sender.rpartition("@")[2]
    lines = [*notice.lines, *([f"\n{_where(notice.url)}"] if notice.url else [])]
    return EmailMessage(
        subject=f"[imdsdash] {notices.subject(notice.subject)}",
        body="\n".join(lines) + "\n",
        from_email=sender,
        to=to,
        headers={
            "Message-ID": f"<{hashlib.sha256(notice.key.encode()).hexdigest()[:32]}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def _where(url: str) -> str:
    return url if url.startswith("http") else f"In imdsdash: {url}"


def deliver(notice: Notice, *, now: datetime) -> None:  # noqa: ARG001 -- as the other ways
    """Raises NotDelivered. The server's words are not repeated: they may hold addresses, and its code says enough."""
    if not settings.IMDSDASH_MAIL_TO:
        raise NotDelivered("Mail is not configured any more.", permanent=True)
    mail = message(notice, sender=settings.IMDSDASH_MAIL_FROM, to=settings.IMDSDASH_MAIL_TO)
    try:
        mail.send()
    except smtplib.SMTPAuthenticationError:
        raise NotDelivered("The mail server refused user or password of EMAIL_URL.", rest=True) from None
    except smtplib.SMTPRecipientsRefused:
        raise NotDelivered("The mail server refused every address of IMDSDASH_MAIL_TO.") from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"The mail server answered {error.smtp_code}.", rest=True) from None
    except TimeoutError:
        raise NotDelivered("The mail server did not answer in time.", rest=True) from None
    except (OSError, smtplib.SMTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise NotDelivered(f"The mail server could not be reached: {why}.", rest=True) from None
