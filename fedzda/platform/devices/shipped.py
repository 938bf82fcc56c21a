"""Classes of phones with published figures.

Compute is what a phone reaches on MobileNet 1.0 (224 pixels, float, 569 million multiply-adds by
Howard et al., 2017, arXiv 1704.04861), by the times that the documentation of TensorFlow Lite
("Performance measurement", Android 10, and its earlier edition for one thread) lists:

    phone-high   Pixel 4, four threads     14.0 ms   40.6 billion MAC/s
    phone-mid    Pixel 3, four threads     23.9 ms   23.8 billion MAC/s
    phone-low    Pixel XL, one thread     113.3 ms    5.0 billion MAC/s

Links are published means or medians of speed tests:

    phone-high   5G, medians of all countries, Ookla Speedtest Intelligence, third quarter of 2021
    phone-mid    mobile networks of the United States, means, Ookla, first half of 2018
    phone-low    cellular download of the United States, mean, Akamai, first quarter of 2017

Memory is that of the phones named, but 2 GB of phone-low, and its uplink, a quarter of its
downlink, are our choice. So is taking the rate of inference for training: training keeps more
activations and usually reaches less.
"""

from __future__ import annotations

from typing import Any

_MOBILENET_MACS = 569e6


def _phone(milliseconds: float, gigabytes: float, down: float, up: float) -> dict[str, Any]:
    return {
        "compute": round(_MOBILENET_MACS / milliseconds * 1000, -8),
        "memory": gigabytes * 1e9,
        "uplink": up * 1e6,
        "downlink": down * 1e6,
    }


SHIPPED: dict[str, dict[str, Any]] = {
    "phone-high": _phone(14.0, 6, down=166.13, up=21.08),
    "phone-mid": _phone(23.9, 4, down=27.33, up=8.63),
    "phone-low": _phone(113.3, 2, down=10.7, up=2.7),
}
"""Name to the keys of :class:`fedzda.platform.devices.config.ProfileConfig`."""
