"""Models that clients train."""

from __future__ import annotations

from fedzda.platform.catalog.entry import Entry, family

MODELS: dict[str, Entry] = {
    **family(
        "fedzda.clients.models",
        ("mlp", "mlp", "MLP", "two hidden layers, BatchNorm by option"),
        ("cnn", "cnn", "CNN", "the CNN of McMahan et al. 2017"),
        ("lenet-bn", "lenet_bn", "LeNetBN", "LeNet with BatchNorm"),
        ("resnet-8", "resnet", "ResNet8", "CIFAR ResNet, 8 layers"),
        ("resnet-20", "resnet", "ResNet20", "CIFAR ResNet, 20 layers"),
        ("resnet-32", "resnet", "ResNet32", "CIFAR ResNet, 32 layers, no last ReLU (LUCIR)"),
        ("resnet-18", "resnet", "ResNet18", "ResNet-18 with a CIFAR stem"),
        ("wrn-16-1", "wrn", "WRN161", "wide ResNet, depth 16, width 1"),
        ("wrn-40-2", "wrn", "WRN402", "wide ResNet, depth 40, width 2"),
        ("mobilenet-v2", "mobilenet_v2", "MobileNetV2", "MobileNetV2 in CIFAR form"),
        (
            "diffusion-unet",
            "diffusion_unet",
            "DiffusionUNet",
            "noise predictor of a diffusion model, from diffusers",
        ),
    ),
    **family(
        "fedzda.vision.gsanet",
        ("gsanet", "model", "GSANet", "segmentation with global and selective attention"),
        (
            "deeplab-v3-plus",
            "model",
            "DeepLabV3Plus",
            "segmentation with average pooling and concatenation",
        ),
        ("lr-aspp", "lr_aspp", "LRASPP", "segmentation with the light head of MobileNetV3"),
    ),
    **family(
        "fedzda.vision.restoration.networks",
        ("dncnn", "dncnn", "DnCNN", "denoiser: plain convolutions (Zhang et al. 2017)"),
        ("nafnet", "nafnet", "NAFNet", "denoiser: gates (Chen et al. 2022)"),
        ("mrdn", "mrdn", "MRDN", "denoiser: multi-rate dense blocks (Bao et al. 2020)"),
        ("mcu-net", "mcu_net", "MCUNet", "denoiser: cascaded U-Nets (Bao et al. 2020)"),
        ("mwrcanet", "mwrcanet", "MWRCANet", "denoiser: wavelets (NTIRE 2020)"),
        ("rrdb-net", "rrdb_net", "RRDBNet", "super-resolver of ESRGAN"),
        ("sr-residual", "sr_residual", "SRResidual", "super-resolver after EDSR"),
        ("imdn", "imdn", "IMDN", "super-resolver: distillation (Hui et al. 2019)"),
        config="fedzda.vision.restoration.config",
    ),
}
