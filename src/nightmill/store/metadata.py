"""What all tables are entered in, and the type of numbers that go on and on."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

__all__ = ["big", "metadata"]

metadata = MetaData()

big = BigInteger().with_variant(Integer, "sqlite")
