"""Checks replies against the service models of botocore. Run by botocore-shapes.test.ts.

Reads a JSON list of {"service", "operation", "body"} and writes what is wrong with each body, a list of texts.
"""

import json
import re
import sys

import botocore.session

SESSION = botocore.session.get_session()
KINDS = {"string": str, "integer": int, "long": int, "boolean": bool, "float": (int, float), "double": (int, float)}

# What AWS says and its model does not know: modalities, and that a model is called through inference profiles.
UNMODELLED = {"VIDEO", "SPEECH", "INFERENCE_PROFILE"}


def problems(shape, value, path):
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return []
    if kind == "structure":
        return structure_problems(shape, value, path)
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: no list"]
        return [found for index, one in enumerate(value) for found in problems(shape.member, one, f"{path}[{index}]")]
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{path}: no map"]
        return [found for key, one in value.items() for found in problems(shape.value, one, f"{path}.{key}")]
    wanted = KINDS.get(kind)
    if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool)):
        return [f"{path}: no {kind}"]
    if kind == "string":
        if shape.enum and value not in shape.enum and value not in UNMODELLED:
            return [f"{path}: {value} is not one of {shape.enum}"]
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(f"^(?:{pattern})$", value):
            return [f"{path}: {value} does not fit {pattern}"]
    return []


def structure_problems(shape, value, path):
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    in_body = {name for name, member in members.items() if "location" not in member.serialization}
    found = [f"{path}: {name} is unknown" for name in value if name not in in_body and name != "p"]
    found += [f"{path}: {name} is missing" for name in shape.required_members if name in in_body and name not in value]
    if shape.is_tagged_union and len(value) != 1:
        found.append(f"{path}: {len(value)} members of a union")
    for name in in_body & value.keys():
        found += problems(members[name], value[name], f"{path}.{name}")
    return found


def check(reply):
    model = SESSION.get_service_model(reply["service"]).operation_model(reply["operation"])
    shape = model.output_shape
    if "event" in reply:
        events = next(member for member in shape.members.values() if getattr(member, "eventstream", False) or member.serialization.get("eventstream"))
        shape = events.members[reply["event"]]
    return problems(shape, reply["body"], reply.get("event", reply["operation"]))


json.dump([check(reply) for reply in json.load(sys.stdin)], sys.stdout)
