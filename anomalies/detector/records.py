"""Arrays of records of which the type checker knows every field. Pure."""

from collections.abc import Iterator
from typing import ClassVar, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
Which = int | np.integer | slice | list[int] | NDArray[np.integer] | NDArray[np.bool_] | None  # as NumPy takes them


class Field(Generic[Scalar]):
    """A field of `Records`: a value of each record, or an array of this shape of each."""

    def __init__(self, scalar: type[Scalar], *shape: int) -> None:
        self.scalar, self.shape = scalar, shape

    def __set_name__(self, owner: type["Records"], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, records: None, owner: type["Records"]) -> Self: ...
    @overload
    def __get__(self, records: "Records", owner: type["Records"]) -> NDArray[Scalar]: ...
    def __get__(self, records: "Records | None", owner: type["Records"]) -> Self | NDArray[Scalar]:
        return self if records is None else records.array[self.name]

    def __set__(self, records: "Records", values: ArrayLike) -> None:
        records.array[self.name] = values


class Records:
    """A structured array by its fields: `records.t` is the `t` of each, and what is assigned to it is written there.

    A subclass declares its fields once. An index gives records as NumPy gives arrays: one place or a slice a view,
    a mask or several places a copy.

    >>> class Points(Records):
    ...     x = Field(np.float64)
    ...     is_known = Field(np.bool_, 2)
    >>> points = Points.zeros(3)
    >>> points[1].x = 7
    >>> points.x
    array([0., 7., 0.])
    """

    __slots__ = ("array",)
    dtype: ClassVar[np.dtype[np.void]]

    def __init_subclass__(cls) -> None:
        fields = [field for field in vars(cls).values() if isinstance(field, Field)]
        cls.dtype = np.dtype((np.record, [(field.name, field.scalar, field.shape) for field in fields]))

    def __init__(self, array: NDArray[np.void]) -> None:
        self.array = array

    @classmethod
    def zeros(cls, n: int) -> Self:
        return cls(np.zeros(n, cls.dtype))

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Self]:
        return (type(self)(record) for record in self.array)

    def __getitem__(self, which: Which) -> Self:
        return type(self)(self.array[which])

    def __setitem__(self, which: Which, records: Self) -> None:
        self.array[which] = records.array

    def copy(self) -> Self:
        return type(self)(self.array.copy())
