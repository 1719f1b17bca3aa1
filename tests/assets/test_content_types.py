import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving.content_types import content_type_of, negotiate, parse_media_type, preferred
from serving.errors import NotAcceptableError, UnsupportedContentTypeError

JSON, CSV, NPY = SUPPORTED = ("application/json", "text/csv", "application/x-npy")


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("application/json", JSON, {}),
        ("Application/JSON", JSON, {}),
        (" text/csv ; Charset=UTF-8 ", CSV, {"charset": "UTF-8"}),
        ('text/csv; header=absent;charset="utf-8"', CSV, {"header": "absent", "charset": "utf-8"}),
        (r'a/b;c="d\"e;f=g"', "a/b", {"c": 'd"e;f=g'}),
        ("application/json;", JSON, {}),
        ("*/*", "*/*", {}),
    ],
)
def test_media_types_are_read_with_their_parameters(text, name, parameters):
    assert parse_media_type(text) == (name, parameters)


@pytest.mark.parametrize("text", ["", "json", "a/b/c", "application/json; charset", "a b/c", "/", 'a/b;c="d'])
def test_what_is_no_media_type_is_none(text):
    assert parse_media_type(text) is None


@pytest.mark.parametrize("header", [None, "", "json"])
def test_fails_when_there_is_no_content_type(header):
    with pytest.raises(UnsupportedContentTypeError, match="content type must be one of application/json, "):
        content_type_of(header, SUPPORTED)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("  ", JSON),
        ("*/*", JSON),
        ("application/x-npy", NPY),
        ("TEXT/CSV", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("text/csv, application/json", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("text/csv;q=0.5,application/json;q=0.4, */*;q=0.1", CSV),
        ("image/png, application/x-npy;q=0.001", NPY),
        ("*/*, application/json;q=0", CSV),
        ("application/*;q=0.9, application/json;q=0.1, text/csv;q=0.5", NPY),
        ("application/json; charset=utf-8", JSON),
        ("application/json;q=1.5, text/csv", CSV),
        (", ,text/csv,", CSV),
        ('text/csv;a="x,y"', CSV),
        ("application/json;q=.5, text/csv", CSV),
    ],
)
def test_accept_is_negotiated_as_http_says(accept, expected):
    assert negotiate(accept, SUPPORTED) == expected


@pytest.mark.parametrize(
    "accept", ["image/png", "application/json;q=0", "text/html, image/*", "*/*;q=0", "nonsense"]
)
def test_fails_when_nothing_is_acceptable(accept):
    with pytest.raises(NotAcceptableError, match="accept must allow one of application/json, text/csv, "):
        negotiate(accept, SUPPORTED)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/*", CSV),
        ("image/png", "image/png"),
        ("Image/PNG; dpi=300", "Image/PNG; dpi=300"),
        ("image/png;q=0.5", "image/png"),
        ("text/html;q=0.5, image/png", "image/png"),
        ("image/png, */*;q=0.1", "image/png"),
        ("image/*", "image/*"),
        ("image/*, text/csv;q=0.1", "image/*"),
    ],
)
def test_a_script_is_told_one_media_type(accept, expected):
    assert preferred(accept, SUPPORTED) == expected


@pytest.mark.parametrize("accept", ["nonsense", "image/png;q=0"])
def test_fails_when_no_media_type_can_be_told(accept):
    with pytest.raises(NotAcceptableError):
        preferred(accept, SUPPORTED)


@given(st.one_of(st.text(max_size=80), st.text(alphabet='aA/*;,=q0.1" \\', max_size=80)))
def test_any_header_is_read_or_refused(header):
    for function in (negotiate, preferred, content_type_of):
        try:
            answer = function(header, SUPPORTED)
        except (NotAcceptableError, UnsupportedContentTypeError):
            continue
        assert answer in SUPPORTED if function is negotiate else answer
