"""How each scripted fault stands in the table, where it is a row's end."""

REASONS = {
    "error_500": "server_error (HTTP 500)",
    "error_503": "overloaded (HTTP 503)",
    "hang": "timeout",
    "reset": "connection_lost",
    "cut": "connection_lost",
    "truncated": "poisoned_reply (HTTP 200)",
    "html_200": "poisoned_reply (HTTP 200)",
    "html_502": "server_error (HTTP 502)",
    "filtered_400": "content_filter (HTTP 400)",
    "filtered_200": "content_filter (HTTP 200)",
    "context_length": "context_length (HTTP 400)",
    "invalid_422": "unprocessable (HTTP 422)",
}
