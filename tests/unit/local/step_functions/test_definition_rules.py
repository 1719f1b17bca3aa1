from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.step_functions.definition_rules import definition_problems

REFUSED = "SCHEMA_VALIDATION_FAILED:"
END = {"Type": "Pass", "End": True}


def machine(states: dict[str, Any], start: str = "A", **more: Any) -> dict[str, Any]:
    return {"StartAt": start, "States": states} | more


def parallel(*branches: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), "End": True} | more


@pytest.mark.parametrize(
    "definition",
    [
        machine({"A": END}),
        machine({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}),
        machine(
            {
                "A": {"Type": "Choice", "Choices": [{"Next": "B"}], "Default": "C"},
                "B": {"Type": "Fail"},
                "C": {"Type": "Task", "Catch": [{"Next": "B"}], "Next": "A"},
            }
        ),
        machine({"A": parallel(machine({"B": END}, "B"), machine({"C": END}, "C"))}),
        machine({"A": {"Type": "Map", "ItemProcessor": machine({"B": END}, "B"), "End": True}}),
        machine({"A": END | {"Output": 1}}, QueryLanguage="JSONata"),
        machine({"A": END | {"Arguments": 1, "QueryLanguage": "JSONata"}}),
        machine({"A" * 80: END}, "A" * 80),
    ],
)
def test_a_machine_can_be_made(definition: dict[str, Any]) -> None:
    assert list(definition_problems(definition)) == []


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (machine({"A": END}, "B"), "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /StartAt"),
        (
            machine({"A": {"Type": "Pass", "Next": "B"}}),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Next",
        ),
        (
            machine({"A": {"Type": "Choice", "Choices": [{"Next": "B"}]}}),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Choices[0]/Next",
        ),
        (
            machine({"A": END | {"Catch": [{"Next": "B"}]}}),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Catch[0]/Next",
        ),
        (
            machine({"A": END, "B": END}),
            'MISSING_TRANSITION_TARGET: State "B" is not reachable. at /States/B',
        ),
        (
            machine({"A": parallel(machine({"B": {"Type": "Pass", "Next": "A"}}, "B"))}),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: A at /States/A/Branches[0]/States/B/Next",
        ),
        (
            machine({"A": parallel(machine({"B": END}, "B"), machine({"B": END}, "B"))}),
            "DUPLICATE_STATE_NAME: Duplicate State name: B",
        ),
        (
            machine({"A": {"Type": "Pass"}}),
            "SCHEMA_VALIDATION_FAILED: State must have one of 'Next' and 'End' at /States/A",
        ),
        (
            machine({"A" * 81: END}, "A" * 81),
            f"SCHEMA_VALIDATION_FAILED: State name exceeds 80 characters at /States/{'A' * 81}",
        ),
        (
            machine({"A": END | {"ResultPath": "$.a"}}, QueryLanguage="JSONata"),
            f"{REFUSED} The field 'ResultPath' is not supported in JSONata at /States/A/ResultPath",
        ),
        (
            machine({"A": END | {"Output": 1}}),
            "SCHEMA_VALIDATION_FAILED: The field 'Output' is not supported in JSONPath at /States/A/Output",
        ),
    ],
)
def test_fails_where_no_machine_can_be_made(definition: dict[str, Any], problem: str) -> None:
    assert list(definition_problems(definition)) == [problem]
