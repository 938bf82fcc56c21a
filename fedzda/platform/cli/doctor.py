"""``fedzda doctor``: what this machine offers, in plain words."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from fedzda.platform.cli.text import human_bytes, table

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
_UNSET = "not set; only needed where a path names it"
_CGROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def doctor() -> None:
    """Say what this machine offers."""
    typer.echo(table([*_software(), *_machine(), *_torch(), *_browser(), _workers()]))


def _software() -> list[tuple[str, str]]:
    rows = [("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    for label, package in [
        ("fedzda", "fedzda"),
        ("Flower", "flwr"),
        ("Ray", "ray"),
        ("Flower data sets", "flwr-datasets"),
    ]:
        try:
            rows.append((label, version(package)))
        except PackageNotFoundError:
            rows.append((label, f"missing: install it with 'pip install {package}'"))
    return rows


def _machine() -> list[tuple[str, str]]:
    from fedzda.platform.data.store import cache_root
    from fedzda.platform.engines.base import cores

    cache = cache_root()
    rows = [
        ("cores", f"{cores()} usable of {os.cpu_count()}"),
        ("memory", _memory()),
        ("disk, here", f"{human_bytes(shutil.disk_usage('.').free)} free"),
        ("cache folder", f"{cache} ({_cache_state(cache)})"),
    ]
    data = os.environ.get("FEDZDA_DATA")
    gone = (
        ""
        if not data or Path(os.path.expandvars(data)).expanduser().is_dir()
        else " (there is NO such folder)"
    )
    rows.append(("FEDZDA_DATA", f"{data}{gone}" if data else _UNSET))
    return rows


def _torch() -> list[tuple[str, str]]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        gpu = f"{len(names)}: {', '.join(names)}"
    else:
        gpu = "none that torch can use; simulations run on the cores"
    return [
        ("torch", torch.__version__),
        ("threads", f"1 per worker process (torch alone would take {torch.get_num_threads()})"),
        ("GPU", gpu),
    ]


def _browser() -> list[tuple[str, str]]:
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    return [("Chromium", found or "not found; only the browser tests need it")]


def _workers() -> tuple[str, str]:
    import torch

    from fedzda.platform.engines.base import cores

    count, gpus = cores(), torch.cuda.device_count()
    plural = "es" if count > 1 else ""
    if gpus:
        plural = "s" if gpus > 1 else ""
        most = f"as many workers as fit into {gpus} GPU{plural} (measured then), up to {count}"
        return ("engine: ray", f"'workers: auto' starts {most}")
    return ("engine: ray", f"'workers: auto' starts {count} worker process{plural} here")


def _memory() -> str:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = page * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "not known on this system"
    limits = [int(text) for path in _CGROUP_LIMITS if (text := _read(path)).isdecimal()]
    limit = min([limit for limit in limits if limit < total], default=None)
    text = f"{human_bytes(total)} in all"
    return text if limit is None else f"{human_bytes(limit)} allowed here, {text}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _cache_state(folder: Path) -> str:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return "NOT writable: set FEDZDA_CACHE to another folder"
    if there != folder:
        return "will be made when needed"
    files = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{human_bytes(files)} of prepared data; may be deleted at any time"
