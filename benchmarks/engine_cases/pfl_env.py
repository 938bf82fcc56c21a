"""An environment of its own for pfl-research, made once and kept in fedzda's cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from fedzda.platform.data.store import cache_root

VERSION = "0.6.0"
_SHARED = ("torch", "numpy")
"""Packages held at fedzda's tested versions, so that both sides compute with the same kernels;
all pins at once conflict with what pfl-research asks for."""
_CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
_TIMEOUT_SEC = 1800


def pfl_python() -> tuple[Path | None, str]:
    """The interpreter of the environment, or None and why it could not be made."""
    home = cache_root() / "bench" / f"pfl-{VERSION}"
    python = home / "bin" / "python"
    done = home / "installed"
    if done.exists():
        return python, ""
    print(f"installing pfl {VERSION} into {home} …", flush=True)
    wanted = [f"pfl[pytorch]=={VERSION}", *_SHARED]
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        lines = _CONSTRAINTS.read_text().splitlines()
        pins.write_text("\n".join(x for x in lines if x.partition("==")[0] in _SHARED) + "\n")
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(home)],
            [str(python), "-m", "pip", "install", "--quiet", "-c", str(pins), *wanted],
            [str(python), "-c", "import pfl.model.pytorch"],
        ):
            problem = _run(command)
            if problem:
                return None, problem
    done.touch()
    return python, ""


def _run(command: list[str]) -> str:
    """The last line of complaint of a failed command, or nothing."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_SEC)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or "no message").strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines)[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""
