"""Restoration of a backup into an empty data folder."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from argosy.cli.client.locate import FleetAddress
from argosy.cli.snapshot import manifest as manifests
from argosy.cli.snapshot.backup import Tell, put_in_place, require_room, sync_below
from argosy.cli.snapshot.manifest import Manifest
from argosy.contracts.errors import Conflict, Internal, StorageFull
from argosy.serving.sparse_copy import allocated_bytes, copy_file

RUN = "run"
"""Folder by which `argosy up` recognises the data folder of a fleet."""


def restore(backup: Path, data_dir: Path, tell: Tell) -> Manifest:
    """Copy a backup to `data_dir`, which must be new or empty; each file is compared with its hash.

    The folder appears when it is complete.
    Raises: InvalidRequest when `backup` is not a backup; Conflict when a fleet uses `data_dir` or it is not empty;
    Internal when a file of the backup is damaged; StorageFull when there is too little room.
    """
    backup, data_dir = backup.absolute(), data_dir.absolute()
    manifest = manifests.read(backup)
    address = FleetAddress("", "", data_dir)
    if address.controller_alive() or address.live_replicas():
        raise Conflict(f"A fleet is running on {data_dir}. Stop it with `argosy down`, or restore to another folder.")
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise Conflict(f"{data_dir} is not empty. Move it away, or restore to a new folder with --data-dir.")
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    for leftover in data_dir.parent.glob(f".{data_dir.name}.restoring-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    require_room(data_dir.parent, allocated_bytes(backup))
    partial = data_dir.parent / f".{data_dir.name}.restoring-{uuid.uuid4().hex}"
    try:
        partial.mkdir(mode=0o700)
        tell("copying and comparing hashes")
        for file in manifest.files:
            there = partial / file.path
            there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (backup / file.path).is_file():
                raise Internal(f"{file.path} is missing in the backup, so nothing was restored. Use another backup.")
            copy_file(backup / file.path, there)
            if there.stat().st_size != file.size_bytes or manifests.hashed(there) != file.blake3:
                raise Internal(f"{file.path} is damaged in the backup, so nothing was restored. Use another backup.")
        (partial / RUN).mkdir(mode=0o700)
        sync_below(partial)
        put_in_place(partial, data_dir)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageFull(f"The backup could not be restored: {error.strerror}. Check the disk.") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest
