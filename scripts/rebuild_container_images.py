"""Rebuild the SDK's part of the container image table.

Run it with a Python that has the SageMaker Python SDK, in an environment of its own::

    python -m venv sdk && sdk/bin/pip install sagemaker==2.257.7
    sdk/bin/python scripts/rebuild_container_images.py

It rewrites the member ``sdk`` of ``container_images.json`` and keeps the members that are written by
hand: ``newer`` and ``end_of_patch``.
"""

import argparse
import json
import logging
import re
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "constructs/cdk_sagemaker_pytorch/images/container_images.json"

SDK_SCOPES = {
    "training": "training",
    "inference": "inference",
    "graviton": "inference_graviton",
    "eia": "eia",
}
PROBES: dict[str, dict[str, dict[str, str]]] = {
    "training": {"cpu": {"instance_type": "ml.m5.large"}, "gpu": {"instance_type": "ml.g5.xlarge"}},
    "inference": {"cpu": {"instance_type": "ml.m5.large"}, "gpu": {"instance_type": "ml.g5.xlarge"}},
    "graviton": {"graviton": {"instance_type": "ml.c6g.large"}},
    "eia": {"cpu": {"instance_type": "ml.m5.large", "accelerator_type": "ml.eia2.medium"}},
}


def main() -> None:
    """Rewrite the table in place."""
    parser = argparse.ArgumentParser(description="rebuild the SDK's part of the container image table")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--date", default=date.today().isoformat(), help="the day that the SDK was read")
    arguments = parser.parse_args()
    logging.getLogger("sagemaker").setLevel(logging.ERROR)

    from sagemaker import image_uris  # type: ignore[import-not-found] # in an environment of its own

    table = json.loads(arguments.table.read_text()) if arguments.table.exists() else {}
    part = sdk_part(image_uris, read=arguments.date)
    arguments.table.write_text(formatted({"sdk": part, **{k: v for k, v in table.items() if k != "sdk"}}))


def sdk_part(image_uris: Any, read: str) -> dict[str, Any]:
    """All that the SDK knows about PyTorch images, without its repetitions."""
    config = image_uris.config_for_framework("pytorch")
    regions = Regions()
    images = {family: family_rows(image_uris, config, family, regions) for family in SDK_SCOPES}
    sdk = f"sagemaker=={installed_version('sagemaker')}"
    return {
        "source": f"{sdk}: image_uri_config/pytorch.json, image_uris.retrieve",
        "read": read,
        "partitions": partitions({region for accounts in regions.accounts.values() for region in accounts}),
        "accounts": {name: by_account(accounts) for name, accounts in regions.accounts.items()},
        "registries": {name: regions.registry(name) for name in regions.registries},
        "images": images,
    }


class Regions:
    """The region tables of all entries: few accounts tables, and which regions of one an entry has."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, str]] = {}
        self.registries: dict[str, tuple[str, set[str]]] = {}

    def add(self, entry: dict[str, Any]) -> str:
        """Name of the entry's registry, which is added if it is a new one."""
        table = entry["registries"]
        accounts_name = next(
            (
                known
                for known, accounts in self.accounts.items()
                if all(accounts.get(region, account) == account for region, account in table.items())
            ),
            entry["repository"],
        )
        self.accounts.setdefault(accounts_name, {}).update(table)
        name = f"{accounts_name}-{len(table)}"
        if self.registries.setdefault(name, (accounts_name, set(table))) != (accounts_name, set(table)):
            raise SystemExit(f"two sets of regions want the name {name}")
        return name

    def registry(self, name: str) -> dict[str, Any]:
        """Which accounts table a registry has, and which of its regions, in the shorter way."""
        accounts_name, regions = self.registries[name]
        missing = set(self.accounts[accounts_name]) - regions
        if len(missing) < len(regions):
            return {"accounts": accounts_name, "without": sorted(missing)}
        return {"accounts": accounts_name, "only": sorted(regions)}


def family_rows(
    image_uris: Any, config: dict[str, Any], family: str, regions: Regions
) -> list[dict[str, Any]]:
    """Rows of one family of images; neighbouring versions that differ in nothing share a row."""
    scope = config[SDK_SCOPES[family]]
    check_aliases(scope)
    rows: list[dict[str, Any]] = []
    for version, entry in scope["versions"].items():
        row = {
            "repository": entry["repository"],
            "registry": regions.add(entry),
            "py_versions": entry["py_versions"],
            "tags": tags(image_uris, family, version, entry),
        }
        suffixes = p4d_suffixes(image_uris, family, version, entry)
        if suffixes:
            row["p4d_suffixes"] = suffixes
        if rows and {k: v for k, v in rows[-1].items() if k != "versions"} == row:
            rows[-1]["versions"].append(version)
        else:
            rows.append({"versions": [version], **row})
    return rows


def check_aliases(scope: dict[str, Any]) -> None:
    """Fail if the SDK's aliases stop being what the table's reader takes them for."""
    newest: dict[str, str] = {}
    for version in sorted(scope["versions"], key=release):
        newest[minor(version)] = version
    if scope["version_aliases"] != newest:
        raise SystemExit(f"an alias is no longer the newest patch of its minor: {scope['version_aliases']}")


def tags(image_uris: Any, family: str, version: str, entry: dict[str, Any]) -> dict[str, str]:
    """Tag templates by processor, read off the SDK's own answers."""
    py_version = entry["py_versions"][0]
    found = {}
    for processor, arguments in PROBES[family].items():
        tag = retrieve_tag(image_uris, family, version, entry, py_version, **arguments)
        found[processor] = tag.replace(version, "{version}", 1).replace(f"-{py_version}", "-{py_version}", 1)
    return found


def p4d_suffixes(image_uris: Any, family: str, version: str, entry: dict[str, Any]) -> dict[str, str]:
    """Find what p4d instances add to the tag of GPU images, by the version as it is asked for."""
    if "gpu" not in PROBES[family]:
        return {}
    suffixes = {}
    for requested in (minor(version), version):
        for py_version in entry["py_versions"]:
            gpu, p4d = (
                retrieve_tag(image_uris, family, requested, entry, py_version, instance_type=instance_type)
                for instance_type in ("ml.g5.xlarge", "ml.p4d.24xlarge")
            )
            if gpu != p4d:
                suffixes[requested] = p4d.removeprefix(gpu)
    return suffixes


def retrieve_tag(
    image_uris: Any, family: str, version: str, entry: dict[str, Any], py_version: str, **arguments: str
) -> str:
    """Return the tag of the SDK's answer in the first region that has the image."""
    uri = image_uris.retrieve(
        "pytorch",
        next(iter(entry["registries"])),
        version=version,
        py_version=py_version,
        image_scope="training" if family == "training" else "inference",
        **arguments,
    )
    return str(uri).rpartition(":")[2]


def partitions(regions: set[str]) -> dict[str, dict[str, Any]]:
    """DNS suffix and regions of every partition but the first, which has all other regions."""
    import botocore.loaders

    found = {}
    for partition in botocore.loaders.create_loader().load_data("endpoints")["partitions"]:
        members = sorted(region for region in regions if re.match(partition["regionRegex"], region))
        if members:
            default = partition["partition"] == "aws"
            found[partition["partition"]] = {
                "dns_suffix": partition["dnsSuffix"],
                "regions": [] if default else members,
            }
    return found


def by_account(accounts: dict[str, str]) -> dict[str, list[str]]:
    """Turn region to account into account to regions."""
    grouped: dict[str, list[str]] = {}
    for region in sorted(accounts):
        grouped.setdefault(accounts[region], []).append(region)
    return dict(sorted(grouped.items()))


def release(version: str) -> tuple[int, ...]:
    """Version as numbers, in an order that can be compared."""
    return tuple(int(number) for number in version.split("."))


def minor(version: str) -> str:
    """First two numbers of a version, the SDK's alias for it."""
    return ".".join(version.split(".")[:2])


def formatted(table: dict[str, Any]) -> str:
    """JSON with its innermost lists on one line each."""
    text = json.dumps(table, indent=2)
    return re.sub(r"\[\s*([^\[\]{}]*?)\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


if __name__ == "__main__":
    main()
