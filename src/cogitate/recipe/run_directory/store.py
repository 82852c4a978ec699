"""Artifacts: a directory plus a manifest.json written last, and an id that says what it was made from.

The id is a hash of the stage's name and VERSION, the settings that can change it, the ids of its inputs and the SHA-256 of
every data file it reads (never a path), so equal ids mean the same work and a finished id is never made twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cogitate import recipe
from cogitate.config import Config, flatten
from cogitate.errors import ArtifactError, DataError
from cogitate.recipe.run_directory.made_with import MADE_WITH, made_with
from cogitate.recipe.stage import Stage, find
from cogitate.runtime import fsync_directory, write_json
from cogitate.types import Artifact

SHIPPED = Path(recipe.__file__).parent / "shipped"
MANIFEST = "manifest.json"
MANIFEST_KEYS = {"schema", "id", "stage", "version", "settings", "inputs", "read", "seconds", "summary", "files"}
LOG = "metrics.jsonl"
THINNED = "log"  # key of a shipped manifest: which rows of the log are shipped, and the tokens of all
ALWAYS_HASHED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that can change what a stage makes.

    Attributes:
        stage, version: which stage, and which edition of its code.
        settings: dotted key -> value.
        inputs: input stage -> id.
        read: SHA-256 of each data file, in the order the stage names them.
    """

    stage: str
    version: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    read: tuple[str, ...]

    @property
    def id(self) -> str:
        canonical = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def identify(stage: Stage, graph: Sequence[Stage], config: Config, input_ids: Mapping[str, str]) -> Identity:
    """The identity a stage's artifact must have under these settings.

    Raises:
        DataError: a data file the stage reads cannot be read.
    """
    settings: dict[str, Any] = {}
    flat = flatten(config.identity())
    for key in keys_read(stage, graph):
        assert hasattr(config, key.partition(".")[0]), f"kind {stage.kind.name} reads {key}, which the settings have not"
        settings |= {name: value for name, value in flat.items() if name == key or name.startswith(f"{key}.")}
    hashes = hashes_of_files(stage, config)
    settings = {key: replace_paths(value, hashes) for key, value in settings.items()}
    return Identity(stage.name, stage.kind.version, settings, dict(input_ids), tuple(hashes.values()))


def hashes_of_files(stage: Stage, config: Config) -> dict[str, str]:
    """SHA-256 of each data file that a stage reads, as it is now."""
    return {str(path): hash_data_file(path) for path in stage.files(config)}


def keys_read(stage: Stage, graph: Sequence[Stage]) -> list[str]:
    """The sections and keys that can change what a stage makes: its kind's, with the names of this graph's stages in them."""
    keys: list[str] = []
    for pattern in stage.kind.reads:
        place, _, key = pattern.partition(".")
        of = {"{stage}": [stage], "{inputs}": [find(graph, need) for need in stage.needs], "{all}": graph}.get(place)
        if of is None:
            keys.append(pattern)
        else:
            keys += [f"{one.name}.{key}" if key else one.name for one in of if one.kind.settings is not None]
    return keys


def seal(
    path: Path, identity: Identity, *, seconds: float, summary: Mapping[str, Any], facts: Mapping[str, Any] | None = None
) -> None:
    """Make a stage's finished output directory an artifact: everything durable first, then the manifest.

    Args:
        facts: further keys of the manifest, for a reader: no id holds them.
    """
    files = {}
    for file in content(path):
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())
        files[file.relative_to(path).as_posix()] = {"bytes": file.stat().st_size, "sha256": hash_file(file)}
    for directory in {file.parent for file in content(path)}:
        fsync_directory(directory)
    manifest = {
        "schema": 1,
        "id": identity.id,
        **asdict(identity),
        "read": list(identity.read),
        "seconds": round(seconds, 3),
        "summary": dict(summary),
        MADE_WITH: made_with(),
        **(facts or {}),
        "files": files,
    }
    write_json(path / MANIFEST, manifest)


def load_manifest(path: Path, *, remedy: str = "") -> dict[str, Any]:
    """The manifest of an artifact directory. `remedy` tells the user what to do about a damaged one.

    Raises:
        ArtifactError: there is none (half-written), or it cannot be read.
    """
    file = path / MANIFEST
    remedy = remedy or f"delete {path} to have it made again"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{path}: no {MANIFEST}: half-written, or not an artifact; {remedy}") from error
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ArtifactError(f"{file}: damaged ({error}); {remedy}") from error
    missing = MANIFEST_KEYS - manifest.keys() if isinstance(manifest, dict) else MANIFEST_KEYS
    if missing:
        raise ArtifactError(f"{file}: damaged ({', '.join(sorted(missing))} missing); {remedy}")
    return dict(manifest)


def verify(path: Path, *, every_hash: bool = False, remedy: str = "") -> dict[str, Any]:
    """Check that the files of an artifact are those its manifest lists: sizes always, hashes of files up to 64 MB or of all.

    Returns:
        the manifest.

    Raises:
        ArtifactError: a file is missing or differs; the message names it.
    """
    manifest = load_manifest(path, remedy=remedy)
    remedy = remedy or f"delete {path} to have it made again"
    for name, expected in manifest["files"].items():
        file = path / name
        try:
            size = file.stat().st_size
            if size != expected["bytes"]:
                raise ArtifactError(f"{file}: {size} bytes instead of {expected['bytes']}: damaged; {remedy}")
            if (every_hash or size <= ALWAYS_HASHED_BYTES) and hash_file(file) != expected["sha256"]:
                raise ArtifactError(f"{file}: content differs from its manifest: damaged; {remedy}")
        except FileNotFoundError as error:
            raise ArtifactError(f"{file}: missing, so the artifact is damaged; {remedy}") from error
        except OSError as error:
            raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from error
    return manifest


def load_finished(path: Path, expected: Identity) -> Artifact:
    """The artifact in a run directory, verified and of the expected identity.

    Raises:
        ArtifactError: damaged, or made from something else; the message names the first difference.
    """
    manifest = verify(path)
    if manifest["id"] != expected.id:
        difference = first_difference(manifest, expected)
        raise ArtifactError(f"{path}: made with {difference}; use another --out, or delete it to have it made again")
    return Artifact(expected.stage, expected.id, path)


def load_given(stage: str, path: Path) -> Artifact:
    """A directory or file the user hands in by `inputs.STAGE=PATH`; its id is a hash of its content.

    Raises:
        ArtifactError: it does not exist, is empty, or is an artifact that is half-written or damaged.
    """
    try:
        if (path / MANIFEST).is_file():
            verify(path, remedy="give another one")
        files = [path] if path.is_file() else content(path)
        if not files:
            raise ArtifactError(f"inputs.{stage} = {path}: {'empty' if path.is_dir() else 'no such file or directory'}")
        digest = hashlib.sha256()
        for file in files:
            if file.name != MANIFEST:  # it holds times: the same model made twice should be the same input
                digest.update(f"{file.relative_to(path).as_posix()}\0{hash_file(file)}\n".encode())
    except OSError as error:
        raise ArtifactError(f"inputs.{stage} = {path}: cannot be read: {error.strerror}") from error
    return Artifact(stage, digest.hexdigest()[:12], path)


def shipped_editions(stage: str) -> list[Path]:
    """The directories shipped with the package for a stage: shipped/STAGE and shipped/RECIPE/STAGE."""
    return [path for path in (SHIPPED / stage, *sorted(SHIPPED.glob(f"*/{stage}"))) if (path / MANIFEST).is_file()]


def find_shipped(expected: Identity) -> Path | None:
    """The directory shipped with the package for a stage, or None where nothing is shipped for it.

    Raises:
        ArtifactError: nothing that is shipped is what these settings ask for; the message names the first difference from what
            is nearest.
    """
    editions = {path: verify(path, remedy="install the package again") for path in shipped_editions(expected.stage)}
    if not editions:
        return None
    for path, manifest in editions.items():
        if manifest["id"] == expected.id:
            return path
    nearest = min(editions.values(), key=lambda manifest: len(differing_settings(manifest, expected)))
    raise ArtifactError(
        f"the shipped {expected.stage} was made with {first_difference(nearest, expected)}; "
        f"set it back, give inputs.{expected.stage}=PATH, or train it with --retrain {expected.stage}"
    )


def is_shipped_copy(path: Path) -> bool:
    """Whether an artifact of a run is what the package ships, rather than made there."""
    manifest = path / MANIFEST
    if not manifest.is_file():
        return False
    facts = facts_but_the_log(manifest)
    return facts is not None and any(facts == facts_but_the_log(edition / MANIFEST) for edition in shipped_editions(path.name))


def facts_but_the_log(manifest: Path) -> dict[str, Any] | None:
    """A manifest without what it says of the log, of which another version may ship more rows; None of a damaged one."""
    try:
        facts = dict(json.loads(manifest.read_text(encoding="utf-8")))
        files = {name: file for name, file in facts["files"].items() if name != LOG}
    except (ValueError, TypeError, KeyError, AttributeError):  # damage is for those to say who verify artifacts
        return None
    return {key: value for key, value in facts.items() if key != THINNED} | {"files": files}


def copy_artifact(source: Path, target: Path, temporary: Path) -> None:
    """Copy an artifact; `target` appears complete or not at all. Modes are not kept: an installed package may be read-only."""
    shutil.rmtree(temporary, ignore_errors=True)
    for file in [*content(source), source / MANIFEST]:
        copy = temporary / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        with copy.open("rb+") as handle:
            os.fsync(handle.fileno())
    publish(temporary, target)


def publish(path: Path, target: Path) -> None:
    """Give a sealed directory its final name."""
    path.rename(target)
    fsync_directory(target.parent)


def first_difference(manifest: Mapping[str, Any], expected: Identity) -> str:
    """Where a manifest and an identity part, as `key = theirs, asked for is key = ours`."""
    for key in differing_settings(manifest, expected):
        return f"{show(manifest['settings'], key)}, but asked for is {show(expected.settings, key)}"
    if manifest["version"] != expected.version:
        return f"version {manifest['version']} of the stage's code, which is now at version {expected.version}"
    for name, input_id in expected.inputs.items():
        if manifest["inputs"].get(name) != input_id:
            return f"another {name} ({manifest['inputs'].get(name)}, now it is {input_id})"
    return "other contents of the data files it reads"


def differing_settings(record: Mapping[str, Any], expected: Identity) -> list[str]:
    """The settings in which a manifest, or the record of an attempt, and an identity differ."""
    recorded, asked = record["settings"], expected.settings
    keys = [*asked, *(key for key in recorded if key not in asked)]
    return [key for key in keys if recorded.get(key) != asked.get(key) or (key in recorded) != (key in asked)]


def show(settings: Mapping[str, Any], key: str) -> str:
    """`key = value`, or `no key`."""
    return f"{key} = {json.dumps(settings[key], ensure_ascii=False)}" if key in settings else f"no {key}"


def content(path: Path) -> list[Path]:
    """Every file below a directory but its manifest, sorted by name."""
    return sorted(file for file in path.rglob("*") if file.is_file() and file != path / MANIFEST)


def replace_paths(value: Any, hashes: Mapping[str, str]) -> Any:
    """A setting that names data files, separated by commas, with each path replaced by what the file holds.

    A name may go on behind the path, as in "file.py:function".
    """
    if not isinstance(value, str):
        return value
    if (whole := replace_path(value.strip(), hashes)) is not None:  # a path may hold a comma
        return whole
    names = [name.strip() for name in value.split(",")]
    return ",".join(replace_path(name, hashes) or name for name in names)


def replace_path(name: str, hashes: Mapping[str, str]) -> str | None:
    """One path, or "file.py:function", by content; None where it names none of the files."""
    path, colon, behind = name.rpartition(":")
    for candidate, rest in ((name, ""), (path, colon + behind)):
        if candidate and (digest := hashes.get(str(Path(candidate)))) is not None:
            return f"file {digest[:12]}{rest}"
    return None


def hash_data_file(path: Path) -> str:
    """SHA-256 of a file a user named."""
    try:
        return hash_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def hash_file(path: Path) -> str:
    """SHA-256, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
