"""Strategies, and the differential privacy that goes around them."""

from __future__ import annotations

from fedzda.platform.catalog.entry import Entry, family

_OURS = "fedzda.strategies"
_CONFIG = "fedzda.strategies.config"


def _flwr(*rows: tuple[str, str, str]) -> dict[str, Entry]:
    """Flower's own strategies: name, class, summary."""
    return {
        name: Entry(f"{_OURS}.flwr_plain:FlowerStrategy", summary, f"{_CONFIG}.flwr:{made}Config")
        for name, made, summary in rows
    }


STRATEGIES: dict[str, Entry] = {
    **family(
        _OURS,
        ("fed-avg", "fed_avg", "FedAvg", "weighted averaging (McMahan et al. 2017)"),
        ("fed-buff", "fed_buff", "FedBuff", "nobody waits (Nguyen et al. 2022)"),
        config=f"{_CONFIG}.mean",
    ),
    **family(
        _OURS,
        ("fed-zdac", "fed_zdac", "FedZDAC", "zero-shot data augmentation at the clients"),
        ("fed-zdas", "fed_zdas", "FedZDAS", "zero-shot data augmentation at the server"),
        ("fed-zda", "fed_zda", "FedZDA", "zero-shot data augmentation at both ends"),
        config=f"{_CONFIG}.zda",
    ),
    **family(
        _OURS,
        ("q-ffl", "q_ffl", "QFFL", "high losses count more (Li et al. 2020)"),
        ("afl", "afl", "AFL", "the worst mixture of clients (Mohri et al. 2019)"),
        ("term", "term", "Term", "weights tilted by the loss (Li et al. 2021)"),
        ("prop-fair", "prop_fair", "PropFair", "product of utilities (Zhang et al. 2023)"),
        ("fed-mgda", "fed_mgda", "FedMGDA", "shortest mixture of updates (Hu et al. 2020)"),
        ("fed-fv", "fed_fv", "FedFV", "updates without conflicts (Wang et al. 2021)"),
        ("gifair", "gifair", "Gifair", "weights by rank of the loss (Yue et al. 2021)"),
        config=f"{_CONFIG}.fairness",
    ),
    **family(
        _OURS,
        ("ditto", "ditto", "Ditto", "personal models beside the global (Li et al. 2021)"),
        ("fed-bn", "fed_bn", "FedBN", "BatchNorm stays on the client (Li et al. 2021)"),
        config=f"{_CONFIG}.personal",
    ),
    **family(
        _OURS,
        ("fed-prox", "fed_prox", "FedProx", "clients stay close (Li et al. 2020)"),
        ("scaffold", "scaffold", "Scaffold", "control variates (Karimireddy et al. 2020)"),
        ("fed-nova", "fed_nova", "FedNova", "normalised averaging (Wang et al. 2020)"),
        ("moon", "moon", "Moon", "contrast with the last own model (Li et al. 2021)"),
        config=f"{_CONFIG}.drift",
    ),
    **family(
        _OURS,
        ("fed-gen", "fed_gen", "FedGen", "features from a generator (Zhu et al. 2021)"),
        ("fed-cog", "fed_cog", "FedCOG", "complementary images (after Ye et al. 2024)"),
        config=f"{_CONFIG}.generative",
    ),
    **family(
        _OURS,
        (
            "ensemble-distillation",
            "ensemble_distillation",
            "EnsembleDistillation",
            "architectures taught by the clients' ensemble, data-free (DENSE, FedFTG)",
        ),
        config=f"{_CONFIG}.ensemble",
    ),
    **family(
        _OURS,
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
        config=f"{_CONFIG}.controls",
    ),
    **family(
        _OURS,
        (
            "fed-dfgr",
            "fed_dfgr",
            "FedDFGR",
            "class-incremental learning with data-free replay and two teachers",
        ),
        config=f"{_CONFIG}.incremental",
    ),
    **_flwr(
        ("flwr-fed-avg", "FlwrFedAvg", "Flower's FedAvg"),
        (
            "flwr-fed-prox",
            "FlwrFedProx",
            "Flower's FedProx; the proximal term is added at the client",
        ),
        ("flwr-fed-avg-m", "FlwrFedAvgM", "Flower's FedAvgM, server momentum"),
        ("flwr-fed-adam", "FlwrFedAdam", "Flower's FedAdam"),
        ("flwr-fed-yogi", "FlwrFedYogi", "Flower's FedYogi"),
        ("flwr-fed-adagrad", "FlwrFedAdagrad", "Flower's FedAdagrad"),
        ("flwr-q-fed-avg", "FlwrQFedAvg", "Flower's q-FedAvg"),
        ("flwr-fed-median", "FlwrFedMedian", "Flower's coordinate-wise median"),
        ("flwr-fed-trimmed-avg", "FlwrFedTrimmedAvg", "Flower's trimmed mean"),
        ("flwr-krum", "FlwrKrum", "Flower's Krum"),
        ("flwr-multi-krum", "FlwrMultiKrum", "Flower's Multi-Krum"),
        ("flwr-bulyan", "FlwrBulyan", "Flower's Bulyan"),
    ),
}

PRIVACY = {
    name: Entry(f"{_OURS}.private:PrivateStrategy", summary, f"{_CONFIG}.private:{made}Config")
    for name, made, summary in [
        ("central-fixed", "CentralFixed", "the server clips and adds noise to the mean"),
        (
            "central-adaptive",
            "CentralAdaptive",
            "as central-fixed; the clipping norm follows a quantile",
        ),
        ("client-fixed", "ClientFixed", "clients clip, the server adds noise"),
        (
            "client-adaptive",
            "ClientAdaptive",
            "as client-fixed; the clipping norm follows a quantile",
        ),
        ("local", "LocalDp", "clients clip and add noise; the server is not trusted"),
    ]
}
