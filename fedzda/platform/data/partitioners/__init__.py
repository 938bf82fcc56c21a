"""How samples are dealt to clients: ``assign(config, labels, columns, num_clients, rng)``."""
