"""Fields that may differ from layer to layer, and how they expand."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_serializer

T = TypeVar("T")


class Apart(BaseModel, Generic[T]):
    """Set the first or the last layer apart from the rest: `{first: none, rest: per_element}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest: T = Field(description="Value of every layer that is not named.")
    first: T | None = Field(default=None, description="Value of the first layer.")
    last: T | None = Field(default=None, description="Value of the last layer.")

    @model_serializer
    def _named_only(self) -> dict[str, Any]:
        values = {"first": self.first, "rest": self.rest, "last": self.last}
        return {name: value for name, value in values.items() if value is not None}


PerLayer = T | list[T] | Apart[T]
"""One value for all layers, a list with one value a layer, or `{first, rest, last}`."""


def expand(value: object, layers: int, field: str) -> tuple:
    """Return one value a layer.

    Args:
        value: a single value, a list of `layers` values, or an `Apart`.
        layers: number of layers T.
        field: dotted name of the field, for the error.

    Returns:
        `layers` values; with one layer, `last` goes before `first`.

    Raises:
        ValueError: a list of another length.

    Example:
        >>> expand(Apart(first="none", rest="linear"), 3, "update.self_connection")
        ('none', 'linear', 'linear')
    """
    if isinstance(value, Apart):
        values = [value.rest] * layers
        if value.first is not None:
            values[0] = value.first
        if value.last is not None:
            values[-1] = value.last
        return tuple(values)
    if isinstance(value, list):
        if len(value) != layers:
            raise ValueError(
                f"{field} lists {len(value)} values for {layers} layers. Give one value a layer, "
                "a single value, or {first: ..., rest: ..., last: ...}."
            )
        return tuple(value)
    return (value,) * layers
