"""digitsexample: a Flower app that knows nothing of fedzda."""
