"""An OpenAPI document as a judge: does an exchange keep to it?"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from esg_pipeline_tests.docs.pages import DOCS

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Exchange:
    """One request and its response, as they went over the wire. Header names are lower case."""

    method: str
    target: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    response_headers: Mapping[str, str]
    response_body: bytes


class Document:
    """One of the documents in `docs/openapi/`."""

    def __init__(self, name: str) -> None:
        self.content: dict[str, Any] = yaml.safe_load((DOCS / "openapi" / name).read_text("utf-8"))

    def problems(self, exchange: Exchange) -> list[str]:
        """What of an exchange the document does not allow; empty when all is right."""
        parts = urlsplit(exchange.target)
        found = self._operation(exchange.method, parts.path)
        if found is None:
            return [f"no operation {exchange.method} {parts.path}"]
        operation, path_values = found
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return [
            *self._parameter_problems(operation, {"path": path_values, "query": query}),
            *self._request_problems(operation, exchange),
            *self._response_problems(operation, exchange),
        ]

    def schema_problems(self, name: str, value: object) -> list[str]:
        """What is wrong with a value by a schema of the components."""
        return self._invalid({"$ref": f"#/components/schemas/{name}"}, value, name)

    def example_problems(self) -> dict[str, list[str]]:
        """What is wrong with each example in the document, by its schema."""
        return {
            name: self._invalid(content["schema"], example["value"], name)
            for content in _dicts_with(self.content, "examples")
            for name, example in content["examples"].items()
        }

    def _operation(self, method: str, path: str) -> tuple[dict[str, Any], dict[str, str]] | None:
        for template, operations in self.content["paths"].items():
            names = re.findall(r"{(\w+)}", template)
            match = re.fullmatch(re.sub(r"{\w+}", "([^/]+)", template), path)
            if match and method.lower() in operations:
                values = dict(zip(names, map(unquote, match.groups()), strict=True))
                return operations[method.lower()], values
        return None

    def _parameter_problems(
        self, operation: dict[str, Any], given: dict[str, dict[str, str]]
    ) -> list[str]:
        stated = {(each["in"], each["name"]): each for each in operation.get("parameters", [])}
        problems = []
        for (place, name), parameter in stated.items():
            if name in given[place]:
                problems += self._invalid(parameter["schema"], given[place][name], name)
            elif parameter.get("required"):
                problems.append(f"{name} is missing")
        sent = {(place, name) for place, values in given.items() for name in values}
        return problems + [
            f"{name} is not in the document" for _, name in sorted(sent - stated.keys())
        ]

    def _request_problems(self, operation: dict[str, Any], exchange: Exchange) -> list[str]:
        problems = []
        scheme = exchange.request_headers.get("authorization", "").partition(" ")[0].lower()
        if scheme not in self._schemes(operation):
            problems.append(f"authorization {scheme!r} is not in the document")
        body = operation.get("requestBody")
        if body is None:
            return problems + (["a body was not to be sent"] if exchange.request_body else [])
        content_type = exchange.request_headers.get("content-type", "").partition(";")[0]
        if content_type not in body["content"]:
            return [*problems, f"content type {content_type!r} is not in the document"]
        text = exchange.request_body.decode()
        value = (
            json.loads(text)
            if content_type == JSON
            else {k: v[0] for k, v in parse_qs(text).items()}
        )
        return problems + self._invalid(body["content"][content_type]["schema"], value, "request")

    def _schemes(self, operation: dict[str, Any]) -> set[str]:
        schemes = self.content["components"]["securitySchemes"]
        wanted = operation.get("security", self.content["security"])
        return {schemes[name]["scheme"] for each in wanted for name in each} | {
            "" for each in wanted if not each
        }

    def _response_problems(self, operation: dict[str, Any], exchange: Exchange) -> list[str]:
        responses = operation["responses"]
        response = responses.get(str(exchange.status), responses.get("default"))
        if response is None:
            return [f"status {exchange.status} is not in the document"]
        content = self._resolved(response).get("content")
        if content is None:
            return []
        content_type = exchange.response_headers.get("content-type", "").partition(";")[0]
        if content_type not in content:
            return [f"content type {content_type!r} of a {exchange.status} is not in the document"]
        value = json.loads(exchange.response_body)
        return self._invalid(content[content_type]["schema"], value, f"response {exchange.status}")

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while reference := value.get("$ref"):
            value = self.content
            for key in reference.removeprefix("#/").split("/"):
                value = value[key]
        return value

    def _invalid(self, schema: dict[str, Any], value: object, where: str) -> list[str]:
        whole = {**schema, "components": self.content["components"]}
        validator = OAS31Validator(whole, format_checker=oas31_format_checker)
        return [
            f"{where}: {error.json_path}: {error.message}" for error in validator.iter_errors(value)
        ]


def _dicts_with(value: Any, key: str) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for each in value for found in _dicts_with(each, key)]
    if not isinstance(value, dict):
        return []
    inner = [found for each in value.values() for found in _dicts_with(each, key)]
    return [value, *inner] if key in value else inner
