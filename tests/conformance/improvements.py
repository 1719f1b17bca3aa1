"""Where this library answers otherwise than AWS's toolkit, on purpose: the whole list."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .four_servers import RAY


@dataclass(frozen=True)
class Improvement:
    """A deliberate difference.

    Parameters
    ----------
    toolkit, ours
        What each answers.
    why
        What users gain.
    toolkit_status, our_status
        The HTTP statuses of both.
    elsewhere
        Statuses of servers where AWS's software in front of this library decides. Defaults to none.
    """

    toolkit: str
    ours: str
    why: str
    toolkit_status: int
    our_status: int
    elsewhere: Mapping[str, int] = field(default_factory=dict)


IMPROVEMENTS = {
    "malformed body": Improvement(
        toolkit="500 with the traceback of whatever failed",
        ours="400 with the place in the body",
        why="the caller learns that and where the request is wrong; no alarm rings for it",
        toolkit_status=500,
        our_status=400,
    ),
    "body is not text": Improvement(
        toolkit="500 with a traceback",
        ours="400",
        why="as for any malformed body",
        toolkit_status=500,
        our_status=400,
    ),
    "misread body": Improvement(
        toolkit="predicts on what it makes of the body: NaN for what is no number, nothing for what follows",
        ours="400 with the place in the body",
        why="a wrong prediction that looks right is worse than none",
        toolkit_status=200,
        our_status=400,
    ),
    "content type not supported": Improvement(
        toolkit="500",
        ours="415 with those that are",
        why="the caller can mend it",
        toolkit_status=500,
        our_status=415,
    ),
    "no content type": Improvement(
        toolkit="500",
        ours="415; the proxy of the Ray Serve container makes it application/json",
        why="the caller can mend it",
        toolkit_status=500,
        our_status=415,
        elsewhere={RAY: 200},
    ),
    "not acceptable": Improvement(
        toolkit="500",
        ours="406 with what is offered",
        why="the caller can mend it",
        toolkit_status=500,
        our_status=406,
    ),
    "content type with parameters": Improvement(
        toolkit="500 for parameters and upper case",
        ours="reads the header as HTTP defines it",
        why="many clients send a charset",
        toolkit_status=500,
        our_status=200,
    ),
    "accept header": Improvement(
        toolkit="500 for qualities, ranges, parameters and upper case",
        ours="reads the header as HTTP defines it",
        why="clients send such headers by default",
        toolkit_status=500,
        our_status=200,
    ),
    "one content type": Improvement(
        toolkit="answers with the whole Accept header as Content-Type",
        ours="answers with the one type of the body",
        why="a client that goes by Content-Type can read the answer",
        toolkit_status=200,
        our_status=200,
    ),
    "one type for the script": Improvement(
        toolkit="hands the whole Accept header to output_fn, which does not know it",
        ours="hands it the one type that the caller likes best",
        why="scripts compare it with the types that they write",
        toolkit_status=500,
        our_status=200,
    ),
    "any dtype": Improvement(
        toolkit="500 for an NPY array of another dtype or byte order than the model's, and for long integers",
        ours="casts it to the model's dtype",
        why="numpy makes float64 and int64 unless told otherwise",
        toolkit_status=500,
        our_status=200,
    ),
    "dtype kept": Improvement(
        toolkit="answers NPY as float64",
        ours="answers NPY in the dtype of the prediction",
        why="half the bytes, and the client gets what the model computed",
        toolkit_status=200,
        our_status=200,
    ),
    "mixed columns": Improvement(
        toolkit="500 for CSV in which some columns have decimals and others have none",
        ours="reads all fields as numbers",
        why="it is the usual CSV",
        toolkit_status=500,
        our_status=200,
    ),
    "quoted fields": Improvement(
        toolkit="500",
        ours="reads the numbers in them",
        why="some tools quote all fields",
        toolkit_status=500,
        our_status=200,
    ),
    "one row is a row": Improvement(
        toolkit="makes a CSV of one row one-dimensional, and so its answer",
        ours="answers one row for one row",
        why="models with a batch dimension take it, and the answer has the same shape for any number of rows",
        toolkit_status=200,
        our_status=200,
    ),
    "status of the script's error": Improvement(
        toolkit="500 for every exception that is not of the toolkit's own class",
        ours="the status of a RequestError",
        why="scripts can tell callers what is wrong on every server",
        toolkit_status=500,
        our_status=429,
    ),
    "text is JSON": Improvement(
        toolkit="writes strings as CSV without quotes, and as NPY",
        ours="406: what is not numbers is JSON",
        why="commas in a string would be new fields",
        toolkit_status=200,
        our_status=406,
    ),
    "structure is JSON": Improvement(
        toolkit="500 where objects are asked for as CSV",
        ours="406: what is not numbers is JSON",
        why="the caller can mend it",
        toolkit_status=500,
        our_status=406,
    ),
}
