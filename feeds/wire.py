"""aiokafka as we use it: imported when a broker is first spoken to, its errors turned into ours."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from engine.errors import ConfigError, FeedError
from feeds.log import OffsetOutOfRangeError, Place, ProducerFencedError
from feeds.security import AccessRefusedError

__all__ = [
    "MARKERS_RETRY_SECONDS",
    "aiokafka",
    "checked_brokers",
    "explain",
    "topic_partition",
    "translated",
]

MARKERS_RETRY_SECONDS: Final = 0.002
"""A producer that begins before the markers of its last transaction are written is turned away, and
tries again after this long; aiokafka's own 20 ms are ten times what the markers take."""

_HOPELESS: Final = frozenset(
    {
        *("AuthenticationFailedError", "UnsupportedSaslMechanismError", "SecurityDisabled"),
        *("InvalidTopicError", "PolicyViolationError"),
        *("IncompatibleBrokerVersion", "UnsupportedVersionError", "MessageSizeTooLargeError"),
        *("InvalidTransactionTimeout", "UnknownTopicOrPartitionError"),
    }
)


_PORTS: Final = range(1, 65_536)


def checked_brokers(text: str) -> str:
    """``host:port``, several separated by commas, as it is, if it can be that.

    Raises:
        ConfigError: if an address is none.
    """
    for one in text.split(","):
        host, colon, port = one.strip().rpartition(":")
        if not colon or one.strip().endswith("]"):
            host, port = one.strip(), "9092"
        if not host or " " in host or not port.isdecimal() or int(port) not in _PORTS:
            raise ConfigError(f"a broker is host:port, such as localhost:9092, was {one!r}")
    return text


@cache
def aiokafka() -> Any:
    """The package, with its parts that are not imported with it."""
    # The package ships no types.
    import aiokafka.admin.config_resource  # type: ignore[import-untyped]
    import aiokafka.conn  # type: ignore[import-untyped]
    import aiokafka.errors  # type: ignore[import-untyped]
    import aiokafka.producer.sender  # type: ignore[import-untyped]

    # No option of a producer says this, and it decides how long a forced cut may wait.
    aiokafka.producer.sender.BACKOFF_OVERRIDE = MARKERS_RETRY_SECONDS
    # It logs each request at debug level, and one of them is the password.
    logging.getLogger("aiokafka.conn").addFilter(_tells_no_secret)
    return aiokafka


def _tells_no_secret(record: logging.LogRecord) -> bool:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(told).__name__.startswith("SaslAuth") for told in arguments)


def topic_partition(place: Place) -> Any:
    """A place as the client names it."""
    return aiokafka().TopicPartition(place.topic, place.partition)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Whatever the client raises is ours from here on."""
    errors = aiokafka().errors
    try:
        yield
    except (errors.ProducerFenced, errors.InvalidProducerEpoch) as error:
        raise ProducerFencedError(f"kafka {what}: a newer producer took over ({error})") from error
    except errors.OffsetOutOfRangeError as error:
        raise OffsetOutOfRangeError(f"kafka {what}: position not in the log ({error})") from error
    except _refusals(errors) as error:
        raise AccessRefusedError(f"kafka {what}: not allowed ({_words(error)})") from error
    except (errors.KafkaError, OSError, TimeoutError, AssertionError) as error:
        raise FeedError(
            f"kafka {what}: {type(error).__name__}: {error}", retriable=not _is_hopeless(error)
        ) from error
    except errors.IllegalOperation as error:  # no `KafkaError`, as its state errors are
        raise FeedError(f"kafka {what}: {error}", retriable=False) from error


async def explain(what: str, options: Mapping[str, Any]) -> None:
    """Connect to each broker in turn and raise what keeps us out; silent where nothing does.

    Args:
        what: was tried.
        options: of the client that found no broker.

    Raises:
        AccessRefusedError: if certificates or passwords are not believed, on either side.
    """
    if options["security_protocol"] == "PLAINTEXT":
        return
    package = aiokafka()
    settings = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    for broker in options["bootstrap_servers"].split(","):
        host, _, port = broker.strip().rpartition(":")
        where = f"kafka {what}: {broker.strip()}"
        if not port.isdecimal():
            continue
        try:
            connection = await package.conn.create_conn(host, int(port), **settings)
        except ssl.SSLCertVerificationError as error:
            raise AccessRefusedError(
                f"{where} shows a certificate that is not trusted ({error.verify_message}): "
                "check ssl_cafile and the broker's name"
            ) from None
        except ssl.SSLError as error:
            raise AccessRefusedError(f"{where} does not agree on TLS ({error.reason})") from None
        except (package.errors.SaslAuthenticationFailed, ValueError):
            user, mechanism = options["sasl_plain_username"], options["sasl_mechanism"]
            raise AccessRefusedError(
                f"{where} does not believe user {user} ({mechanism}): check the name and password"
            ) from None
        except package.errors.UnsupportedSaslMechanismError:
            raise AccessRefusedError(
                f"{where} does not offer the mechanism {options['sasl_mechanism']}"
            ) from None
        except package.errors.KafkaConnectionError:
            # With TLS 1.3 a client is refused only after its side of the handshake went well.
            if options["security_protocol"] == "SSL":
                raise AccessRefusedError(
                    f"{where} closes the connection after the handshake: does it ask for a "
                    "certificate (ssl_certfile)?"
                ) from None
        except (package.errors.KafkaError, OSError, TimeoutError):
            continue
        else:
            connection.close()


def _refusals(errors: Any) -> tuple[type[Exception], ...]:
    return (
        errors.TopicAuthorizationFailedError,
        errors.TransactionalIdAuthorizationFailed,
        errors.ClusterAuthorizationFailedError,
        errors.GroupAuthorizationFailedError,
        errors.SaslAuthenticationFailed,
    )


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _is_hopeless(error: Exception) -> bool:
    """Whether a client made anew would meet the same. Everything else is worth another session:
    the client's own states after an error of the broker are many, and none of them lasts."""
    return type(error).__name__ in _HOPELESS
