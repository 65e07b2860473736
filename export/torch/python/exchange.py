"""What processes of a training exchange. Here there is one process; see the page docs/torch.md for several."""
from torch import Tensor


def all_sum(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes; its gradient is the same sum of theirs."""
    return tensor
