"""What ships with fedzda, by kind and name. Listing it imports nothing.

An entry's ``target`` is the component; ``config`` is its configuration class, which stands in a
module that imports neither torch nor Flower wherever the component itself needs torch.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One built-in component."""

    target: str
    """``package.module:Name`` of the component."""
    summary: str
    """One line for ``fedzda list``."""
    config: str = ""
    """``package.module:Name`` of its configuration class; empty: the component's own ``Config``."""


_SOURCES = "fedzda.platform.data.sources"
_PARTS = "fedzda.platform.data.partitioners"
_SHIFTS = "fedzda.platform.data.shifts"
_MODELS = "fedzda.clients.models"
_MODEL_CONFIG = "fedzda.clients.models.config"
_GSANET_CONFIG = "fedzda.vision.gsanet.config"
_STRATEGIES = "fedzda.strategies"
_FLWR = "fedzda.strategies.flwr_plain"
_DEVICES = "fedzda.platform.devices.config"
_TRACKERS = "fedzda.platform.trackers"
_UPLINK = "fedzda.clients.uplink"
_VARIANTS = "fedzda.clients.variants"


def _flwr(name: str, summary: str) -> Entry:
    return Entry(f"{_FLWR}:FlowerStrategy", summary, f"fedzda.strategies.flwr_config:{name}")


CATALOG: dict[str, dict[str, Entry]] = {
    "datasets": {
        "digits": Entry(
            f"{_SOURCES}.digits:load",
            "8x8 digits that ship inside scikit-learn",
            f"{_SOURCES}.config:DigitsConfig",
        ),
        "parquet": Entry(
            f"{_SOURCES}.parquet:load",
            "Parquet files in the layout of hub data sets",
            f"{_SOURCES}.config:ParquetConfig",
        ),
        "folder": Entry(
            f"{_SOURCES}.folder:load",
            "image folder, one sub-folder per class",
            f"{_SOURCES}.config:FolderConfig",
        ),
        "hub": Entry(
            f"{_SOURCES}.hub:load",
            "a Hugging Face data set by name",
            f"{_SOURCES}.config:HubConfig",
        ),
        "segmentation-folder": Entry(
            f"{_SOURCES}.segmentation_folder:load",
            "folders of images and of annotations with a class per pixel",
            f"{_SOURCES}.config:SegmentationFolderConfig",
        ),
        "ade20k": Entry(
            f"{_SOURCES}.ade20k:load",
            "ADE20K scene parsing, 150 classes per pixel",
            f"{_SOURCES}.config:ADE20KConfig",
        ),
        "cityscapes": Entry(
            f"{_SOURCES}.cityscapes:load",
            "Cityscapes, 19 classes per pixel, clients by city",
            f"{_SOURCES}.config:CityscapesConfig",
        ),
        "textures": Entry(
            f"{_SOURCES}.textures:load",
            "mosaics of textures that ship inside scikit-image, with exact annotations",
            f"{_SOURCES}.config:TexturesConfig",
        ),
        "photographs": Entry(
            "fedzda.clients.sources.photographs:load",
            "photographs that ship inside scikit-image and scikit-learn, in pieces",
            "fedzda.clients.sources.config:PhotographsConfig",
        ),
        "parallax": Entry(
            "fedzda.clients.sources.parallax:load",
            "clips of a moving camera, from the stereo pair inside scikit-image",
            "fedzda.clients.sources.config:ParallaxConfig",
        ),
        "arrays": Entry(
            f"{_SOURCES}.arrays:load",
            "NumPy arrays in an .npz file",
            f"{_SOURCES}.config:ArraysConfig",
        ),
    },
    "partitioners": {
        name: Entry(f"{_PARTS}.{module}:assign", summary, f"{_PARTS}.config:{config}")
        for name, module, config, summary in [
            ("iid", "iid", "IidConfig", "equal shares of shuffled data"),
            (
                "dirichlet",
                "dirichlet",
                "DirichletConfig",
                "label shares from Dirichlet(alpha), vectorised",
            ),
            (
                "flwr-dirichlet",
                "flwr",
                "FlwrDirichletConfig",
                "flwr-datasets' Dirichlet with retries",
            ),
            (
                "inner-dirichlet",
                "inner_dirichlet",
                "InnerDirichletConfig",
                "given sizes, Dirichlet labels inside",
            ),
            (
                "flwr-inner-dirichlet",
                "flwr",
                "FlwrInnerDirichletConfig",
                "flwr-datasets' inner Dirichlet, sample by sample",
            ),
            (
                "pathological",
                "pathological",
                "PathologicalConfig",
                "a fixed number of classes per client",
            ),
            (
                "flwr-pathological",
                "flwr",
                "FlwrPathologicalConfig",
                "flwr-datasets' fixed number of classes",
            ),
            (
                "label-quantity",
                "label_quantity",
                "LabelQuantityConfig",
                "label and quantity skew at once",
            ),
            (
                "clusters",
                "clusters",
                "ClustersConfig",
                "clusters of clients that share a label distribution",
            ),
            ("shard", "flwr", "ShardConfig", "shards of label-sorted data"),
            ("distribution", "flwr", "DistributionConfig", "label shares from a given table"),
            ("continuous", "flwr", "ContinuousConfig", "split along a real-valued column"),
            ("natural-id", "flwr", "NaturalIdConfig", "one client per value of a column"),
            (
                "grouped-natural-id",
                "flwr",
                "GroupedNaturalIdConfig",
                "several natural ids per client",
            ),
            ("size", "flwr", "SizeConfig", "given sizes"),
            ("linear", "flwr", "LinearConfig", "sizes grow linearly"),
            ("square", "flwr", "SquareConfig", "sizes grow with the square"),
            ("exponential", "flwr", "ExponentialConfig", "sizes grow exponentially"),
        ]
    },
    "shifts": {
        name: Entry(f"{_SHIFTS}.{name}:{made}", summary, f"{_SHIFTS}.config:{made}Config")
        for name, made, summary in [
            ("rotation", "Rotation", "clients see their images turned"),
            ("noise", "Noise", "clients see their images through noise"),
            ("colour", "Colour", "clients see their images in other colours or brightness"),
        ]
    },
    "models": {
        "mlp": Entry(
            f"{_MODELS}.mlp:MLP",
            "two hidden layers, BatchNorm by option",
            f"{_MODEL_CONFIG}:MLPConfig",
        ),
        "cnn": Entry(
            f"{_MODELS}.cnn:CNN", "the CNN of McMahan et al. 2017", f"{_MODEL_CONFIG}:CNNConfig"
        ),
        "lenet-bn": Entry(
            f"{_MODELS}.lenet_bn:LeNetBN", "LeNet with BatchNorm", f"{_MODEL_CONFIG}:LeNetConfig"
        ),
        "resnet-8": Entry(
            f"{_MODELS}.resnet:ResNet8", "CIFAR ResNet, 8 layers", f"{_MODEL_CONFIG}:ResNet8Config"
        ),
        "resnet-20": Entry(
            f"{_MODELS}.resnet:ResNet20",
            "CIFAR ResNet, 20 layers",
            f"{_MODEL_CONFIG}:ResNet20Config",
        ),
        "resnet-32": Entry(
            f"{_MODELS}.resnet:ResNet32",
            "CIFAR ResNet, 32 layers, no last ReLU (LUCIR)",
            f"{_MODEL_CONFIG}:ResNet32Config",
        ),
        "resnet-18": Entry(
            f"{_MODELS}.resnet:ResNet18",
            "ResNet-18 with a CIFAR stem",
            f"{_MODEL_CONFIG}:ResNet18Config",
        ),
        "wrn-16-1": Entry(
            f"{_MODELS}.wrn:WRN161",
            "wide ResNet, depth 16, width 1",
            f"{_MODEL_CONFIG}:WRN161Config",
        ),
        "wrn-40-2": Entry(
            f"{_MODELS}.wrn:WRN402",
            "wide ResNet, depth 40, width 2",
            f"{_MODEL_CONFIG}:WRN402Config",
        ),
        "mobilenet-v2": Entry(
            f"{_MODELS}.mobilenet_v2:MobileNetV2",
            "MobileNetV2 in CIFAR form",
            f"{_MODEL_CONFIG}:MobileNetV2Config",
        ),
        "gsanet": Entry(
            "fedzda.vision.gsanet.model:GSANet",
            "segmentation with global and selective attention",
            f"{_GSANET_CONFIG}:GSANetConfig",
        ),
        "deeplab-v3-plus": Entry(
            "fedzda.vision.gsanet.model:DeepLabV3Plus",
            "segmentation with average pooling and concatenation",
            f"{_GSANET_CONFIG}:DeepLabV3PlusConfig",
        ),
        "diffusion-unet": Entry(
            f"{_MODELS}.diffusion_unet:DiffusionUNet",
            "noise predictor of a diffusion model, from diffusers",
            f"{_MODEL_CONFIG}:DiffusionUNetConfig",
        ),
        **{
            name: Entry(
                f"fedzda.vision.restoration.networks.{module}:{made}",
                summary,
                f"fedzda.vision.restoration.config:{made}Config",
            )
            for name, module, made, summary in [
                ("dncnn", "dncnn", "DnCNN", "denoiser: plain convolutions (Zhang et al. 2017)"),
                ("nafnet", "nafnet", "NAFNet", "denoiser: gates (Chen et al. 2022)"),
                ("mrdn", "mrdn", "MRDN", "denoiser: multi-rate dense blocks (Bao et al. 2020)"),
                ("mcu-net", "mcu_net", "MCUNet", "denoiser: cascaded U-Nets (Bao et al. 2020)"),
                ("mwrcanet", "mwrcanet", "MWRCANet", "denoiser: wavelets (NTIRE 2020)"),
                ("rrdb-net", "rrdb_net", "RRDBNet", "super-resolver of ESRGAN"),
                ("sr-residual", "sr_residual", "SRResidual", "super-resolver after EDSR"),
                ("imdn", "imdn", "IMDN", "super-resolver: distillation (Hui et al. 2019)"),
            ]
        },
        "lr-aspp": Entry(
            "fedzda.vision.gsanet.lr_aspp:LRASPP",
            "segmentation with the light head of MobileNetV3",
            f"{_GSANET_CONFIG}:LRASPPConfig",
        ),
    },
    "tasks": {
        "classification": Entry(
            "fedzda.clients.tasks.classification:Classification",
            "cross entropy; accuracy and per-class recall",
            "fedzda.clients.tasks.config:ClassificationConfig",
        ),
        "segmentation": Entry(
            "fedzda.clients.tasks.segmentation:Segmentation",
            "cross entropy per pixel; mIoU from summed confusion matrices",
            "fedzda.clients.tasks.config:SegmentationConfig",
        ),
        "denoising": Entry(
            "fedzda.clients.tasks.denoising:Denoising",
            "images without their noise; PSNR and SSIM per image",
            "fedzda.clients.tasks.restoration_config:DenoisingConfig",
        ),
        "super-resolution": Entry(
            "fedzda.clients.tasks.super_resolution:SuperResolution",
            "larger images for cameras whose blur and noise nobody knows",
            "fedzda.clients.tasks.restoration_config:SuperResolutionConfig",
        ),
        "diffusion": Entry(
            "fedzda.clients.tasks.diffusion:Diffusion",
            "noise prediction of a diffusion model; cheap sampling on devices",
            "fedzda.clients.tasks.config:DiffusionConfig",
        ),
    },
    "scenarios": {
        "class-incremental": Entry(
            "fedzda.clients.incremental.head:fit_head",
            "classes arrive in phases",
            "fedzda.platform.scenario.config:ClassIncrementalConfig",
        ),
    },
    "synthesizers": {
        "zs-cgan": Entry(
            "fedzda.generators.zs_cgan:ZSCGAN",
            "conditional generator from a frozen classifier",
            "fedzda.generators.config:ZSCGANConfig",
        ),
        "image-distillation": Entry(
            "fedzda.generators.image_distillation:ImageDistillation",
            "direct optimisation of pixels",
            "fedzda.generators.config:ImageDistillationConfig",
        ),
        "adversarial": Entry(
            "fedzda.generators.adversarial:Adversarial",
            "generators against students, before a frozen classifier",
            "fedzda.generators.config:AdversarialConfig",
        ),
    },
    "strategies": {
        "fed-avg": Entry(
            f"{_STRATEGIES}.fed_avg:FedAvg",
            "weighted averaging (McMahan et al. 2017)",
            f"{_STRATEGIES}.config:FedAvgConfig",
        ),
        "fed-zdac": Entry(
            f"{_STRATEGIES}.fed_zdac:FedZDAC",
            "zero-shot data augmentation at the clients",
            f"{_STRATEGIES}.config:FedZDACConfig",
        ),
        "fed-zdas": Entry(
            f"{_STRATEGIES}.fed_zdas:FedZDAS",
            "zero-shot data augmentation at the server",
            f"{_STRATEGIES}.config:FedZDASConfig",
        ),
        "fed-zda": Entry(
            f"{_STRATEGIES}.fed_zda:FedZDA",
            "zero-shot data augmentation at both ends",
            f"{_STRATEGIES}.config:FedZDAConfig",
        ),
        **{
            name: Entry(
                f"{_STRATEGIES}.{module}:{made}",
                summary,
                f"{_STRATEGIES}.config:{made}Config",
            )
            for name, module, made, summary in [
                ("q-ffl", "q_ffl", "QFFL", "high losses count more (Li et al. 2020)"),
                ("afl", "afl", "AFL", "the worst mixture of clients (Mohri et al. 2019)"),
                ("term", "term", "Term", "weights tilted by the loss (Li et al. 2021)"),
                ("prop-fair", "prop_fair", "PropFair", "product of utilities (Zhang et al. 2023)"),
                ("fed-mgda", "fed_mgda", "FedMGDA", "shortest mixture of updates (Hu et al. 2020)"),
                ("fed-fv", "fed_fv", "FedFV", "updates without conflicts (Wang et al. 2021)"),
                ("gifair", "gifair", "Gifair", "weights by rank of the loss (Yue et al. 2021)"),
                ("fed-prox", "fed_prox", "FedProx", "clients stay close (Li et al. 2020)"),
                ("ditto", "ditto", "Ditto", "personal models beside the global (Li et al. 2021)"),
                ("fed-bn", "fed_bn", "FedBN", "BatchNorm stays on the client (Li et al. 2021)"),
                ("scaffold", "scaffold", "Scaffold", "control variates (Karimireddy et al. 2020)"),
                ("fed-nova", "fed_nova", "FedNova", "normalised averaging (Wang et al. 2020)"),
                ("fed-buff", "fed_buff", "FedBuff", "nobody waits (Nguyen et al. 2022)"),
                ("moon", "moon", "Moon", "contrast with the last own model (Li et al. 2021)"),
                ("fed-gen", "fed_gen", "FedGen", "features from a generator (Zhu et al. 2021)"),
                ("fed-cog", "fed_cog", "FedCOG", "complementary images (after Ye et al. 2024)"),
                ("local-only", "local_only", "LocalOnly", "control: every client trains alone"),
                ("centralised", "centralised", "Centralised", "control: all data in one place"),
                ("equal-steps", "equal_steps", "EqualSteps", "control: the steps of fed-zdac"),
                (
                    "oversampling",
                    "oversampling",
                    "Oversampling",
                    "control: repeat samples of a client's rare classes",
                ),
                ("placebo", "placebo", "Placebo", "control: noise images, labels of fed-zdac"),
                ("oracle", "oracle", "Oracle", "control: real images of the missing classes"),
            ]
        },
        "fed-dfgr": Entry(
            f"{_STRATEGIES}.fed_dfgr:FedDFGR",
            "class-incremental learning with data-free replay and two teachers",
            f"{_STRATEGIES}.incremental_config:FedDFGRConfig",
        ),
        "flwr-fed-avg": _flwr("FlwrFedAvgConfig", "Flower's FedAvg"),
        "flwr-fed-prox": _flwr(
            "FlwrFedProxConfig", "Flower's FedProx; the proximal term is added at the client"
        ),
        "flwr-fed-avg-m": _flwr("FlwrFedAvgMConfig", "Flower's FedAvgM, server momentum"),
        "flwr-fed-adam": _flwr("FlwrFedAdamConfig", "Flower's FedAdam"),
        "flwr-fed-yogi": _flwr("FlwrFedYogiConfig", "Flower's FedYogi"),
        "flwr-fed-adagrad": _flwr("FlwrFedAdagradConfig", "Flower's FedAdagrad"),
        "flwr-q-fed-avg": _flwr("FlwrQFedAvgConfig", "Flower's q-FedAvg"),
        "flwr-fed-median": _flwr("FlwrFedMedianConfig", "Flower's coordinate-wise median"),
        "flwr-fed-trimmed-avg": _flwr("FlwrFedTrimmedAvgConfig", "Flower's trimmed mean"),
        "flwr-krum": _flwr("FlwrKrumConfig", "Flower's Krum"),
        "flwr-multi-krum": _flwr("FlwrMultiKrumConfig", "Flower's Multi-Krum"),
        "flwr-bulyan": _flwr("FlwrBulyanConfig", "Flower's Bulyan"),
    },
    "devices": {
        name: Entry(f"{_DEVICES}:{config}", summary, f"{_DEVICES}:{config}")
        for name, config, summary in [
            ("uniform", "UniformDevices", "equal devices, always there; no virtual clock"),
            ("profiles", "ProfilesConfig", "shares of devices of different speed; virtual clock"),
        ]
    },
    "variants": {
        name: Entry(f"{_VARIANTS}.{module}:{made}", summary, f"{_VARIANTS}.config:{made}Config")
        for name, module, made, summary in [
            ("full", "full", "Full", "the global model as it is"),
            ("excluded", "full", "Excluded", "takes no part in training; tested on the full model"),
            ("width", "width", "Width", "fewer channels (HeteroFL, FedRolex, FjORD)"),
            ("depth", "depth", "Depth", "the first stages with a head of their own (DepthFL)"),
            ("quantized", "quantized", "Quantized", "trained or tested with few bits"),
            ("int8", "int8", "Int8", "trained as full, tested in ONNX Runtime with integers"),
            ("auto", "full", "Auto", "the widest form that fits memory and deadline"),
        ]
    },
    "uplinks": {
        name: Entry(f"{_UPLINK}.{module}:{made}", summary, f"{_UPLINK}.config:{made}Config")
        for name, module, made, summary in [
            ("top-k", "top_k", "TopK", "the largest changes only; the rest is kept for later"),
            ("qsgd", "qsgd", "QSGD", "stochastic rounding to a few levels (Alistarh et al. 2017)"),
            ("fp16", "fp16", "FP16", "half precision"),
        ]
    },
    "privacy": {
        name: Entry(
            f"{_STRATEGIES}.private:PrivateStrategy",
            summary,
            f"{_STRATEGIES}.private_config:{config}",
        )
        for name, config, summary in [
            ("central-fixed", "CentralFixedConfig", "the server clips and adds noise to the mean"),
            (
                "central-adaptive",
                "CentralAdaptiveConfig",
                "as central-fixed; the clipping norm follows a quantile",
            ),
            ("client-fixed", "ClientFixedConfig", "clients clip, the server adds noise"),
            (
                "client-adaptive",
                "ClientAdaptiveConfig",
                "as client-fixed; the clipping norm follows a quantile",
            ),
            ("local", "LocalDpConfig", "clients clip and add noise; the server is not trusted"),
        ]
    },
    "engines": {
        "inline": Entry(
            "fedzda.platform.engines.inline:InlineEngine",
            "one process, debugger-friendly",
            "fedzda.platform.config:InlineConfig",
        ),
        "ray": Entry(
            "fedzda.platform.engines.ray:RayEngine",
            "Ray actors on a laptop, a GPU box or a cluster",
            "fedzda.platform.config:RayConfig",
        ),
        "flower": Entry(
            "fedzda.platform.engines.flower:FlowerEngine",
            "Flower's stock simulation engine",
            "fedzda.platform.config:FlowerConfig",
        ),
    },
    "commands": {
        "synthesize": Entry(
            "fedzda.clients.commands.synthesize:synthesize",
            "Make labelled images from a trained classifier.",
        ),
        "probe": Entry(
            "fedzda.clients.commands.probe:probe",
            "Look for the clients' own images among a run's synthetic ones.",
        ),
        "quantize": Entry(
            "fedzda.clients.commands.quantize:quantize",
            "Give a trained classifier fewer bits, without data.",
        ),
        "merge": Entry(
            "fedzda.clients.commands.merge:merge",
            "Make one classifier of two with different classes, without data.",
        ),
        "hypercon": Entry(
            "fedzda.clients.commands.hypercon:hypercon",
            "Make an image model consistent on video.",
        ),
    },
    "exports": {},
    "trackers": {
        name: Entry(f"{_TRACKERS}.{name}:{made}", summary, f"{_TRACKERS}.config:{made}Config")
        for name, made, summary in [
            ("tensorboard", "TensorBoard", "event files for TensorBoard"),
            ("wandb", "Wandb", "Weights & Biases, offline unless told otherwise"),
            ("mlflow", "Mlflow", "MLflow: a local database or file store, or a server"),
        ]
    },
    "runtimes": {
        "flower-app": Entry(
            "fedzda.clients.app:make_app", "the same clients as a Flower ClientApp"
        ),
        "local": Entry(
            "fedzda.clients.runtime:ClientRuntime", "trains and evaluates simulated devices"
        ),
    },
}
