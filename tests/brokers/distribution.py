"""Apache Kafka's programs: fetched once from Maven Central into a cache folder.

``python -m tests.brokers`` fetches them, too. Only `pom.xml` is part of the project; a changed one
is fetched again. Beside the jars lies an archive of their loaded classes for each Java that ran
them, which halves the time of a start.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.ports import free_ports, listens
from tests.brokers.settings import properties_of

__all__ = [
    "CACHE_VARIABLE",
    "JAVA_OPTIONS_SHIPPED",
    "Distribution",
    "MissingError",
    "distribution",
    "kafka_version",
]

CACHE_VARIABLE = "LEVSIM_KAFKA_CACHE"
"""Names the cache folder; without it ``~/.cache/levsim/kafka-<version>``."""
JAVA_MIN = 17
POM = Path(__file__).with_name("pom.xml")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_SECONDS_MAX = 600.0
COMMAND_SECONDS_MAX = 60.0
LAST_WORDS = 1_500

# One small broker among other programs: little memory, one collector thread, no second compiler.
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""To start soon: a test's broker lives for seconds."""
JAVA_OPTIONS_SHIPPED = ("-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
"""Those of Kafka's own start script; what runs often is compiled in the first minute."""
LOGGING = """
rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c: %m%n
"""


class MissingError(Exception):
    """Apache Kafka cannot be had on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Distribution:
    """The jars in a folder, and how Java is told to run them."""

    folder: Path
    java: str
    options: tuple[str, ...] = JAVA_OPTIONS

    def command(self, program: str, *arguments: str, archiving: bool = False) -> list[str]:
        """The command line of a class; ``archiving`` saves its loaded classes when it ends."""
        jars = os.pathsep.join(str(jar) for jar in sorted((self.folder / "lib").glob("*.jar")))
        archive = self.archive
        if archiving:
            shared = [f"-XX:ArchiveClassesAtExit={archive.with_suffix('.new')}"]
        else:
            shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [self.java, *self.options, *shared, logging, "-cp", jars, program, *arguments]

    @property
    def archive(self) -> Path:
        """Where the loaded classes of this Java lie."""
        mark = hashlib.sha256(_java_version(self.java).encode()).hexdigest()[:12]
        return self.folder / f"classes-{mark}.jsa"

    def format(self, properties: Path, *arguments: str) -> None:
        """Prepare the data folder that the properties name."""
        command = self.command("kafka.tools.StorageTool", "format", "--ignore-formatted")
        command += ["--cluster-id", "bGV2c2ltLXRlc3RzLWthZg", "--config", str(properties)]
        _run([*command, *arguments], COMMAND_SECONDS_MAX)


def distribution() -> Distribution:
    """The programs, fetched if need be; raises `MissingError` where they cannot be had."""
    java = shutil.which("java")
    if java is None:
        raise MissingError("no java on the path")
    version = _java_version(java)
    number = re.search(r'version "(\d+)', version)
    if number is None or int(number.group(1)) < JAVA_MIN:
        raise MissingError(f"{version.splitlines()[0]} is not Java {JAVA_MIN} or newer")
    folder = _cache()
    if not _is_current(folder):
        _fetch(folder)
    there = Distribution(folder, java)
    if not there.archive.exists():
        _archive(there)
    return there


def kafka_version() -> str:
    """The version that the pom names."""
    found = re.search(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text())
    assert found is not None, "pom.xml names no version of Kafka"
    return found.group(1)


def _cache() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named or f"~/.cache/levsim/kafka-{kafka_version()}").expanduser()


def _is_current(folder: Path) -> bool:
    pom = folder / "pom.xml"
    return pom.exists() and pom.read_text() == POM.read_text()


def _fetch(folder: Path) -> None:
    """Fetch beside the folder and rename: a fetch that was cut short leaves nothing behind."""
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError(f"no mvn on the path, and {folder} does not hold the programs")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        shutil.copy(POM, fresh / "pom.xml")
        (fresh / "log4j2.properties").write_text(LOGGING)
        goal = [COPY, "-DincludeScope=runtime", f"-DoutputDirectory={fresh / 'lib'}"]
        batch = [maven, "--batch-mode", "--quiet", "--strict-checksums"]
        _run([*batch, "--file", str(fresh / "pom.xml"), *goal], FETCH_SECONDS_MAX)
        if not _is_current(folder):  # another session may have been quicker
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _archive(there: Distribution) -> None:
    """Start a broker once and let it save its loaded classes; without them it is only slower."""
    broker, controller = free_ports(2)
    with tempfile.TemporaryDirectory() as name:
        properties = Path(name) / "server.properties"
        properties.write_text(properties_of(Path(name) / "data", broker, controller))
        there.format(properties)
        command = there.command("kafka.Kafka", str(properties), archiving=True)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(int(COMMAND_SECONDS_MAX / 0.1)):
                if listens(broker):
                    break
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
            process.send_signal(signal.SIGTERM)
            process.wait(COMMAND_SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
    new = there.archive.with_suffix(".new")
    if new.exists():
        new.rename(there.archive)


def _run(command: list[str], seconds_max: float) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds_max,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"{Path(command[0]).name} took over {seconds_max:g} s") from error
    if done.returncode:
        raise MissingError(f"{Path(command[0]).name} failed: {done.stdout[-LAST_WORDS:]}")


def _java_version(java: str) -> str:
    done = subprocess.run(
        [java, "-version"], capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False
    )
    return done.stderr
