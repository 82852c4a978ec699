"""Gpu: what a kind of processor offers. The table itself is data (apps/plan/hardware.toml) and is handed in."""

from __future__ import annotations

from dataclasses import dataclass

GIB = float(1 << 30)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of accelerator, or a computer's processor.

    Attributes:
        memory: bytes that a process can allocate at most.
        peak: dense bfloat16 operations a second.
        bandwidth: bytes a second of its memory.
        link: bytes a second, one way, to the others of its node; network: to other nodes.
        node: how many stand in one node.
        generation: of the architecture, which decides what kernels there are: ampere, ada, hopper, blackwell, cpu.
        price: US dollars an hour, of one; 0: not known.
        has_fp8: whether matrix products in 8 bits are faster than in 16.
    """

    name: str
    memory: float
    peak: float
    bandwidth: float
    link: float
    network: float
    node: int
    generation: str
    price: float
    has_fp8: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """Equal accelerators."""

    gpu: Gpu
    count: int

    @property
    def link(self) -> float:
        """Bytes a second between any two of them when all talk: within a node its links, beyond it the network."""
        return self.gpu.link if self.count <= self.gpu.node else self.gpu.network
