"""`cogitate verify-resume`: the proof of recipe/proof/resume.py as a table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cogitate.apps.overview import duration, table
from cogitate.config import Config
from cogitate.errors import ConfigError
from cogitate.recipe.proof.resume import Proof, prove_resume


def verify_resume(
    config: Config,
    *,
    make_backend: Callable[[Config], Any],
    kills: int,
    seed: int,
    only: str | None,
    keep: Path | None,
    say: Callable[[str], None],
) -> tuple[str, bool]:
    """Prove the recipe's resume; `say` is told of each stage as it is done.

    Args:
        keep: the directory to work in, which is left; a temporary one is removed.

    Returns:
        the table, and whether every stage was made to the same bytes.

    Raises:
        ConfigError: `keep` exists already, or a stage refuses the shrunken recipe.
    """
    if keep is not None and keep.exists():
        raise ConfigError(f"--keep {keep}: exists already; name a new directory")
    with tempfile.TemporaryDirectory(prefix="cogitate-verify-resume-") as temporary:
        folder = keep or Path(temporary)
        proofs = prove_resume(
            config,
            folder,
            make_backend=make_backend,
            kills=kills,
            seed=seed,
            only=only,
            say=say,
            on_proof=lambda proof: say(sentence(proof)),
        )
    return proof_text(proofs), all(not proof.differences for proof in proofs)


def proof_text(proofs: Sequence[Proof]) -> str:
    """A row for each stage, and what they come to."""
    rows = [["stage", "killed", "files", "", "seconds"]]
    for proof in proofs:
        result = f"DIFFERENT: {', '.join(proof.differences)}" if proof.differences else "the same bytes"
        rows.append([proof.stage, times(proof.kills), str(proof.files), result, duration(proof.seconds)])
    different = sum(bool(proof.differences) for proof in proofs)
    kills = sum(proof.kills for proof in proofs)
    end = f"{different} of {len(proofs)} stages differ" if different else f"all {len(proofs)} stages the same"
    return "\n".join([*table(rows), f"{end} after {times(kills)} killed"])


def sentence(proof: Proof) -> str:
    return f"{proof.stage}: killed {times(proof.kills)}, {'different' if proof.differences else 'the same bytes'}"


def times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
