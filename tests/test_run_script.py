"""Tests of ``run.py``: what it calls, when it calls nothing, and what it says when it cannot go on.

``venv``, ``pip`` and ``pytest`` are stand-ins that record their command lines, found first through
``PYTHONPATH``; nothing here needs the network.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RECORD = """
import json, os, sys
def record(name):
    with open(os.environ["RECORD"], "a") as file:
        file.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
"""
VENV = """
import os, sys
from record import record
record("venv")
if os.environ.get("NO_ENSUREPIP") and "--without-pip" not in sys.argv:
    sys.exit("The virtual environment was not created: ensurepip is not available.")
folder = os.path.join(sys.argv[-1], "bin")
os.makedirs(folder, exist_ok=True)
for name in ["python"] + ["pip"] * ("--without-pip" not in sys.argv):
    if not os.path.lexists(os.path.join(folder, name)):
        os.symlink(sys.executable, os.path.join(folder, name))
"""
PIP = """
import os, sys
from record import record
own = sys.executable.startswith(os.path.join(os.getcwd(), ".venv"))
if os.environ.get("PIP_SAYS") == "none" and not own:
    sys.exit("No module named pip")
if sys.argv[1:] == ["--version"]:
    print("pip %s from here" % os.environ.get("PIP_SAYS", "23.0.1"))
    sys.exit()
record(".venv pip" if own else "pip")
if os.environ.get("OFFLINE"):
    sys.exit("NewConnectionError: Failed to establish a new connection: name resolution")
if os.environ.get("BROKEN"):
    sys.exit("error: no space left on device")
if "--target" in sys.argv:
    assert os.environ["HATCH_BUILD_HOOKS_ENABLE"] == "1"
    if os.environ.get("NO_COMPILER"):
        sys.exit("error: command 'gcc' failed: No such file or directory")
    os.makedirs(sys.argv[sys.argv.index("--target") + 1])
    sys.exit()
with open(".venv/bin/levsim", "w") as file:
    file.write('#!/bin/sh\\nprintf "%s\\\\n" levsim "$PWD" "PYTHONPATH=$PYTHONPATH" "$@"\\n')
os.chmod(".venv/bin/levsim", 0o755)
"""
SHOW = """
import os, sys
safe = ["safe path"] * sys.flags.safe_path
print({name!r}, os.getcwd(), *safe, *sys.argv[1:], sep="\\n")
sys.exit(7)
"""


@dataclass
class Checkout:
    """A copy of the script in a path with a space, with stand-ins for what it calls."""

    folder: Path
    stand_ins: Path
    record: Path

    def run(
        self, *arguments: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it and hold its exit code to ``code``."""
        path = os.pathsep.join(filter(None, [str(self.stand_ins), env.pop("PYTHONPATH", "")]))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, str(self.folder / "run.py"), *arguments],
            cwd=cwd or self.folder,
            env={**clean, "PYTHONPATH": path, "RECORD": str(self.record), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert code is None or done.returncode == code, done.stderr
        return done

    def commands(self) -> list[list[str]]:
        """The set-up commands since the last call of this."""
        if not self.record.exists():
            return []
        lines = self.record.read_text().splitlines()
        self.record.unlink()
        return [json.loads(line) for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "a place" / "levsim"
    (folder / "tests").mkdir(parents=True)
    for name in ("run.py", "pyproject.toml", "constraints.txt", "hatch_build.py"):
        shutil.copy(ROOT / name, folder)
    (folder / "engine").mkdir()
    (folder / "engine" / "walk.py").touch()
    (folder / "tests" / "bench.py").write_text(SHOW.format(name="bench"))
    stand_ins = tmp_path / "stand-ins"
    for name, text in {"venv": VENV, "pip": PIP, "pytest": SHOW.format(name="pytest")}.items():
        (stand_ins / name).mkdir(parents=True)
        (stand_ins / name / "__init__.py").touch()
        (stand_ins / name / "__main__.py").write_text(text)
    (stand_ins / "record.py").write_text(RECORD)
    return Checkout(folder, stand_ins, tmp_path / "record")


def test_without_arguments_it_sets_up_and_replays_the_sample(checkout: Checkout) -> None:
    """An empty environment, without ensurepip, filled from outside at locked versions."""
    done = checkout.run()
    venv = str(checkout.folder / ".venv")
    assert checkout.commands() == [
        ["venv", "--clear", "--without-pip", venv],
        [
            *("pip", "--python", f"{venv}/bin/python", "install", "--quiet"),
            *("--disable-pip-version-check", "--no-input", "--retries", "3", "--no-compile"),
            *("-c", "constraints.txt", "-e", "."),
        ],
    ]
    assert done.stdout.splitlines()[:2] == ["levsim", str(checkout.folder)]
    assert done.stdout.splitlines()[3:] == ["run"]
    assert "setting up .venv (once" in done.stderr


def test_the_real_venv_is_made_without_pip(checkout: Checkout) -> None:
    """With Python's own ``venv`` the environment works, though ensurepip put nothing into it."""
    shutil.rmtree(checkout.stand_ins / "venv")
    checkout.run()
    site = next((checkout.folder / ".venv").glob("lib/python3.*/site-packages"))
    assert list(site.iterdir()) == []
    assert [name for name, *_ in checkout.commands()] == ["pip"]


def test_the_second_time_nothing_is_set_up(checkout: Checkout) -> None:
    """Arguments go to levsim as they are, in the user's working folder."""
    checkout.run()
    checkout.commands()
    elsewhere = checkout.folder.parent
    done = checkout.run("run", "my data.csv", "--json", cwd=elsewhere)
    assert done.stdout.splitlines()[1] == str(elsewhere)
    assert done.stdout.splitlines()[3:] == ["run", "my data.csv", "--json"]
    assert checkout.commands() == []
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("job", "extras", "module"),
    [("test", "test", "pytest"), ("bench --interpreted", "bench,test", "bench")],
)
def test_jobs_with_extras(checkout: Checkout, job: str, extras: str, module: str) -> None:
    """``test`` and ``bench`` bring extras, run in the project, and hand their exit code back."""
    done = checkout.run(*job.split(), "-k", "a b", cwd=checkout.folder.parent, code=7)
    assert checkout.commands()[-1][-1] == f".[{extras}]"
    assert done.stdout.splitlines() == [module, str(checkout.folder), "-k", "a b"]


@pytest.mark.parametrize("job", ["test --compiled", "bench"])
def test_jobs_on_the_compiled_heart(checkout: Checkout, job: str) -> None:
    """Compiled once, found before the sources in this folder, and again when these change."""
    job, *flag = job.split()
    done = checkout.run(job, *flag, "-k", "a b", code=7)
    _, _, compiling = checkout.commands()
    compiled = str(checkout.folder / ".compiled")
    assert compiling[-3:] == ["--target", compiled, "."]
    assert "compiling the heart (once" in done.stderr
    module = "pytest" if job == "test" else "bench"
    mode = ["--import-mode=append"] if job == "test" else []
    said = [module, str(checkout.folder), "safe path", *mode, "-k", "a b"]
    assert done.stdout.splitlines() == said
    assert checkout.run(job, *flag, code=7).stderr == ""
    assert checkout.commands() == []
    (checkout.folder / "engine" / "walk.py").write_text("# changed\n")
    checkout.run(job, *flag, code=7)
    assert [command[-2:] for command in checkout.commands()] == [[compiled, "."]]


def test_compile(checkout: Checkout) -> None:
    """From then on levsim runs it, but not once the sources are others."""
    (checkout.folder / "engine" / "walk.py").touch()
    assert "is compiled" in checkout.run("compile").stderr
    compiled = str(checkout.folder / ".compiled")
    own = f"PYTHONPATH={compiled}:{checkout.stand_ins}"
    done = checkout.run("run")
    assert (done.stderr, done.stdout.splitlines()[2]) == ("", own)
    with (checkout.folder / "engine" / "new.py").open("w") as file:
        file.write("")
    done = checkout.run("run")
    assert "sources have changed since they were compiled" in done.stderr
    assert done.stdout.splitlines()[2] == f"PYTHONPATH={checkout.stand_ins}"
    checkout.run("compile")
    assert checkout.run("run").stdout.splitlines()[2] == own


def test_no_compiler(checkout: Checkout) -> None:
    """Says what is missing, how to get it, and how to do without."""
    done = checkout.run("bench", code=1, NO_COMPILER="1")
    for words in ("a C compiler", "apt-get install gcc python3-dev", "bench --interpreted"):
        assert words in done.stderr
    assert not (checkout.folder / ".compiled").exists()
    assert "PYTHONPATH" in checkout.run("run", NO_COMPILER="1").stdout


def test_extras_are_added_to_what_is_there(checkout: Checkout) -> None:
    """An extra that is missing is added without starting again, and what was there stays."""
    checkout.run("bench", "--interpreted", code=7)
    checkout.run("test", code=7)
    assert len(checkout.commands()) == 2
    checkout.run("run")
    assert checkout.commands() == []
    stamp = checkout.folder / ".venv" / "levsim-setup"
    stamp.write_text(stamp.read_text().split()[0])
    checkout.run("test", code=7)
    assert [(name, last) for name, *_, last in checkout.commands()] == [("pip", ".[test]")]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_the_locked_versions_starts_again(checkout: Checkout, name: str) -> None:
    """The environment belongs to these two files, this Python and this place."""
    checkout.run()
    checkout.commands()
    with (checkout.folder / name).open("a") as file:
        file.write("\n")
    checkout.run()
    assert [command[0] for command in checkout.commands()] == ["venv", "pip"]


def test_a_moved_folder_starts_again(checkout: Checkout, tmp_path: Path) -> None:
    """Scripts in an environment name their own place, so they do not survive a move."""
    checkout.run()
    checkout.commands()
    checkout.folder = checkout.folder.rename(tmp_path / "moved")
    checkout.run()
    assert [command[0] for command in checkout.commands()] == ["venv", "pip"]


def test_an_interrupted_set_up_is_done_again(checkout: Checkout) -> None:
    """Half an environment is none."""
    checkout.run(code=1, BROKEN="1")
    checkout.commands()
    checkout.run()
    assert [command[0] for command in checkout.commands()] == ["venv", "pip"]


@pytest.mark.parametrize("says", ["none", "22.2.9", "9.0.1"])
def test_no_pip_or_an_old_one(checkout: Checkout, says: str) -> None:
    """The environment then gets its own pip from ensurepip, and that one installs."""
    checkout.run(PIP_SAYS=says)
    venv, pip = checkout.commands()
    assert venv == ["venv", "--clear", str(checkout.folder / ".venv")]
    assert pip[:2] == [".venv pip", "install"]


@pytest.mark.parametrize(
    ("says", "words"), [("none", "no pip"), ("22.2", "pip 22.2, which is too old")]
)
def test_neither_pip_nor_ensurepip(checkout: Checkout, says: str, words: str) -> None:
    """Says what is missing and how to get it."""
    done = checkout.run(code=1, PIP_SAYS=says, NO_ENSUREPIP="1")
    assert words in done.stderr
    assert "apt-get install python3-pip" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_network(checkout: Checkout) -> None:
    """Says so, what to check, and what pip said."""
    done = checkout.run(code=1, OFFLINE="1")
    assert "could not reach its package index" in done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert "NewConnectionError" in done.stderr


def test_another_failure_of_pip(checkout: Checkout) -> None:
    """What pip said is shown."""
    done = checkout.run(code=1, BROKEN="1")
    assert "no space left on device" in done.stderr
    assert "network" not in done.stderr


def test_an_old_python_is_turned_away(checkout: Checkout, tmp_path: Path) -> None:
    """With the name of a newer one that runs on this machine, or with how to get one."""
    act_old = (
        "import runpy, sys; sys.version_info = (3, 8, 2, 'final', 0); sys.argv = ['run.py'];"
        f"runpy.run_path({str(checkout.folder / 'run.py')!r}, run_name='__main__')"
    )

    def said(path: str) -> str:
        command = [sys.executable, "-c", act_old]
        done = subprocess.run(
            command, env={"PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        return done.stderr

    assert "needs Python 3.11 or newer, and this is Python 3.8" in said("")
    assert "apt-get install python3.11" in said("")
    (tmp_path / "python3.12").symlink_to(sys.executable)
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    assert "python3.12 run.py" in said(str(tmp_path))
    assert not (checkout.folder / ".venv").exists()


def test_old_pythons_can_read_the_script() -> None:
    """It has no syntax that Python 3.4 does not know, so that its sentence gets printed."""
    source = (ROOT / "run.py").read_text()
    tree = ast.parse(source, feature_version=(3, 4))
    assert not any(isinstance(node, ast.JoinedStr) for node in ast.walk(tree))


def test_only_the_standard_library_is_imported() -> None:
    """The script runs before anything is installed."""
    tree = ast.parse((ROOT / "run.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.Import) for node in imports)
    names = {alias.name for node in imports for alias in node.names}
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize("name", ["strategies/mine.py", "engine/__init__.py", "feeds.py"])
def test_a_working_folder_with_our_names(checkout: Checkout, tmp_path: Path, name: str) -> None:
    """Says whose modules are used; on ``PYTHONPATH`` the folder would win, so it is left out."""
    mine = tmp_path / "mine"
    (mine / name).parent.mkdir(parents=True)
    (mine / name).touch()
    done = checkout.run("policy", "list", cwd=mine, PYTHONPATH=".")
    assert f"this folder has its own {Path(name).parts[0].removesuffix('.py')}/" in done.stderr
    assert "--policy FILE.py:Class" in done.stderr
    assert "PYTHONPATH names ., whose" in done.stderr
    assert done.stdout.splitlines()[2] == f"PYTHONPATH={checkout.stand_ins}"


def test_settings_that_would_lead_pip_astray_are_left_out(checkout: Checkout) -> None:
    """Somebody's ``PIP_TARGET`` or ``PIP_USER`` is for other installs."""
    pip = checkout.stand_ins / "pip" / "__main__.py"
    pip.write_text(
        "import os\nassert 'PIP_TARGET' not in os.environ and os.environ['PIP_USER'] == '0'\n"
        + pip.read_text()
    )
    checkout.run(PIP_TARGET="/nowhere", PIP_USER="1")
