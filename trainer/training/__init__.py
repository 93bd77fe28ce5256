"""Further training of a base model, within a budget. Follow it in `train`; what each step minimises is in
`objective`."""

from habilis.trainer.training.adapting import with_lora
from habilis.trainer.training.settings import TrainSettings, choose_device
from habilis.trainer.training.train import Trained, train

__all__ = ["TrainSettings", "Trained", "choose_device", "train", "with_lora"]
