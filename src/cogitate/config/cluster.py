"""Settings of a cluster of Ray, which `runtime.backend = "ray"` works on. None of them can change a result."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import field_validator, model_validator

from cogitate.config.section import Section, not_in_identity


class ClusterConfig(Section):
    """Where generators and trainers run and how many there are."""

    address: str = not_in_identity("")  # HOST:PORT of a Ray that runs already; empty: one on this machine, for this run alone
    token_file: str = not_in_identity("")  # with the token of that Ray; empty: where Ray itself looks for it
    trusted_network: bool = not_in_identity(False)  # go on where the address is a public one
    engine: Literal["own", "vllm"] = not_in_identity("own")
    vllm_python: str = not_in_identity("")  # the Python of an environment with vLLM, on every node
    kv_cache: int = not_in_identity(1, ge=1)  # GiB of each vLLM for keys and values
    generators: int = not_in_identity(1, ge=1)
    generator_cpus: int = not_in_identity(1, ge=1)  # of each generator, which computes with as many threads
    graders: int = not_in_identity(0, ge=0)  # grading processes on each further node; 0: the driver's machine alone grades
    # Processes that share the training of each model; 0: the driver trains. Sums are rounded in another order for each number.
    trainers: int = not_in_identity(0, ge=0)
    trainer_cpus: int = not_in_identity(1, ge=1)  # of each trainer, which computes with as many threads
    object_store: int = not_in_identity(512, ge=80)  # MiB of shared memory of our own Ray: weights cross in it
    start_limit: float = not_in_identity(300.0, gt=0)  # seconds until Ray, and each generator, has started
    answer_limit: float = not_in_identity(600.0, gt=0)  # seconds without an answer after which a generator is replaced
    update_limit: float = not_in_identity(3600.0, gt=0)  # seconds without an answer after which trainers start again
    # Losses of generators without a completion in between, or of trainers without an update; one more ends the run.
    deaths_limit: int = not_in_identity(5, ge=1)

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, address: str) -> str:
        if address and not re.fullmatch(r"[^\s:/]+:\d{1,5}", address):
            raise ValueError("must be HOST:PORT of a running Ray, e.g. 10.0.0.1:6379")
        return address

    @model_validator(mode="after")
    def _each_says_something(self) -> ClusterConfig:
        if self.token_file and not self.address:
            raise ValueError("token_file is for a Ray at an address: one of our own makes a token itself")
        if self.trusted_network and not self.address:
            raise ValueError("trusted_network is for a Ray at an address: one of our own listens on loopback alone")
        if self.engine == "vllm" and not self.vllm_python:
            raise ValueError("engine vllm needs vllm_python, the Python of an environment that has vLLM")
        if self.engine == "own" and (self.vllm_python or self.kv_cache != type(self).model_fields["kv_cache"].default):
            raise ValueError("vllm_python and kv_cache are of engine vllm: set that, or leave them out")
        if self.graders and not self.address:
            raise ValueError("graders are of further nodes: our own Ray has this machine alone; set address, or leave it out")
        if self.address and self.object_store != type(self).model_fields["object_store"].default:
            raise ValueError("object_store is of our own Ray: that at an address has the one it was started with")
        for key in ("trainer_cpus", "update_limit"):
            if not self.trainers and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} changes nothing without trainers: set trainers")
        return self
