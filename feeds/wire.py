"""aiokafka as we use it: imported when a broker is first spoken to, its errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from engine.errors import FeedError
from feeds.log import OffsetOutOfRangeError, Place, ProducerFencedError

__all__ = ["aiokafka", "topic_partition", "translated"]

_HOPELESS: Final = frozenset(
    {
        *("AuthenticationFailedError", "SaslAuthenticationFailed", "UnsupportedSaslMechanismError"),
        *("SecurityDisabled", "ClusterAuthorizationFailedError"),
        *("TopicAuthorizationFailedError", "GroupAuthorizationFailedError"),
        *("TransactionalIdAuthorizationFailed", "InvalidTopicError", "PolicyViolationError"),
        *("IncompatibleBrokerVersion", "UnsupportedVersionError", "MessageSizeTooLargeError"),
        *("InvalidTransactionTimeout", "UnknownTopicOrPartitionError"),
    }
)


def aiokafka() -> Any:
    """The package, with its parts that are not imported with it."""
    # The package ships no types.
    import aiokafka.admin.config_resource  # type: ignore[import-untyped]
    import aiokafka.errors  # type: ignore[import-untyped]

    return aiokafka


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
    except (errors.KafkaError, OSError, TimeoutError, AssertionError) as error:
        raise FeedError(
            f"kafka {what}: {type(error).__name__}: {error}", retriable=not _is_hopeless(error)
        ) from error
    except (errors.IllegalOperation, errors.IllegalStateError) as error:
        raise FeedError(f"kafka {what}: {error}", retriable=False) from error


def _is_hopeless(error: Exception) -> bool:
    """Whether a client made anew would meet the same. Everything else is worth another session:
    the client's own states after an error of the broker are many, and none of them lasts."""
    return type(error).__name__ in _HOPELESS
