"""The stage that trains a model of the worth of single steps: their labels, the training, what is reported of both."""
