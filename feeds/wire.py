"""aiokafka as we use it: imported when a broker is first spoken to, its errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import FeedError
from feeds.log import OffsetOutOfRangeError, Place, ProducerFencedError

__all__ = ["aiokafka", "topic_partition", "translated"]


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
    except (errors.KafkaError, OSError, TimeoutError) as error:
        retriable = getattr(error, "retriable", False) or not isinstance(error, errors.KafkaError)
        retriable = retriable or isinstance(error, errors.KafkaTimeoutError)
        raise FeedError(
            f"kafka {what}: {type(error).__name__}: {error}", retriable=retriable
        ) from error
    except (errors.IllegalOperation, errors.IllegalStateError, AssertionError) as error:
        raise FeedError(f"kafka {what}: {error}", retriable=False) from error
