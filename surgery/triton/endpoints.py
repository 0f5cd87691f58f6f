"""The addresses at which tritonserver listens, and the choice of free ports."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from surgery.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The addresses at which the server listens.

    Attributes:
        address: The IPv4 address.
        http: Port of the HTTP service that clients see (surgery.triton.guard).
        inner: Port of tritonserver's own HTTP service, on the loopback interface.
        grpc: Port of the gRPC service.
        metrics: Port of the metrics, over HTTP.
    """

    address: str
    http: int
    inner: int
    grpc: int
    metrics: int

    @property
    def host(self) -> str:
        """The address that clients on this machine use."""
        return "127.0.0.1" if self.address == "0.0.0.0" else self.address

    @property
    def url(self) -> str:
        """The URL of the HTTP service."""
        return f"http://{self.host}:{self.http}"

    @property
    def metrics_url(self) -> str:
        """The URL of the metrics."""
        return f"http://{self.host}:{self.metrics}/metrics"


def take_ports(address: str, **wanted: int) -> Endpoints:
    """Free ports by protocol: the wanted ones, and for 0 one that the system picks.

    Raises UsageError for a port that is in use, and for an address that is no IPv4 address.
    """
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise UsageError(
            f"--address {address}: expected a numeric IPv4 address, which Triton's HTTP and gRPC both take",
            hint="127.0.0.1 is this machine only, 0.0.0.0 every network it is in",
        ) from error
    held: list[socket.socket] = []
    ports = {}
    try:
        for protocol, port in {**wanted, "inner": 0}.items():
            try:
                holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                held.append(holder)
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind(("127.0.0.1" if protocol == "inner" else address, port))
                holder.listen()  # with `bind` alone, two sockets could have the same port
            except OSError as error:
                raise UsageError(
                    f"--{protocol}-port {port}: cannot listen on {address}: {error.strerror}",
                    hint="stop what listens there, or choose another one; 0 takes a free one",
                ) from error
            ports[protocol] = holder.getsockname()[1]
    finally:
        for holder in held:
            holder.close()
    return Endpoints(address=address, **ports)
