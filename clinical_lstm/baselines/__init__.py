"""One predictor without a network per file: what a recurrent model has to beat on the same rows."""
