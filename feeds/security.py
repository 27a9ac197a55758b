"""How a client proves who it is to the brokers, and checks who they are.

Everything but the secrets: a password is read from a file, or from an environment variable, each
time a client is made, and never kept here. So no repr, log line or error of ours can hold it, and
a changed password needs no restart of anything but the client.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from engine.errors import ConfigError, FeedError

__all__ = [
    "KEY_PASSWORD_VARIABLE",
    "PASSWORD_VARIABLE",
    "AccessRefusedError",
    "Security",
]

PASSWORD_VARIABLE: Final = "LEVSIM_KAFKA_PASSWORD"  # noqa: S105  # a name, no password
KEY_PASSWORD_VARIABLE: Final = "LEVSIM_KAFKA_KEY_PASSWORD"  # noqa: S105  # a name, no password


class AccessRefusedError(FeedError):
    """A broker does not believe us, or we do not believe it, or it does not let us do that."""

    exit_code = 4

    def __init__(self, message: str) -> None:
        super().__init__(message, retriable=False)


class Security(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The settings of every client, as the table ``[kafka]`` of the configuration holds them.

    Attributes:
        security_protocol: ``SASL_SSL`` and ``SSL`` encrypt, the ``SASL`` ones ask for a password.
        sasl_mechanism: how the password is proved.
        sasl_username: who we are.
        sasl_password_file: holds the password; without it ``LEVSIM_KAFKA_PASSWORD`` does.
        ssl_cafile: whom we trust, PEM; without it those whom this machine trusts.
        ssl_certfile: our own certificate, PEM, where brokers ask for one (mutual TLS).
        ssl_keyfile: its key, PEM; without it the key is in ``ssl_certfile``.
        ssl_key_password_file: of an encrypted key; without it ``LEVSIM_KAFKA_KEY_PASSWORD``.

    Raises:
        ValueError: if they contradict each other, or would send a password in the clear.
    """

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password_file: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_key_password_file: str | None = None

    def __post_init__(self) -> None:
        protocol = self.security_protocol
        if self.is_sasl and not (self.sasl_mechanism and self.sasl_username):
            raise ValueError(f"{protocol} needs sasl_mechanism and sasl_username")
        if not self.is_sasl and (self.sasl_mechanism or self.sasl_username):
            raise ValueError(f"{protocol} knows no users: security_protocol must be SASL_SSL")
        if protocol == "SASL_PLAINTEXT" and self.sasl_mechanism == "PLAIN":
            raise ValueError("PLAIN without TLS sends the password in the clear: use SASL_SSL")
        if not self.is_tls and (self.ssl_cafile or self.ssl_certfile):
            raise ValueError(f"{protocol} does not encrypt: security_protocol must be SASL_SSL")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile needs the certificate of the key, ssl_certfile")

    @property
    def is_sasl(self) -> bool:
        """Whether brokers ask for a password."""
        return self.security_protocol.startswith("SASL")

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol.endswith("SSL")

    def options(self, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
        """What aiokafka's clients take; holds the password, so it goes to them and nowhere else.

        Raises:
            ConfigError: if a file cannot be used, or there is no password.
        """
        options: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.is_tls:
            options["ssl_context"] = self._context(environ)
        if self.is_sasl:
            secret = _secret(
                "sasl_password_file", self.sasl_password_file, PASSWORD_VARIABLE, environ
            )
            if secret is None:
                raise ConfigError(
                    f"no password for the Kafka user {self.sasl_username}: name its file in "
                    f"sasl_password_file, or set {PASSWORD_VARIABLE}"
                )
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = secret
        return options

    def _context(self, environ: Mapping[str, str]) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
        except OSError as error:
            raise ConfigError(f"ssl_cafile {self.ssl_cafile}: {_why(error)}") from None
        if self.ssl_certfile:
            secret = _secret(
                "ssl_key_password_file", self.ssl_key_password_file, KEY_PASSWORD_VARIABLE, environ
            )
            try:
                # An empty password is refused where one is needed; without it OpenSSL would ask.
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, secret or "")
            except OSError as error:
                files = " and ".join(filter(None, (self.ssl_certfile, self.ssl_keyfile)))
                raise ConfigError(f"ssl_certfile {files}: {_why(error)}") from None
        return context


def _secret(name: str, file: str | None, variable: str, environ: Mapping[str, str]) -> str | None:
    """The secret without the end of its line; ``None`` where nobody gives one."""
    if file is None:
        return environ.get(variable) or None
    try:
        secret = Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{name} {file}: {_why(error)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name} {file}: not UTF-8 text") from None
    if not secret:
        raise ConfigError(f"{name} {file} is empty")
    return secret


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable ({error.reason or 'no PEM'})"
    return error.strerror or type(error).__name__
