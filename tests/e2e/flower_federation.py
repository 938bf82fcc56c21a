"""A SuperLink and SuperNodes on loopback, in processes of their own, as people start them."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
CONNECTION = "loopback"


@dataclass(frozen=True)
class Federation:
    """A running federation.

    Attributes:
        folder: Holds Flower's home and the logs.
        env: Environment of everything that belongs to it.
        address: Of the SuperLink.
    """

    folder: Path
    env: dict[str, str]
    address: str

    def flwr(self, *arguments: str, timeout: float = 330) -> str:
        """What a call of Flower's command line printed; with all logs where it fails or hangs."""
        try:
            done = subprocess.run(
                [BIN / "flwr", *arguments], env=self.env, cwd=self.folder, check=False,
                capture_output=True, text=True, timeout=timeout,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{error}\n{error.stdout!r}\n{self.logs()}") from None
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        """What its processes printed."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()}" for file in files)


@contextmanager
def federation(folder: Path, partitions: list[str], secure: bool = False) -> Iterator[Federation]:
    """A SuperLink, and a SuperNode for each of ``partitions`` with that node configuration.

    With ``secure`` as docs/guides/deployment.md says it: TLS, and SuperNodes that are known by key.
    """
    port, *others = free_ports(1 + len(partitions))
    made = Federation(folder, environment(folder), f"127.0.0.1:{port}")
    trust = f'root-certificates = "{folder / "ca.crt"}"' if secure else "insecure = true"
    (folder / "flwr").mkdir()
    (folder / "flwr" / "config.toml").write_text(
        f'[superlink.{CONNECTION}]\naddress = "{made.address}"\n{trust}\n'
    )
    link = ["flower-superlink", "--port", str(port), "--disable-runtime-dependency-installation"]
    link += LOCKED if secure else ["--insecure"]
    if secure:
        certify(folder)
    with ExitStack() as stack:
        stack.enter_context(process(made, "superlink", link))
        listens(port, made)
        for number, (own, config) in enumerate(zip(others, partitions, strict=True)):
            node = ["flower-supernode", "--superlink", made.address, "--port", str(own)]
            node += ["--node-config", config]
            if secure:
                key = folder / f"site-{number}"
                made.flwr("supernode", "register", f"{key}.pub", CONNECTION)
                node += ["--root-certificates", str(folder / "ca.crt")]
                node += ["--auth-supernode-private-key", str(key)]
            else:
                node += ["--insecure"]
            stack.enter_context(process(made, f"supernode-{number}", node))
        yield made


LOCKED = [
    *("--ssl-ca-certfile", "ca.crt", "--ssl-certfile", "server.pem", "--ssl-keyfile", "server.key"),
    "--enable-supernode-auth",
]


def environment(folder: Path) -> dict[str, str]:
    """Of processes that ask nobody, keep to themselves, and find Flower's other programs."""
    return {
        **os.environ,
        "FLWR_HOME": str(folder / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
    }


def certify(folder: Path, sites: int = 2) -> None:
    """The certificates and keys of the guide, for 127.0.0.1."""
    (folder / "san.txt").write_text("subjectAltName=IP:127.0.0.1")
    for line in (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=CA -keyout ca.key -out ca.crt",
        "openssl req -newkey rsa:2048 -nodes -subj /CN=link -keyout server.key -out server.csr",
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile san.txt -out server.pem",
        *(f"ssh-keygen -q -t ecdsa -b 384 -N '' -f site-{number}" for number in range(sites)),
    ):
        subprocess.run(shlex.split(line), cwd=folder, check=True, capture_output=True)


@contextmanager
def process(made: Federation, name: str, command: list[str]) -> Iterator[None]:
    """A process that is ended with all that it has started."""
    with (made.folder / f"{name}.log").open("w") as log:
        started = subprocess.Popen(
            [BIN / command[0], *command[1:]], env=made.env, cwd=made.folder, stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            end(started)


def end(started: subprocess.Popen[bytes]) -> None:
    """End a process and its descendants, some of which have sessions of their own."""
    family = [psutil.Process(started.pid)] if started.poll() is None else []
    family += [child for own in family for child in own.children(recursive=True)]
    for process_ in family:
        with suppress(psutil.NoSuchProcess):
            process_.terminate()
    _, alive = psutil.wait_procs(family, timeout=5)
    for process_ in alive:
        with suppress(psutil.NoSuchProcess):
            process_.kill()
    started.wait(10)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


def listens(port: int, made: Federation, seconds: float = 60) -> None:
    """Wait until somebody listens on a port of loopback."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, made.logs()
            time.sleep(0.1)
