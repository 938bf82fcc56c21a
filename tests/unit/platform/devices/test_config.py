"""What may stand under ``devices:`` and ``uplink:``, and what is said about the rest."""

import pytest

from fedzda.base import UserError
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict, load_config
from fedzda.platform.devices.config import ProfilesConfig
from fedzda.platform.devices.shipped import SHIPPED

RAW = {
    "name": "devices",
    "data": {"name": "digits", "clients": 20},
    "model": {"name": "mlp"},
    "strategy": {"name": "fed-avg"},
}
NUMBERS = {"name": "sensor", "compute": 1e8, "memory": 1e8, "uplink": 1e6, "downlink": 1e6}


def read(devices, **changes):
    return from_dict({**RAW, "devices": devices, **changes})


def test_uniform_is_the_default_and_has_no_clock():
    assert from_dict(RAW).devices.name == "uniform"
    assert not from_dict(RAW).devices.clock


def test_a_list_stands_for_profiles():
    listed = [{"profile": "phone-low", "share": 0.5}, {"profile": NUMBERS, "share": 0.5}]
    short, long = read(listed), read({"name": "profiles", "profiles": listed})
    assert isinstance(short.devices, ProfilesConfig)
    assert plain(short) == plain(long)
    assert [entry.profile.name for entry in short.devices.profiles] == ["phone-low", "sensor"]
    assert plain(from_dict(plain(short))) == plain(short)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles(name):
    (entry,) = read([{"profile": name, "share": 1.0}]).devices.profiles
    assert entry.profile.name == name
    assert entry.variant.name == "full"


def entry(**changes):
    return [{"profile": {**NUMBERS, **changes.pop("numbers", {})}, "share": 1.0, **changes}]


WRONG = [
    ([{"profile": "phone-lo", "share": 1.0}], "Did you mean 'phone-low'. Shipped: phone-high"),
    ([{"profile": "phone-low", "share": 0.5}], "shares of all profiles must sum to 1 .got 0.5"),
    (entry(share=-0.5), "'devices.profiles.0.share' should be greater than 0 .got -0.5"),
    (entry(numbers={"compute": -1.0}), "profile.compute' should be greater than 0"),
    (entry(numbers={"uplnk": 1.0}), "unknown key .*uplnk'. Did you mean 'uplink'"),
    (entry(numbers={"uplink": 0}), "profile.uplink' should be greater than 0 .got 0"),
    (
        [{"profile": {"name": "x"}, "share": 1.0}],
        "missing key 'devices.profiles.0.profile.compute'",
    ),
    ([{"share": 1.0}], "missing key 'devices.profiles.0.profile'"),
    ([], "'devices.profiles' should be a list of at least 1 items"),
    (entry(dropout=1.0), "dropout' should be less than 1"),
    (entry(variant="half"), "no variants named 'half'"),
    (entry(variant={"name": "width", "ratio": 2.0}), "'ratio' should be less than or equal to 1"),
    (entry(availability={"name": "nightly"}), "Choose one of: always, diurnal, trace"),
    (entry(availability={"name": "diurnal", "hours": 25}), "hours' should be less than or equal"),
    (entry(availability={"name": "trace"}), "missing key .*availability.path"),
    (
        [{"profile": "phone-low", "share": 0.5}, {"profile": "phone-low", "share": 0.5}],
        "2 entries are called 'phone-low'",
    ),
    ({"name": "profiles", "profiles": entry(), "deadline": -3}, "deadline' should be greater"),
    ({"name": "profiles", "profiles": entry(), "over_commit": -1}, "over_commit' should be"),
    ({"name": "phones"}, "'devices.name' is 'phones'. Choose one of: profiles, uniform"),
    ("phone-low", "'devices' should be a block of keys"),
]


@pytest.mark.parametrize(("devices", "sentence"), WRONG, ids=[case[1] for case in WRONG])
def test_devices_that_make_no_sense(devices, sentence):
    with pytest.raises(UserError, match=sentence):
        read(devices)


def test_the_line_of_a_list_is_named(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\ndata: {name: digits, clients: 4}\nmodel: {name: mlp}\n"
        "strategy: {name: fed-avg}\ndevices:\n  - profile: phone-low\n    share: 2.0\n"
    )
    with pytest.raises(UserError, match=r"x.yaml:7: 'devices.profiles.0.share' should be less"):
        load_config(path)
    assert load_config(path, ["devices.0.share=1.0"]).config.devices.profiles[0].share == 1.0


BUFF = {"name": "fed-buff", "clients_per_round": 3, "concurrency": 5}
TOGETHER = [
    ({"strategy": BUFF}, "fed-buff', which lives on devices of different speed"),
    (
        {"strategy": BUFF, "devices": {"name": "profiles", "profiles": entry(), "deadline": 9}},
        "'devices.deadline' is about rounds that wait for clients.*got 9",
    ),
    (
        {
            "strategy": BUFF,
            "devices": {"name": "profiles", "profiles": entry(), "over_commit": 0.3},
        },
        "'devices.over_commit' is about rounds that wait",
    ),
    (
        {"strategy": {**BUFF, "concurrency": 21}, "devices": entry()},
        "'strategy.concurrency' should be at most data.clients, which is 20",
    ),
    (
        {"strategy": {**BUFF, "sampling": "size-weighted"}, "devices": entry()},
        "'strategy.sampling' is 'size-weighted'. Choose one of: uniform",
    ),
    (
        {"privacy": {"name": "central-fixed", "noise_multiplier": 1.0}, "devices": entry()},
        "'devices' cannot be combined with 'privacy'",
    ),
    (
        {"privacy": {"name": "central-fixed", "noise_multiplier": 1.0}, "uplink": {"name": "fp16"}},
        "'uplink' cannot be combined with 'privacy'",
    ),
    ({"uplink": {"name": "topk"}}, "'uplink.name' is 'topk'.*Choose one of: fp16, qsgd, top-k"),
    ({"uplink": {"name": "top-k", "fraction": 0}}, "fraction' should be greater than 0"),
    ({"uplink": {"name": "qsgd", "bits": 1}}, "bits' should be greater than or equal to 2"),
    ({"uplink": {"fraction": 0.1}}, "missing key 'uplink.name'"),
]


@pytest.mark.parametrize(("changes", "sentence"), TOGETHER, ids=[case[1] for case in TOGETHER])
def test_what_does_not_go_together(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        from_dict({**RAW, **changes})
