"""What tests that train ask for."""

import pytest
import torch
from makemore_export.training import gradient


@pytest.fixture
def one_thread(monkeypatch):
    """Training to the same bits each time, evaluated every 5 steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(gradient, "EVALUATE_EVERY", 5)
    yield
    torch.set_num_threads(threads)
