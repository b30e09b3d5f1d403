"""A resource type that lacks what every type must have."""

from clusterd.resource_api import ResourceType


class Unfinished(ResourceType):
    name = "unfinished"
