"""Text of fixed width: each column has its characters, counted from 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.landing.formats.base import PLAIN, FileStart, Form, HeadedFile, Header, Source, in_normal_form
from pipeline.landing.formats.text_lines import first_line, headers_left_out, read_records
from pipeline.landing.records import Recipe
from pipeline.landing.trailers import RecordTypes
from pipeline.profiles import DeliveryProfile
from schemas.drops import ManifestFile
from schemas.landing import received_columns, received_names
from transforms.delimited import Dialect
from transforms.delivered import FieldForms, in_contract_form
from transforms.unicode import is_ascii


class FixedWidth(Form):
    """Text of fixed width, without a header."""

    empty_file = "line"

    def __init__(
        self, profile: DeliveryProfile, received_names: Mapping[str, str], forms: FieldForms
    ) -> None:
        """Takes the profile, the names of its columns and the forms of its fields."""
        super().__init__(profile, received_names, forms)
        self.types = RecordTypes(profile, profile.record_type, Dialect()) if profile.record_type else None
        self.recipe = Recipe(encoding=profile.encoding, skip_first=profile.skip_first, has_header=False)

    def header(self, start: FileStart) -> Header:
        """The columns of the profile."""
        line = first_line(start, self.recipe)
        return Header() if line is None else Header(tuple(self.profile.positions))

    def lines(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        """Lines of files; one that ends within a number or a time is malformed, since it was cut."""
        found = read_records(source, files, self.recipe, None, self._keeps)
        fields = [self._field(name).alias(name) for name in received_names()]
        malformed = F.when(self._is_malformed(), F.col("value")).alias("malformed_text")
        # Only once it is cut: a line in normal form C has other positions.
        cut = found.select(
            *fields, malformed, "drop_date", "source_file", is_ascii(F.col("value")).alias(PLAIN)
        )
        return in_contract_form(in_normal_form(source, cut), self.forms)

    def headers_left_out(self, files: Sequence[HeadedFile]) -> int | None:
        """None are left out, unless a file is read whole."""
        return headers_left_out(files, self.recipe)

    def control_totals(self, start: FileStart) -> ManifestFile | None:
        """What the file's trailer says."""
        return None if self.types is None else self.types.control_totals(start, self.recipe)

    def _keeps(self, value: Column) -> Column:
        keeps = value.rlike(r"[^\x00-\x20]")
        return keeps if self.types is None else keeps & ~self.types.is_other(value)

    def _is_malformed(self) -> Column:
        is_cut = F.char_length("value") < self._shortest
        return is_cut if self.types is None else is_cut | self.types.is_unknown(F.col("value"))

    @property
    def _shortest(self) -> int:
        """Characters that each line has: only blanks of the text at the end may be trimmed away."""
        ends = {name: last for name, (_, last) in self.profile.positions.items()}
        columns = received_columns()
        cut = [ends[c.name] for c in columns if c.name in ends and (c.required or c.kind != "text")]
        return max(cut)

    def _field(self, name: str) -> Column:
        if name not in self.profile.positions:
            return F.lit(None).cast("string")
        first, last = self.profile.positions[name]
        return F.substring("value", first, last - first + 1)
