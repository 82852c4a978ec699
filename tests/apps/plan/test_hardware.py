"""The table of hardware, and the user's own over it."""

from pathlib import Path

import pytest

from cogitate.apps.plan.hardware import parse_cluster, read_hardware
from cogitate.errors import ConfigError

OWN = """
dated = "2030-01-01"
[gpu.H100]
memory_gib = 94
peak_tflops = 989
bandwidth_gb_s = 3900
link_gb_s = 450
network_gb_s = 50
node = 8
generation = "hopper"
usd_per_hour = 9
"""


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"), ("h100", "H100"), ("NVIDIA RTX A6000", "A6000"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA A100-SXM4-80GB", "A100"), ("A100-40GB", "A100-40GB"), ("GB200", "GB200"),
        ("H100-80GB", "H100"), ("A100 80GB SXM", "A100"), ("A100-SXM4-40GB", "A100-40GB"), ("a100 40 GB", "A100-40GB"),
        ("H100 SXM5 80 GiB", "H100"), ("NVIDIA H100 80GB PCIe", "H100-PCIe"), ("NVIDIA H100 NVL", "H100-NVL"),
        ("H200-141GB", "H200"), ("NVIDIA B200 192GB", "B200"), ("AMD Instinct MI300X 192GB", "MI300X"), ("NVIDIA A40", "A40"),
        ("L40S-48GB", "L40S"), ("H20 141GB", "H20-141GB"), ("NVIDIA H20", "H20"), ("H800 80G", "H800"), ("NVIDIA L4", "L4"),
        ("H100SXM", "H100"), ("GH200 144G HBM3e", "GH200-144GB"),
    ],
)  # fmt: skip
def test_a_gpu_is_found_as_people_and_drivers_write_it(written: str, name: str) -> None:
    assert read_hardware().find(written).name == name


def test_an_accelerator_with_another_memory_than_the_tables_has_that_memory() -> None:
    usual, large = (read_hardware().find(name) for name in ("H20", "H20 141GB"))
    assert large.memory == pytest.approx(0.985 * 141 * 2**30)
    assert (large.peak, large.bandwidth) == (usual.peak, usual.bandwidth)


def test_a_cluster_is_a_number_and_a_name() -> None:
    cluster = parse_cluster("64xH100", read_hardware(), price=2.5)
    assert (cluster.count, cluster.gpu.name, cluster.gpu.price) == (64, "H100", 2.5)
    assert parse_cluster("H100", read_hardware()).count == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64xH1000", "H1000: unknown GPU; did you mean H100?"),
        ("0xH100", "--gpus 0xH100: write NUMBERxNAME, e.g. 64xH100"),
        ("", "--gpus : write NUMBERxNAME"),
        ("H100x8", "--gpus H100x8: write NUMBERxNAME, 8xH100"),
        ("8xH100x2", "--gpus 8xH100x2: write NUMBERxNAME, 2xH100"),
        ("8xH100,8xA100", "a plan is for GPUs of one kind"),
    ],
)
def test_an_unknown_gpu_or_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_cluster(text, read_hardware())
    assert message in str(error.value)


def test_the_users_table_goes_before_the_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN, encoding="utf-8")
    hardware = read_hardware(path)
    assert (hardware.gpus["H100"].price, hardware.dated) == (9.0, "2030-01-01")
    assert "H200" in hardware.gpus


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("memory_gib = 94", "memory_gib = 0", "memory_gib = 0: give a number above 0"),
        ("node = 8", "nodes = 8", "unknown key nodes; did you mean node?"),
        ('"hopper"', '"hoper"', "generation = 'hoper': one of ampere"),
        ('dated = "2030-01-01"', "prices = 3", "unknown key prices"),
        ("memory_gib = 94", "memory_gib = inf", "memory_gib = inf: give a number above 0"),
        ("peak_tflops = 989", "peak_tflops = nan", "peak_tflops = nan: give a number above 0"),
        ("peak_tflops = 989", "peak_tflops = 1e-300", "peak_tflops = 1e-300: give a number above 0, up to 1e9"),
        ("node = 8", "node = 0.5", "node = 0.5: give a whole number"),
        ("node = 8", 'node = 8\nfp8 = "yes"', "fp8 = 'yes': give true or false"),
        ("[gpu.H100]", '[gpu."-"]', "a name has letters or digits"),
        ("[gpu.H100]", "[h100]", "has sections \\[gpu.NAME\\]; there is none"),
    ],
)
def test_a_fault_of_the_users_table_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_hardware(path)
