"""A resource type that answers questions about its node."""

from clusterd.resource_api import Context, Health, ResourceFailed, ResourceType, UnknownControl


class Curious(ResourceType):
    name = "curious"
    says = "answers"

    def online(self, context: Context) -> None:
        """Nothing to do."""

    def offline(self, context: Context) -> None:
        """Nothing to do."""

    def is_alive(self, context: Context) -> Health:
        return Health.YES

    @classmethod
    def examine(cls, question: str, body: bytes) -> bytes:
        match question:
            case "echo":
                return body
            case "break":
                raise ZeroDivisionError("a defect of the type")
            case "refuse":
                raise ResourceFailed("the shelf is empty")
            case _:
                raise UnknownControl(question)
