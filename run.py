#!/usr/bin/env python3
"""Sets levsim up once, then runs it. Needs Python 3.11 or newer with pip, and nothing else.

    python3 run.py                 replay the sample, print the verdict and the path of the report
    python3 run.py ARGS            levsim ARGS, for instance: python3 run.py run DATA
    python3 run.py compile         compile the heart; whatever is run after that uses it
    python3 run.py bench [args]    compile the heart, where it is not, and run the benchmarks;
                                   --interpreted: as it is without
    python3 run.py test [args]     run the tests; args go to pytest; --compiled: of the compiled

The environment lies in .venv beside this file and is made again when pyproject.toml,
constraints.txt, the Python version or the place of the folder changes. What is compiled lies in
.compiled and is used as long as the sources are those it was made of. Delete either to be rid of
it.
"""

# Old Pythons must be able to read this file as far as the sentence that turns them away: no
# f-strings, no annotations, nothing newer than Python 2.7.

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys

PYTHON_MIN = (3, 11)
PIP_MIN = (22, 3)  # the first with `pip --python`
PACKAGES = ("engine", "feeds", "strategies")
BUILD_HOOK = "hatch_build.py"
EXTRAS = {"test": {"test"}, "bench": {"test", "bench"}}

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "levsim-setup")
COMPILED = os.path.join(ROOT, ".compiled")
COMPILED_STAMP = os.path.join(COMPILED, "levsim-sources")
WINDOWS = os.name == "nt"
BIN = os.path.join(VENV, "Scripts" if WINDOWS else "bin")
VENV_PYTHON = os.path.join(BIN, "python.exe" if WINDOWS else "python")
LEVSIM = os.path.join(BIN, "levsim.exe" if WINDOWS else "levsim")

NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Failed to establish a new connection",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionResetError",
    "Connection aborted",
    "ProxyError",
    "SSLError",
    "Max retries exceeded",
    "Network is unreachable",
)
COMPILER_SIGNS = (
    "command 'gcc' failed",
    "command 'cc' failed",
    "command 'clang' failed",
    "No such file or directory: 'gcc'",
    "No such file or directory: 'cc'",
    "Python.h: No such file",
    "Unable to find a compatible Visual Studio",
    "Microsoft Visual C++",
)


class SetUpError(Exception):
    """A sentence for the user, with the next step in it."""


def say(line):
    """Print a line for the user; stdout belongs to results."""
    sys.stderr.write("run.py: " + line + "\n")
    sys.stderr.flush()


def check_python():
    """Turn an old Python away, naming a newer one if there is one."""
    if sys.version_info[:2] >= PYTHON_MIN:
        return
    newer = "python3.11"
    step = "Install one (Debian, Ubuntu: sudo apt-get install python3.11; others: python.org), then"
    for minor in range(20, PYTHON_MIN[1] - 1, -1):
        name = "python3.%d" % minor
        if answers(name):
            newer, step = name, "There is a %s on this machine:" % name
            break
    raise SetUpError(
        "levsim needs Python 3.11 or newer, and this is Python %d.%d (%s). %s run\n    %s run.py"
        % (sys.version_info[0], sys.version_info[1], sys.executable, step, newer)
    )


def answers(name):
    """Whether a command runs Python; version managers leave names of Pythons that do not."""
    with open(os.devnull, "w") as nowhere:
        try:
            return not subprocess.call([name, "-c", ""], stdout=nowhere, stderr=nowhere)
        except (IOError, OSError):
            return False


def environment():
    """Our environment less what leads pip or imports astray; the PYTHONPATH entries left out."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV"):
        env.pop(name, None)
    env["PIP_USER"] = "0"
    dropped = []
    if env.get("PYTHONPATH"):
        kept = []
        for folder in env["PYTHONPATH"].split(os.pathsep):
            (dropped if shadowing(folder or os.curdir) else kept).append(folder)
        env["PYTHONPATH"] = os.pathsep.join(kept)
        if not env["PYTHONPATH"]:
            del env["PYTHONPATH"]
    return env, dropped


def shadowing(folder):
    """Names of ours that a folder other than ours holds too."""
    if os.path.realpath(folder) == os.path.realpath(ROOT):
        return []
    here = os.path.join(folder, "")
    return [
        name
        for name in PACKAGES
        if os.path.isdir(here + name) or os.path.isfile(here + name + ".py")
    ]


def warn_of_shadows(folder, dropped):
    """Say whose modules are used where there are two of a name."""
    names = shadowing(folder)
    if names:
        say(
            "this folder has its own %s; levsim does not import it but uses the one in %s. To run a"
            " policy of yours, name its file: --policy FILE.py:Class"
            % (" and ".join(name + "/" for name in names), ROOT)
        )
    for entry in dropped:
        say(
            "PYTHONPATH names %s, whose %s would take the place of levsim's; left out for this run."
            " Rename that folder or take it off PYTHONPATH."
            % (entry or "the working folder", " and ".join(shadowing(entry or os.curdir)))
        )


def wanted_key():
    """What an environment was made from, as one hash."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    digest.update(repr((sys.version, sys.platform, ROOT)).encode("utf-8"))
    return digest.hexdigest()


def installed():
    """Key and extras of the environment that is there; nothing where it is missing or half made."""
    if not os.path.exists(VENV_PYTHON):
        return "", set()
    try:
        with open(STAMP) as file:
            words = file.read().split()
    except (IOError, OSError):
        return "", set()
    return (words[0], set(words[1:])) if words else ("", set())


def call(command, env):
    """Exit code and all the output of a command run in our folder."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = process.communicate()[0].decode("utf-8", "replace")
    return process.returncode, output


def last_lines(output):
    """The end of a long output, indented."""
    return "".join("    %s\n" % line for line in output.strip().splitlines()[-12:])


def make_venv(env):
    """An empty environment; the command that installs into it."""
    code, output = call([sys.executable, "-m", "pip", "--version"], env)
    version = re.match(r"pip (\d+)\.(\d+)", output)
    if code == 0 and version and (int(version.group(1)), int(version.group(2))) >= PIP_MIN:
        code, output = call([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV], env)
        if code:
            raise SetUpError("could not make %s:\n%s" % (VENV, last_lines(output)))
        return installer(own=False)
    # Without pip, or with one too old to install elsewhere, the new environment gets its own.
    code, output = call([sys.executable, "-m", "venv", "--clear", VENV], env)
    if code:
        lack = "pip %s, which is too old," % version.group(0)[4:] if version else "no pip"
        raise SetUpError(
            "%s has %s and no ensurepip either. Install pip: sudo apt-get install python3-pip"
            " (Debian, Ubuntu), sudo dnf install python3-pip (Fedora; others: pip.pypa.io); then"
            " run this again." % (sys.executable, lack)
        )
    return installer(own=True)


def installer(own):
    """The command that installs into the environment, by its own pip or by ours from outside."""
    if own:
        return [VENV_PYTHON, "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", VENV_PYTHON]


def install(pip, extras, env):
    """Install levsim, editable, at the locked versions."""
    target = "." + ("[%s]" % ",".join(sorted(extras)) if extras else "")
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--retries",
        "3",
        "--no-compile",
    ]
    code, output = call(pip + ["install"] + options + ["-c", "constraints.txt", "-e", target], env)
    if not code:
        return
    refuse_without_network(output)
    raise SetUpError(
        "pip could not install levsim. If a locked version does not fit this Python (%d.%d), run"
        " this with Python 3.11, or change constraints.txt. pip said:\n%s"
        % (sys.version_info[0], sys.version_info[1], last_lines(output))
    )


def refuse_without_network(output):
    """Say so where that is why pip failed."""
    if any(sign in output for sign in NETWORK_SIGNS):
        raise SetUpError(
            "pip could not reach its package index, so levsim could not be installed. Check the"
            " network (or the proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL), then run this again."
            " pip said:\n" + last_lines(output)
        )


def sources_key():
    """What the heart would be compiled from, as one hash."""
    digest = hashlib.sha256(repr((sys.version, sys.platform)).encode("utf-8"))
    paths = ["pyproject.toml", BUILD_HOOK]
    for package in PACKAGES:
        for folder, folders, names in os.walk(os.path.join(ROOT, package)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            paths += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    for path in sorted(paths):
        with open(os.path.join(ROOT, path), "rb") as file:
            digest.update(path.encode("utf-8") + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def compiled_from():
    """The hash of what is compiled; nothing where nothing is."""
    try:
        with open(COMPILED_STAMP) as file:
            return file.read()
    except (IOError, OSError):
        return ""


def compile_heart(env):
    """Make the compiled heart, unless it is there."""
    key = sources_key()
    if compiled_from() == key:
        return
    say("compiling the heart (once after each change of the sources, one to two minutes) ...")
    if os.path.isdir(COMPILED):
        shutil.rmtree(COMPILED)
    own = os.path.exists(os.path.join(BIN, "pip.exe" if WINDOWS else "pip"))
    code, output = call(
        installer(own)
        + ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
        + ["--target", COMPILED, "."],
        dict(env, HATCH_BUILD_HOOKS_ENABLE="1"),
    )
    if code:
        refuse_without_network(output)
        if any(sign in output for sign in COMPILER_SIGNS):
            raise SetUpError(
                "the heart could not be compiled: that takes a C compiler and Python's headers."
                " Install them: sudo apt-get install gcc python3-dev (Debian, Ubuntu), sudo dnf"
                " install gcc python3-devel (Fedora), xcode-select --install (macOS). Everything"
                " runs without, too; benchmarks by: run.py bench --interpreted. pip said:\n"
                + last_lines(output)
            )
        raise SetUpError("the heart could not be compiled. pip said:\n" + last_lines(output))
    with open(COMPILED_STAMP, "w") as file:
        file.write(key)


def use_compiled(env, job):
    """Have the compiled heart imported, where it is there and of these sources."""
    key = compiled_from()
    if not key or key != sources_key():
        if key:
            say("the sources have changed since they were compiled (run.py compile): not used")
        return
    paths = [COMPILED, env.get("PYTHONPATH", "")]
    if job in EXTRAS:
        # Tests and benchmarks are modules of this folder, whose sources would be found first.
        paths.insert(1, ROOT)
        env["PYTHONSAFEPATH"] = "1"
    env["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)


def set_up(extras, env):
    """Make the environment, or add to it what is missing."""
    key = wanted_key()
    present, there = installed()
    if present == key and extras <= there:
        return
    if present == key:
        extras = extras | there
        own = os.path.exists(os.path.join(BIN, "pip.exe" if WINDOWS else "pip"))
        say("adding what %s needs to .venv (once, about 20 s) ..." % " and ".join(sorted(extras)))
        pip = installer(own)
        os.remove(STAMP)
    else:
        say("setting up .venv (once, 20 to 60 s, about 400 MB) ...")
        pip = make_venv(env)
    install(pip, extras, env)
    with open(STAMP, "w") as file:
        file.write(" ".join([key] + sorted(extras)) + "\n")


def main(arguments):
    """Set up what the arguments need, and become what they ask for."""
    check_python()
    env, dropped = environment()
    job = arguments[0] if arguments else "run"
    set_up(EXTRAS.get(job, set()), env)
    flag = {"test": "--compiled", "bench": "--interpreted"}.get(job)
    flagged = flag in arguments
    arguments = [argument for argument in arguments if argument != flag]
    compiled = {"test": flagged, "bench": not flagged}.get(job, True)
    if job == "compile" or (job in EXTRAS and compiled):
        compile_heart(env)
    if job == "compile":
        say("the heart is compiled, in .compiled; run.py uses it until the sources change")
        return 0
    if compiled:
        use_compiled(env, job)
    if job == "test":
        # Appended: the folder of the tests, put first, would bring its own sources.
        mode = ["--import-mode=append"] if flagged else []
        command, folder = [VENV_PYTHON, "-m", "pytest"] + mode + arguments[1:], ROOT
    elif job == "bench":
        command, folder = [VENV_PYTHON, "-m", "tests.bench"] + arguments[1:], ROOT
    else:
        # The script, unlike `python -m engine`, does not look for modules in the working folder.
        command, folder = [LEVSIM] + (arguments or ["run"]), os.getcwd()
        # What levsim tells to type next is what was typed now: it is on nobody's PATH.
        env["LEVSIM_COMMAND"] = "python3 %s" % shlex.quote(sys.argv[0])
    warn_of_shadows(folder, dropped)
    if WINDOWS:
        return subprocess.call(command, cwd=folder, env=env)
    os.chdir(folder)
    os.execve(command[0], command, env)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetUpError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
