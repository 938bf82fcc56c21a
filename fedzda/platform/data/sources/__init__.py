"""Where data comes from, one file per source: ``load(config, base_folder) -> RawData``."""
