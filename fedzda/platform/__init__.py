"""The simulator: configuration, data, engines, rounds, records, reports, command line."""
