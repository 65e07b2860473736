"""The parts of train.py: what fusenet's own training does, for PyTorch and number for number."""
