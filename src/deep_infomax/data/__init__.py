"""Data: from names, folders and files to sources, and from sources to batches."""

from deep_infomax.data.arrays import from_arrays
from deep_infomax.data.augment import CropAndFlip, augmentation
from deep_infomax.data.batches import Batches
from deep_infomax.data.dataset import Dataset, Source, evenly_spaced, require_labels, require_probed
from deep_infomax.data.fingerprint import fingerprint
from deep_infomax.data.options import DataOptions
from deep_infomax.data.programs import as_source, from_data
from deep_infomax.data.readers import Reader
from deep_infomax.data.sources import NAMES, READERS, can_stream, load_dataset, register_reader
from deep_infomax.data.statistics import floats_of, offset_of, statistics

__all__ = [
    "NAMES",
    "READERS",
    "Batches",
    "CropAndFlip",
    "DataOptions",
    "Dataset",
    "Reader",
    "Source",
    "as_source",
    "augmentation",
    "can_stream",
    "evenly_spaced",
    "fingerprint",
    "floats_of",
    "from_arrays",
    "from_data",
    "load_dataset",
    "offset_of",
    "register_reader",
    "require_labels",
    "require_probed",
    "statistics",
]
