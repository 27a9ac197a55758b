"""Brokers that tests start themselves, on free ports of 127.0.0.1, ended by their pid.

`noida` comes with the test extra and runs anywhere; `apache` is Apache Kafka itself and needs Java
and Maven. ``tests/conftest.py`` offers their fixtures to every test.
"""

from tests.brokers.apache import ApacheKafka, apache_brokers, apache_kafka, apache_quick
from tests.brokers.noida import kafka_brokers, noida_db
from tests.brokers.secured import SecuredKafka, secured_kafka

__all__ = [
    "ApacheKafka",
    "SecuredKafka",
    "apache_brokers",
    "apache_kafka",
    "apache_quick",
    "kafka_brokers",
    "noida_db",
    "secured_kafka",
]
