"""Typed view of ``container_images.json``, which is read on first use."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Literal

__all__ = ["ImageFamily", "ImageRow", "ImageTable", "Partition", "image_table", "minor", "release"]

ImageFamily = Literal["training", "inference", "graviton", "eia"]


@dataclass(frozen=True)
class Partition:
    """A partition of AWS: its name in ARNs, such as ``aws-cn``, and the suffix of its host names."""

    name: str
    dns_suffix: str


@dataclass(frozen=True)
class ImageRow:
    """The images of one PyTorch version in one family.

    Attributes
    ----------
    registry : str
        Name of the set of regions that have the images.
    accounts : mapping of str to str
        Account of the registry by region.
    tags : mapping of str to str
        Template of the tag by processor (``cpu``, ``gpu`` or ``graviton``), with the fields
        ``{version}``, as it was asked for, and ``{py_version}``.
    p4d_suffixes : mapping of str to str
        What p4d instances add to the tag, by the version as it was asked for.
    end_of_patch : date or None
        Last day of security patches; None if no day was announced.
    """

    family: ImageFamily
    version: str
    repository: str
    registry: str
    accounts: Mapping[str, str]
    py_versions: tuple[str, ...]
    tags: Mapping[str, str]
    end_of_patch: date | None
    p4d_suffixes: Mapping[str, str] = field(default_factory=dict)


class ImageTable:
    """What is known about PyTorch images.

    Parameters
    ----------
    data : dict
        The contents of ``container_images.json``.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._end_of_patch = data["end_of_patch"]
        self._registries = _registries(data)
        self._rows: dict[tuple[ImageFamily, str], ImageRow] = {}
        for part in (data["sdk"], data["newer"]):
            for family, rows in part["images"].items():
                for row in rows:
                    for version in row["versions"]:
                        self._rows[family, version] = self._row(family, version, row)
        self._versions = sorted({version for _, version in self._rows}, key=release)
        self._partitions = {
            region: Partition(name, partition["dns_suffix"])
            for name, partition in data["sdk"]["partitions"].items()
            for region in partition["regions"]
        }
        self._default_partition = Partition("aws", data["sdk"]["partitions"]["aws"]["dns_suffix"])

    def _row(self, family: ImageFamily, version: str, row: dict[str, Any]) -> ImageRow:
        return ImageRow(
            family=family,
            version=version,
            repository=row["repository"],
            registry=row["registry"],
            accounts=self._registries[row["registry"]],
            py_versions=tuple(row["py_versions"]),
            tags=row["tags"],
            end_of_patch=self.end_of_patch(version, row["repository"]),
            p4d_suffixes=row.get("p4d_suffixes", {}),
        )

    @property
    def rows(self) -> Collection[ImageRow]:
        """Every row."""
        return self._rows.values()

    @property
    def newest_registry(self) -> str:
        """Name of the set of regions that new images appear in."""
        return next(reversed(self._registries))

    def accounts(self, registry: str) -> Mapping[str, str]:
        """Account by region of a set of regions."""
        return self._registries[registry]

    def regions(self) -> list[str]:
        """Every region that has any image."""
        return sorted({region for accounts in self._registries.values() for region in accounts})

    def versions(self, *families: ImageFamily) -> list[str]:
        """Versions that have an image in any of the families (all, if none is named), oldest first."""
        if not families:
            return list(self._versions)
        return [
            version
            for version in self._versions
            if any((family, version) in self._rows for family in families)
        ]

    def find(self, family: ImageFamily, version: str) -> ImageRow | None:
        """Row of a version, or of the newest patch of a minor version such as ``2.6``."""
        if (family, version) in self._rows:
            return self._rows[family, version]
        patches = [known for known in self.versions(family) if minor(known) == version]
        return self._rows[family, patches[-1]] if patches else None

    def end_of_patch(self, version: str, repository: str | None = None) -> date | None:
        """Last day of security patches of a version, in general or of the images of one repository.

        For versions so old that AWS no longer lists them it is the day by which patches had ended.
        None if no day was announced.
        """
        policy = self._end_of_patch
        if repository in policy["not_announced"]:
            return None
        minors = {**policy["minors"], **policy["repositories"].get(repository, {})}
        if release(version) < min(map(release, minors)):
            return date.fromisoformat(policy["earlier_versions_by"])
        day = minors.get(minor(version))
        return date.fromisoformat(day) if day else None

    def partition(self, region: str) -> Partition:
        """Partition that a region belongs to."""
        return self._partitions.get(region, self._default_partition)


def _registries(data: dict[str, Any]) -> dict[str, dict[str, str]]:
    accounts = {
        name: {region: account for account, regions in table.items() for region in regions}
        for name, table in data["sdk"]["accounts"].items()
    }
    registries = {}
    for name, registry in data["sdk"]["registries"].items():
        table = accounts[registry["accounts"]]
        regions = registry["only"] if "only" in registry else set(table) - set(registry["without"])
        registries[name] = {region: table[region] for region in sorted(regions)}
    for name, registry in data["newer"]["registries"].items():
        registries[name] = dict(sorted({**registries[registry["like"]], **registry["also"]}.items()))
    return registries


@cache
def image_table() -> ImageTable:
    """Return the table that ships with the library, read once."""
    # Not at the top, so that importing the module stays cheap.
    import json
    from pathlib import Path

    return ImageTable(json.loads((Path(__file__).parent / "container_images.json").read_text()))


def release(version: str) -> tuple[int, ...]:
    """Numbers of a version such as ``2.10.0``, which compare as versions do."""
    return tuple(int(number) for number in version.split("."))


def minor(version: str) -> str:
    """First two numbers of a version: ``2.6`` for ``2.6.0``."""
    return ".".join(version.split(".")[:2])
