"""Tables of people: the built-in ones and users' own, read as the spec codes them, split, cut into blocks, and written."""

from cfair.data.carrying import Carried, carry, original_columns
from cfair.data.catalogue import TableInfo, builtin_path, builtin_tables
from cfair.data.codings import Written, to_original
from cfair.data.decoding import decode, to_frame
from cfair.data.predictions import read_predictions
from cfair.data.reading import read_table
from cfair.data.splitting import blocks, split
from cfair.data.variation import check_variation
from cfair.data.writing import check_writable, write_table

__all__ = [
    "Carried",
    "TableInfo",
    "Written",
    "blocks",
    "builtin_path",
    "builtin_tables",
    "carry",
    "check_variation",
    "check_writable",
    "decode",
    "original_columns",
    "read_predictions",
    "read_table",
    "split",
    "to_frame",
    "to_original",
    "write_table",
]
