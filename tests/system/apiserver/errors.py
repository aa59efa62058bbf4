"""The Status objects with which an API server says no."""
import json

REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
           406: "NotAcceptable", 409: "Conflict", 410: "Expired", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType",
           422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


def status(code, message, reason=None, details=None):
    """reason: None for the usual one of the code, "" for none."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    reason = REASONS.get(code, "") if reason is None else reason
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    return {**body, "code": code}


def encode(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class ApiError(Exception):
    """An answer that is a Status; retry_after is seconds, for the header and the details."""

    def __init__(self, code, message, reason=None, details=None, retry_after=None):
        super().__init__(message)
        if retry_after is not None:
            details = {**(details or {}), "retryAfterSeconds": retry_after}
        self.code, self.retry_after, self.status = code, retry_after, status(code, message, reason, details)


class PlainError(Exception):
    """An answer that is no Status: the server's own 404."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def about(resource, name):
    details = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource, name):
    return ApiError(404, f'{resource.qualified} "{name}" not found', details=about(resource, name))


def exists(resource, name):
    return ApiError(409, f'{resource.qualified} "{name}" already exists', "AlreadyExists", about(resource, name))


def conflict(resource, name, why="the object has been modified; please apply your changes to the latest version and try again"):
    return ApiError(409, f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
                    details=about(resource, name))


def no_method():
    return ApiError(405, "the server does not allow this method on the requested resource", details={})


def no_resource():
    return ApiError(404, "the server could not find the requested resource", details={})


CAUSES = {"Invalid value": "FieldValueInvalid", "Required value": "FieldValueRequired", "Too long": "FieldValueTooLong",
          "Forbidden": "FieldValueForbidden", "Unsupported value": "FieldValueNotSupported"}


def invalid(resource, name, field, problem, text="", reason=None):
    """problem is one of CAUSES, text what follows it: Invalid value: "x": must not …"""
    return invalid_kind(resource.kind, resource.group, name, field, problem, text, reason)


def invalid_kind(kind, group, name, field, problem, text="", reason=None):
    said = f"{problem}: {text}" if text else problem
    details = {k: v for k, v in (("name", name), ("group", group), ("kind", kind)) if v}
    details["causes"] = [{"reason": reason or CAUSES[problem], "message": said, "field": field}]
    return ApiError(422, f'{kind}{"." if group else ""}{group} "{name}" is invalid: {field}: {said}', details=details)
