"""Why an answer gave no label or no score: short codes for tables, with their words.

A code never holds text of an answer or a conversation.
"""

EMPTY = "empty"
CUT_OFF = "cut off"
REFUSAL = "refusal"
NO_LABEL = "no label"
UNKNOWN_LABEL = "unknown label"
SEVERAL_LABELS = "several labels"
AMBIGUOUS = "ambiguous label"
NEGATED = "negated label"
BAD_NUMBER = "number is no level"
SCORE_MISSING = "score missing"
SCORE_INVALID = "score is no number"
SCORE_OUT_OF_RANGE = "score out of range"
NO_RESPONSE = "no response"

REASONS: dict[str, str] = {
    EMPTY: "The model answered with nothing.",
    CUT_OFF: "The answer ends inside its reasoning, before any label.",
    REFUSAL: "The model declined or apologised instead of answering.",
    NO_LABEL: "The answer holds nothing for this task.",
    UNKNOWN_LABEL: "What stands in the label's place is none of the labels, their aliases or near spellings.",
    SEVERAL_LABELS: "The answer names more than one label.",
    AMBIGUOUS: "The spelling is as near to one label as to another.",
    NEGATED: "The answer says what the label is not.",
    BAD_NUMBER: "A number stands in the label's place and is no level of the scale.",
    SCORE_MISSING: "The label is there, its score is not.",
    SCORE_INVALID: "The label is there, its score is not a number.",
    SCORE_OUT_OF_RANGE: "The label is there, its score lies outside its range.",
    NO_RESPONSE: "The model was not asked, or its answer was lost.",
}
