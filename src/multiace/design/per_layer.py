"""Fields that may differ from layer to layer, and how they expand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_serializer
from typing_extensions import TypeAliasType

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


def _form(value: object) -> str:
    """Tell how a field is written, so that only the rules of this form are applied to it."""
    if isinstance(value, Apart) or (
        isinstance(value, Mapping) and set(Apart.model_fields) & set(value)
    ):
        return "apart"
    return "list" if isinstance(value, list) else "value"


PerLayer = TypeAliasType(
    "PerLayer",
    Annotated[
        Annotated[T, Tag("value")]
        | Annotated[list[T], Tag("list")]
        | Annotated[Apart[T], Tag("apart")],
        Discriminator(_form),
    ],
    type_params=(T,),
)
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
