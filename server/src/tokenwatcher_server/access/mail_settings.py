"""The mail server that the settings name."""

from typing import cast

from tokenwatcher_server.outbound.mail import Encryption, MailServer, is_email_address
from tokenwatcher_server.settings import Settings, SettingsError

IMPLICIT_TLS_PORT = 465


def mail_server_of(settings: Settings) -> MailServer | None:
    """None where there is none. Raises SettingsError for settings that don't go together."""
    if settings.smtp_host is None:
        return None
    sender = settings.alert_email_from
    if sender is None or not is_email_address(sender):
        raise SettingsError(
            "ALERT_EMAIL_FROM",
            "give the address that alerts come from, such as tokenwatcher@example.com, beside "
            "SMTP_HOST",
        )
    usual = "tls" if settings.smtp_port == IMPLICIT_TLS_PORT else "starttls"
    encryption = cast(Encryption, settings.smtp_tls or usual)
    if encryption == "none" and settings.smtp_user is not None:
        raise SettingsError(
            "SMTP_TLS",
            "take starttls or tls beside SMTP_USER: else its password is sent in the clear",
        )
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=sender,
        user=settings.smtp_user,
        password=settings.smtp_password,
        encryption=encryption,
    )
