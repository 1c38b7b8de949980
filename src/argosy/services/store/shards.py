"""Open shards of the store, one for each collection that has chunks, and their folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from argosy.contracts.errors import ArgosyError, CollectionNotFound, Unavailable
from argosy.services.store.decisions import Collection
from argosy.services.store.publication import Publication
from argosy.services.store.shard import Shard, vocabulary_file
from argosy.serving.engine_call import EngineCalls
from argosy.serving.hold import Hold


class Shards:
    """Shards in a folder. `published.db` says which of its subfolders belongs to which collection."""

    def __init__(self, folder: Path, publication: Publication, calls: EngineCalls, removals: Hold) -> None:
        """Open the shards of all collections. A shard that cannot be opened is listed in `broken`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._publication = publication
        self._calls = calls
        self._removals = removals
        self.open: dict[str, Shard] = {}
        self.broken: dict[str, str] = {}
        """Reasons why shards could not be opened, by collection. Calls to these collections raise Unavailable."""
        self.unfinished: Callable[[], Iterable[str]] = tuple
        """Names of subfolders that belong to no collection yet, because a rewriting fills them."""
        self.remove_orphans()
        self._remove_lost_vocabularies()
        for collection in publication.collections.values():
            if collection.dimensions is not None:
                try:
                    self.open[collection.name] = Shard.open(self.path(collection), collection.dimensions, calls)
                except ArgosyError as error:
                    self.broken[collection.name] = error.message

    def path(self, collection: Collection) -> Path:
        return self._folder / collection.folder

    def orphans(self) -> list[Path]:
        """Return the folders of dropped collections, of shards that were replaced, and of unfinished rebuilds."""
        kept = {c.folder for c in self._publication.collections.values() if c.dimensions is not None}
        kept.update(self.unfinished())
        return [path for path in self._folder.iterdir() if path.name not in kept]

    def remove_orphans(self) -> None:
        """Remove the folders that `orphans` returns, unless a backup may be reading them."""
        with self._removals.attempted() as allowed:
            for path in self.orphans() if allowed else ():
                shutil.rmtree(path, ignore_errors=True)

    def _remove_lost_vocabularies(self) -> None:
        """Remove the vocabularies of shards that were dropped or replaced when the process was killed."""
        kept = {vocabulary_file(self.path(collection)) for collection in self._publication.collections.values()}
        for path in vocabulary_file(self._folder / "any").parent.glob("*"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def known(self, name: str) -> Collection:
        """Return the collection. Raises: CollectionNotFound when there is none."""
        collection = self._publication.collections.get(name)
        if collection is None:
            raise not_found(name)
        return collection

    def get(self, collection: Collection) -> Shard | None:
        """Return the collection's shard; None before its first upsert.

        Raises: Unavailable when the shard could not be opened.
        """
        if collection.name in self.broken:
            raise Unavailable(
                f"The index of collection {collection.name!r} cannot be opened. Restore it from a backup, or delete "
                "the collection and add its documents again."
            )
        return self.open.get(collection.name)

    def create(self, collection: Collection, model: str, dimensions: int) -> Shard:
        """Create the first shard of a collection, whose model is set with it."""
        shard = Shard.create(self.path(collection), dimensions, self._calls)
        try:
            self._publication.pin(collection.name, model, dimensions)
        except ArgosyError:
            shard.close()
            raise
        self.open[collection.name] = shard
        return shard

    def points(self, name: str) -> int:
        """Return the number of points of the collection, also of versions that are not visible."""
        shard = self.open.get(name)
        return 0 if shard is None else shard.points()

    def languages(self, name: str) -> list[str]:
        """Return the languages of the collection's chunks, most frequent first."""
        shard = self.open.get(name)
        return [] if shard is None else shard.lexicon.vocabulary.known_languages()

    def replace(self, name: str, new: Shard, folder: str) -> None:
        """Let a copy of a collection's shard in a subfolder take its place, with its vocabulary."""
        new.lexicon = self.open[name].lexicon
        new.lexicon.move(vocabulary_file(self._folder / folder))
        self.open[name] = new

    def drop(self, name: str) -> None:
        """Close the shard of a dropped collection and remove its folder."""
        self.broken.pop(name, None)
        if (shard := self.open.pop(name, None)) is not None:
            shard.close()
            shard.lexicon.remove()
        self.remove_orphans()

    def unflushed(self, at_least: int) -> list[Shard]:
        """Return the shards with at least `at_least` points since their last flush."""
        return [shard for shard in self.open.values() if shard.unflushed >= at_least]

    def flush(self) -> None:
        """Write the tables of every shard."""
        for shard in self.open.values():
            shard.flush()

    def close(self) -> None:
        """Flush and close all shards."""
        for shard in self.open.values():
            shard.flush()
            shard.close()
        self.open.clear()


def not_found(name: str) -> CollectionNotFound:
    return CollectionNotFound(
        f"There is no collection {name!r}. Create it with `argosy collections create {name}`, or add a document to it.",
        param="collection",
    )
