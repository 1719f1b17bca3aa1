"""Marking packaged models that nothing serves any more, for a lifecycle rule to remove."""

from typing import Final

from .request import S3Uri
from .storage import Storage, storage_errors

_TAG: Final = {"Key": "cdk-sagemaker-pytorch:superseded", "Value": "true"}
_MOST_TAGS: Final = 10  # of an S3 object


def supersede(storage: Storage, place: S3Uri) -> list[str]:
    """Tag an object, or all below a prefix; objects that have ten other tags stay as they are.

    Returns
    -------
    list of str
        The S3 URIs of what was tagged.

    Raises
    ------
    ModelPackagerError
        When S3 refuses.
    """
    tagged = []
    for stored in storage.objects(place):
        if not place.is_prefix and stored.place != place:
            continue
        named = {"Bucket": place.bucket, "Key": stored.place.key}
        with storage_errors(stored.place, "tagged"):
            answer = storage.client.get_object_tagging(**named)
            tags = [tag for tag in answer["TagSet"] if tag["Key"] != _TAG["Key"]]
            if len(tags) < _MOST_TAGS:
                storage.client.put_object_tagging(**named, Tagging={"TagSet": [*tags, _TAG]})
                tagged.append(str(stored.place))
    return tagged
