"""A Dask cluster as a `concurrent.futures.Executor`: `--dask tcp://127.0.0.1:8786` of the commands that spread work.

It imports no room, so that every room may use it. The cluster needs nothing but this package on its workers and a file
system that all of them see: work is told by paths. What a worker that died had in hand runs again elsewhere.

Plain tcp has no authentication: whoever reaches the port runs code as you. So plain tcp is taken on loopback only;
between machines it must be tls, with the certificates in Dask's own configuration.
"""

import ipaddress
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from urllib.parse import urlsplit

PATIENCE = "15s"


class ClusterError(Exception):
    """No cluster of that address may or can be used; the message says why, and the way on."""

    sentence = True


def check_address(address: str) -> str:
    """The address if it is safe to use. Raises ClusterError for plain tcp beyond loopback, or what is no address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.scheme not in ("tcp", "tls"):
        raise ClusterError(f"--dask {address}: not an address; wanted one as tls://HOST:8786 or tcp://127.0.0.1:8786.")
    if parts.scheme == "tcp" and not _loopback(host):
        raise ClusterError(
            f"--dask {address}: plain tcp has no authentication, and {host} is not this machine. Start the scheduler "
            f"with certificates and say tls://{host}:{port}, or forward the port and say tcp://127.0.0.1:{port} "
            f"(ssh -L {port}:localhost:{port} {host})."
        )
    return address


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def dask_executor(address: str | None, workers: int = 1) -> Iterator[tuple[Executor | None, int]]:
    """(executor, workers' threads) of a running cluster; without an address (None, `workers`): the work is done here.

    Raises ClusterError when there is no cluster, or none that works.
    """
    if address is None:
        yield None, workers
        return
    check_address(address)
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"--dask {address}: no scheduler answers ({type(error).__name__}). Try: dask scheduler --host 127.0.0.1"
        ) from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise ClusterError(f"--dask {address}: the scheduler has no workers. Start one: dask worker {address}")
        yield client.get_executor(pure=False, retries=3), threads
