class Moment:
    """The place of a run at which the net stands: what chance depends on. `Net.moment` is one; training moves it.

    seed    of the run
    step    how many updates were made before
    first   the place of this process' first sample in the batch of all processes
    """

    def __init__(self, seed: int = 0, step: int = 0, first: int = 0):
        self.seed, self.step, self.first = seed, step, first
