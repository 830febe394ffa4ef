"""One training loop, for any network and any data: batch, forward, loss, backward, step, log, save.

``fit`` knows no model and no data set. It is handed a network, a function that makes the batch of a step, a
function that turns a network and a batch into a loss, and an optimiser; Lightning Fabric brings them onto
one CPU, one GPU or several.

Every step seeds itself from (seed, step): the batch, its augmentation and the dropout of step 700 are the
same whether the run got there in one go or was killed at step 650 and resumed. So a resumed run ends, on a
CPU, in the very same bits; and batches may be prepared ahead in threads without changing them. On several
devices each process takes its share of the same batch.
"""

from mdepth.train.checkpoint import CHECKPOINT, read_checkpoint
from mdepth.train.history import History, Progress, Step, TrainingDiverged
from mdepth.train.loop import Batch, fit, step_generator, step_seed

__all__ = [
    "CHECKPOINT",
    "Batch",
    "History",
    "Progress",
    "Step",
    "TrainingDiverged",
    "fit",
    "read_checkpoint",
    "step_generator",
    "step_seed",
]
