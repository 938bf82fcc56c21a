"""Data sets, and how they are dealt to clients."""

from __future__ import annotations

from fedzda.platform.catalog.entry import Entry, family

DATASETS: dict[str, Entry] = {
    **family(
        "fedzda.platform.data.sources",
        ("digits", "digits", "Digits", "8x8 digits that ship inside scikit-learn"),
        ("parquet", "parquet", "Parquet", "Parquet files in the layout of hub data sets"),
        ("folder", "folder", "Folder", "image folder, one sub-folder per class"),
        ("hub", "hub", "Hub", "a Hugging Face data set by name"),
        (
            "segmentation-folder",
            "segmentation_folder",
            "SegmentationFolder",
            "folders of images and of annotations with a class per pixel",
        ),
        ("ade20k", "ade20k", "ADE20K", "ADE20K scene parsing, 150 classes per pixel"),
        (
            "cityscapes",
            "cityscapes",
            "Cityscapes",
            "Cityscapes, 19 classes per pixel, clients by city",
        ),
        (
            "textures",
            "textures",
            "Textures",
            "mosaics of textures that ship inside scikit-image, with exact annotations",
        ),
        ("arrays", "arrays", "Arrays", "NumPy arrays in an .npz file"),
        function="load",
    ),
    **family(
        "fedzda.clients.sources",
        (
            "photographs",
            "photographs",
            "Photographs",
            "photographs that ship inside scikit-image and scikit-learn, in pieces",
        ),
        (
            "parallax",
            "parallax",
            "Parallax",
            "clips of a moving camera, from the stereo pair inside scikit-image",
        ),
        function="load",
    ),
}

PARTITIONERS = family(
    "fedzda.platform.data.partitioners",
    ("iid", "iid", "Iid", "equal shares of shuffled data"),
    ("dirichlet", "dirichlet", "Dirichlet", "label shares from Dirichlet(alpha), vectorised"),
    ("flwr-dirichlet", "flwr", "FlwrDirichlet", "flwr-datasets' Dirichlet with retries"),
    (
        "inner-dirichlet",
        "inner_dirichlet",
        "InnerDirichlet",
        "given sizes, Dirichlet labels inside",
    ),
    (
        "flwr-inner-dirichlet",
        "flwr",
        "FlwrInnerDirichlet",
        "flwr-datasets' inner Dirichlet, sample by sample",
    ),
    ("pathological", "pathological", "Pathological", "a fixed number of classes per client"),
    ("flwr-pathological", "flwr", "FlwrPathological", "flwr-datasets' fixed number of classes"),
    ("label-quantity", "label_quantity", "LabelQuantity", "label and quantity skew at once"),
    ("clusters", "clusters", "Clusters", "clusters of clients that share a label distribution"),
    ("shard", "flwr", "Shard", "shards of label-sorted data"),
    ("distribution", "flwr", "Distribution", "label shares from a given table"),
    ("continuous", "flwr", "Continuous", "split along a real-valued column"),
    ("natural-id", "flwr", "NaturalId", "one client per value of a column"),
    ("grouped-natural-id", "flwr", "GroupedNaturalId", "several natural ids per client"),
    ("size", "flwr", "Size", "given sizes"),
    ("linear", "flwr", "Linear", "sizes grow linearly"),
    ("square", "flwr", "Square", "sizes grow with the square"),
    ("exponential", "flwr", "Exponential", "sizes grow exponentially"),
    function="assign",
)

SHIFTS = family(
    "fedzda.platform.data.shifts",
    ("rotation", "rotation", "Rotation", "clients see their images turned"),
    ("noise", "noise", "Noise", "clients see their images through noise"),
    ("colour", "colour", "Colour", "clients see their images in other colours or brightness"),
)
