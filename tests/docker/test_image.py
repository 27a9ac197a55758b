"""What the image installs and starts, done here in a clean environment; no Docker engine is asked.

Not shown by any test: that the base images exist, and what Docker itself makes of the files.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from compose_spec import PyCompose

from tests.brokers.ports import free_ports

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
PLACE = "/opt/levsim"
READY_TRIES_MAX = 600


def instructions() -> list[tuple[str, str]]:
    """Each line of the Dockerfile as its instruction and the rest."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and line[0] != "#"]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What builds, and what is shipped."""
    found = instructions()
    second = next(n for n, (word, _) in enumerate(found[1:], 1) if word == "FROM")
    return found[:second], found[second:]


def test_the_image_is_slim_and_not_root() -> None:
    """The shipped stage starts from a slim image, copies what was built, runs nothing that
    installs, and is nobody's root."""
    _, shipped = stages()
    assert shipped[0][1].endswith("-slim")
    runs = [rest for word, rest in shipped if word == "RUN"]
    assert not any(tool in run for run in runs for tool in ("pip", "apt", "curl", "gcc"))
    users = [rest for word, rest in shipped if word == "USER"]
    assert users[-1] not in ("root", "0")
    assert any(f"useradd --system --create-home --uid 10001 {users[-1]}" in run for run in runs)
    assert [rest for word, rest in shipped if word == "COPY"] == [f"--from=build {PLACE} {PLACE}"]


def test_the_compose_file_keeps_the_specification() -> None:
    """Every key is one of the Compose specification's, with a value of its kind."""
    text = COMPOSE.read_text()
    compose = PyCompose.from_yaml(text)
    compose.validate()
    assert set(compose.service_names()) == {"kafka", "topics", "engine", "replayer"}
    whole = yaml.safe_load(text)
    for service in whole["services"].values():
        assert set(service.get("depends_on", ())) <= set(whole["services"])
        named = {one.partition(":")[0] for one in service.get("volumes", ())}
        assert named <= set(whole["volumes"])
    for fault in (
        text.replace("depends_on:", "depend_on:", 1),
        text.replace("read_only: true", "read_only: perhaps", 1),
        text.replace("service_healthy", "service_well", 1),
    ):
        assert fault != text
        with pytest.raises(ValueError, match=r"services\."):
            PyCompose.from_yaml(fault).validate()


def services() -> dict[str, Any]:
    """The services of the compose file."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build stage, carried out: its files copied, its lines run, in a folder of our own."""
    source = tmp_path_factory.mktemp("src")
    target = tmp_path_factory.mktemp("opt") / "levsim"
    built, _ = stages()
    for word, rest in built:
        if word == "COPY":
            *names, into = rest.split()
            for name in names:
                if (ROOT / name).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / name, source / into, ignore=ignored)
                else:
                    shutil.copy(ROOT / name, source / into)
        elif word == "RUN":
            line = rest.replace(PLACE, str(target))
            line = line.replace("python3", shlex.quote(sys.executable), 1)
            done = subprocess.run(
                line, check=False, shell=True, cwd=source, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return target


@pytest.fixture
def started(installed: Path, tmp_path: Path, kafka_brokers: str) -> Iterator[Any]:
    """Starts a service as the image does, on the broker of the tests; ends it by its pid."""
    prefix, running = f"image-{uuid4().hex[:8]}.", []
    _, shipped = stages()
    (entry,) = (rest for word, rest in shipped if word == "ENTRYPOINT")
    (name,) = yaml.safe_load(entry)

    def start(service: str, **changes: str) -> subprocess.Popen[str]:
        command = [changes.get(one, one) for one in services()[service]["command"]]
        command = [kafka_brokers if one == "kafka:9092" else one for one in command]
        environment = {"PATH": f"{installed / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
        running.append(
            subprocess.Popen(
                [installed / "bin" / name, *command, "--prefix", prefix],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.kafka
def test_installed_and_started(installed: Path, started: Any) -> None:
    """The lines of the Dockerfile give an environment without pip whose commands, started with the
    lines of the compose file, create the topics, become ready, take the replayed day, and end at
    SIGTERM."""
    inside = os.listdir(installed / "bin")
    assert "levsim" in inside
    assert not [one for one in inside if one.startswith("pip")]
    assert not list(installed.glob("lib/*/site-packages/setuptools"))
    topics = started("topics")
    assert topics.wait(120) == 0, topics.communicate()
    replayer = started("replayer", x60="max")
    assert replayer.wait(300) == 0, replayer.communicate()
    (port,) = free_ports(1)
    engine = started("engine", **{"9464": str(port)})
    (check,) = services()["engine"]["healthcheck"]["test"][-1:]
    assert "/readyz" in check
    for _ in range(READY_TRIES_MAX):
        assert engine.poll() is None, engine.communicate()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    else:
        pytest.fail("never ready")
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(120) == 0, engine.communicate()


def test_the_compiled_heart_says_the_same(installed: Path, tmp_path: Path) -> None:
    """The sample, replayed by the image's heart, which is compiled, and by these sources."""
    compiled, sources = [str(installed / "bin" / "levsim")], [sys.executable, "-m", "engine"]
    plain = {**os.environ, "PYTHONPATH": str(ROOT)}
    said: list[tuple[str, str]] = []
    for command, environment in ((compiled, {}), (sources, plain)):
        run = [*command, "run", "--json", "--out", str(tmp_path / str(len(said)))]
        outputs = [
            subprocess.run(
                line, check=True, cwd=tmp_path, env=environment, capture_output=True, text=True
            ).stdout
            for line in ([*command, "--version"], run)
        ]
        said.append((outputs[0], json.loads(outputs[1])["digest"]))
    (first, digest), (second, same) = said
    assert "compiled heart" in first
    assert "interpreted heart" in second
    assert digest == same


def test_default_line(installed: Path) -> None:
    """Without arguments the image shows what it can do."""
    _, shipped = stages()
    (default,) = (rest for word, rest in shipped if word == "CMD")
    line = [str(installed / "bin" / "levsim"), *yaml.safe_load(default)]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert "serve" in done.stdout
