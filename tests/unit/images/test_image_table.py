import re

from cdk_sagemaker_pytorch.images.image_table import image_table, minor, release


def test_versions_are_in_the_order_of_releases() -> None:
    versions = image_table().versions()
    assert versions.index("1.9.1") < versions.index("1.10.0") < versions.index("2.0.0")
    assert (versions[0], versions[-1]) == ("0.4.0", "2.14.0")


def test_versions_of_a_family() -> None:
    assert image_table().versions("eia") == ["1.3.1", "1.5.1"]
    assert image_table().versions("graviton")[-1] == "2.6.0"
    assert image_table().versions("graviton", "eia")[:2] == ["1.3.1", "1.5.1"]


def test_a_minor_finds_the_newest_patch_of_the_family() -> None:
    table = image_table()
    found = {family: table.find(family, "1.5") for family in ("training", "eia", "graviton")}
    assert {family: row and row.version for family, row in found.items()} == {
        "training": "1.5.0",
        "eia": "1.5.1",
        "graviton": None,
    }


def test_every_row_is_complete() -> None:
    for row in image_table().rows:
        assert re.fullmatch(r"\d+\.\d+\.\d+", row.version)
        assert row.py_versions
        assert row.tags
        assert row.end_of_patch is not None or row.repository == "ray"
        assert all(re.fullmatch(r"\d{12}", account) for account in row.accounts.values())


def test_partitions() -> None:
    table = image_table()
    found = {region: table.partition(region) for region in table.regions()}
    assert found["cn-north-1"].name == "aws-cn"
    assert found["cn-north-1"].dns_suffix == "amazonaws.com.cn"
    assert found["us-gov-west-1"].name == "aws-us-gov"
    assert found["us-iso-east-1"].dns_suffix == "c2s.ic.gov"
    assert found["eu-west-1"].name == "aws"
    assert all(region.startswith("cn-") == (part.name == "aws-cn") for region, part in found.items())


def test_new_images_are_in_every_region_that_the_last_ones_of_the_sdk_are_in() -> None:
    table = image_table()
    last, newest = table.find("training", "2.8.0"), table.find("training", "2.13.0")
    assert last is not None
    assert newest is not None
    assert last.accounts.items() < newest.accounts.items()
    assert newest.accounts == table.accounts(table.newest_registry)


def test_no_end_of_patch_is_made_up_for_a_version_nobody_announced() -> None:
    assert image_table().end_of_patch("9.9.9") is None
    assert image_table().end_of_patch("2.13.0", "ray") is None


def test_release_and_minor() -> None:
    assert release("2.10.0") == (2, 10, 0)
    assert minor("2.10.0") == "2.10"
