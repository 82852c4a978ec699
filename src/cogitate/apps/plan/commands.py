"""What `cogitate plan` does, one function for each of its uses; each returns the text to print."""

from __future__ import annotations

import json
from pathlib import Path

from cogitate.apps.plan.fit import SHIPPED, fit_on, read_factors, write_factors
from cogitate.apps.plan.hardware import Hardware, read_hardware
from cogitate.apps.plan.rows import read_rows
from cogitate.apps.plan.validate import check_rows, errors_page, validation, validation_text
from cogitate.costs.factors import PRIORS
from cogitate.errors import ConfigError
from cogitate.runtime import atomic_write


def table_of_hardware(own: Path | None) -> Hardware:
    """The shipped table with the user's over it."""
    return read_hardware(own)


def validate(path: Path, hardware: Hardware, factors: Path | None, *, page: Path | None, as_json: bool) -> str:
    """Errors over published rows."""
    rows, left = read_rows(path, hardware)
    checked = check_rows(rows, read_factors(factors or SHIPPED))
    content = validation(checked, left)
    if page is not None:
        write_page(page, errors_page(checked, left), ".md")
    return json.dumps(content, indent=1, ensure_ascii=False) if as_json else validation_text(content)


def fit(path: Path, hardware: Hardware, out: Path | None) -> str:
    """Fit factors and write them."""
    if out is None or out.suffix != ".json":
        raise ConfigError("--fit writes factors: name the file by --out FILE.json")
    rows, left = read_rows(path, hardware)
    factors = fit_on(rows)
    write_factors(factors, out, f"{path.name}, {len(factors.fitted_on)} rows")
    lines = [f"{name:<18} {PRIORS[name].guess:>8.4g} -> {factors[name]:>8.4g}   {PRIORS[name].meaning}" for name in PRIORS]
    lines += [f"deviation of {group}: {100 * value:.0f} %" for group, value in factors.residuals.items()]
    lines += [f"left out: line {each.line} ({each.id}): {each.why}" for each in left]
    return "\n".join([*lines, f"factors: {out}"])


def write_page(path: Path, text: str, suffix: str) -> None:
    """A page, whole or not at all.

    Raises:
        ConfigError: another kind of file, or no such directory.
    """
    if path.suffix != suffix:
        raise ConfigError(f"--page {path}: this page is a {suffix} file")
    if not path.parent.is_dir():
        raise ConfigError(f"--page {path}: there is no directory {path.parent}")
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
