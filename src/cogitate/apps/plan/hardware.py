"""The table of hardware: hardware.toml, and beneath --hardware the user's own."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cogitate.config.toml import read_toml
from cogitate.costs.hardware import GIB, Cluster, Gpu
from cogitate.errors import ConfigError

SHIPPED = Path(__file__).with_name("hardware.toml")
NUMBERS = ("memory_gib", "peak_tflops", "bandwidth_gb_s", "link_gb_s", "network_gb_s", "node", "usd_per_hour")
KEYS = (*NUMBERS, "generation", "fp8")
SIZE = re.compile(r"(?<![a-z0-9])(\d+)\s*g(?:i?b)?(?![a-z0-9])")
USUAL_DIFFERENCE, ALLOCATABLE = 0.12, 0.985  # what a process can allocate is a little less than what an accelerator is sold as
MOST = 1_000_000  # accelerators of a cluster
LEAST_NUMBER, MOST_NUMBER, MOST_USD = 1e-6, 1e9, 1e6  # of a table
GENERATIONS = ("ampere", "ada", "hopper", "blackwell", "cdna", "cpu")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Accelerators by name, and the day of the prices."""

    gpus: Mapping[str, Gpu]
    dated: str

    def find(self, name: str) -> Gpu:
        """The accelerator of a name as people and drivers write it: H100, h100-sxm, NVIDIA H100 80GB HBM3, A100 80GB SXM. One
        with another memory than the table's is that of the table with this memory.

        Raises:
            ConfigError: none of the table; the nearest is named.
        """
        found = [known for known in self.gpus if is_named(known, name.lower())]
        if found:
            return with_memory(self.gpus[max(found, key=len)], SIZE.search(name.lower()))
        nearest = difflib.get_close_matches(name, list(self.gpus), n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"{name}: unknown GPU; did you mean {nearest}? Known are {', '.join(self.gpus)}; --hardware FILE adds yours"
        )


def is_named(known: str, name: str) -> bool:
    """Whether a name, in small letters, has every word of a known one, or its letters with nothing but words around them."""
    words = set(re.findall(r"[a-z0-9]+", SIZE.sub(r" \1gb ", name)))
    parts = re.findall(r"[a-z0-9]+", known.lower())
    if set(parts) <= words or re.search(rf"(?<![a-z0-9]){re.escape(known.lower())}(?!\d)", name):
        return True
    return len(plain(known)) > 4 and re.search(rf"{plain(known)}(?!\d)", plain(name)) is not None


def with_memory(gpu: Gpu, said: re.Match[str] | None) -> Gpu:
    """The accelerator with as many GB as its name says, where these are others than the table's."""
    if said is None or abs(float(said[1]) * GIB / gpu.memory - 1) < USUAL_DIFFERENCE:
        return gpu
    return replace(gpu, name=f"{gpu.name}-{said[1]}GB", memory=ALLOCATABLE * float(said[1]) * GIB)


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_hardware(own: Path | None = None) -> Hardware:
    """The shipped table, and over it the user's.

    Raises:
        ConfigError: the file cannot be read, or a row of it lacks a number or has an unknown key.
    """
    table = read_toml(SHIPPED)
    gpus, dated = rows_of(table, SHIPPED), str(table["dated"])
    if own is not None:
        added = read_toml(own)
        gpus |= rows_of(added, own)
        dated = str(added.get("dated", dated))
    return Hardware(gpus, dated)


def rows_of(table: Mapping[str, Any], path: Path) -> dict[str, Gpu]:
    rows = table.get("gpu")
    if not isinstance(rows, Mapping) or not rows:
        raise ConfigError(f"{path}: a table of hardware has sections [gpu.NAME]; there is none")
    if unknown := sorted(set(table) - {"gpu", "dated"}):
        raise ConfigError(f"{path}: unknown key {unknown[0]}; known are dated and [gpu.NAME]")
    return {name: gpu_of(name, row, path) for name, row in rows.items()}


def gpu_of(name: str, row: Any, path: Path) -> Gpu:
    place = f"{path}: [gpu.{name}]"
    if not isinstance(row, Mapping):
        raise ConfigError(f"{place}: is no section with {', '.join(KEYS)}")
    for key in row:
        if key not in KEYS:
            raise ConfigError(
                f"{place}: unknown key {key}; did you mean {difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]}?"
            )
    for key in NUMBERS:
        value = row.get(key)
        least, most = (0.0, MOST_USD) if key == "usd_per_hour" else (LEAST_NUMBER, MOST_NUMBER)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(f"{place}: {key} = {value!r}: give a number above 0{', up to 1e9' if value else ''}")
    if row["node"] != int(row["node"]):
        raise ConfigError(f"{place}: node = {row['node']!r}: give a whole number")
    if not isinstance(row.get("fp8", False), bool):
        raise ConfigError(f"{place}: fp8 = {row['fp8']!r}: give true or false")
    if not plain(name):
        raise ConfigError(f"{place}: a name has letters or digits")
    if row.get("generation") not in GENERATIONS:
        raise ConfigError(f"{place}: generation = {row.get('generation')!r}: one of {', '.join(GENERATIONS)}")
    return Gpu(
        name,
        memory=row["memory_gib"] * GIB,
        peak=row["peak_tflops"] * 1e12,
        bandwidth=row["bandwidth_gb_s"] * 1e9,
        link=row["link_gb_s"] * 1e9,
        network=row["network_gb_s"] * 1e9,
        node=int(row["node"]),
        generation=row["generation"],
        price=float(row["usd_per_hour"]),
        has_fp8=bool(row.get("fp8", False)),
    )


def parse_cluster(text: str, hardware: Hardware, price: float | None = None) -> Cluster:
    """64xH100 as a cluster; H100 alone is one of them.

    Raises:
        ConfigError: no such form, or an unknown GPU.
    """
    match = re.fullmatch(r"\s*(?:(\d+)\s*[xX*]\s*)?(\S.*)", text)
    if match is None or (match[1] is not None and int(match[1]) < 1):
        raise ConfigError(f"--gpus {text}: write NUMBERxNAME, e.g. 64xH100")
    if re.search("[,;+]", match[2]):
        raise ConfigError(f"--gpus {text}: a plan is for GPUs of one kind; write NUMBERxNAME, e.g. 64xH100")
    turned = re.fullmatch(r"(.*\S)\s*[xX*]\s*(\d+)\s*", match[2])
    if turned is not None and any(is_named(known, turned[1].lower()) for known in hardware.gpus):
        raise ConfigError(f"--gpus {text}: write NUMBERxNAME, {turned[2]}x{turned[1]}")
    count = int(match[1] or 1)
    if count > MOST:
        raise ConfigError(f"--gpus {text}: more than {MOST:,}; write NUMBERxNAME, e.g. 64xH100")
    check_price(price)
    gpu = hardware.find(match[2])
    return Cluster(gpu if price is None else replace(gpu, price=price), count)


def check_price(price: float | None) -> None:
    """Refuse what is no price. Raises ConfigError."""
    if price is not None and not 0 <= price < math.inf:
        raise ConfigError(f"--price {price}: give dollars an hour, 0 or more")
