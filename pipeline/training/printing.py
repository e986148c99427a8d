"""The output of a training run: a line for each epoch, and a summary."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.base.progress import new_console, progress_bar
from pipeline.base.tables import table
from pipeline.base.terminal import say
from pipeline.base.text import probability_text, wrap
from pipeline.core.dataset import LabeledImages
from pipeline.core.epoch import Epoch
from pipeline.records.metric_names import (
    FINAL_ACCURACY,
    FINAL_LOSS,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
)
from pipeline.training.training_run import TrainingRun


@contextmanager
def epoch_table(*, total: int, done: int) -> Iterator[Callable[[Epoch], None]]:
    """Yield a function that prints an epoch, as a line above a progress bar.

    `total` includes the epochs that were `done` before a resume.
    """
    console = new_console(highlight=False, soft_wrap=True)
    with progress_bar(console) as progress:
        task = progress.add_task("epochs", total=total, completed=done)
        console.print("epoch   train loss  accuracy     val loss  accuracy   seconds")

        def print_epoch(epoch: Epoch) -> None:
            progress.update(task, completed=epoch.number)
            metrics = epoch.metrics
            console.print(
                f"{epoch.number:5}       {metrics[TRAIN_LOSS]:.4f}"
                f"   {metrics[TRAIN_ACCURACY]:7.2%}"
                f"       {metrics[VAL_LOSS]:.4f}"
                f"   {metrics[VAL_ACCURACY]:7.2%}   {epoch.seconds:7.2f}"
            )

        yield print_epoch


def print_summary(training: TrainingRun, images: LabeledImages) -> None:
    """Print the metrics, and the prediction for the first validation image.

    With the split `exercise`, this is a test image.
    """
    metrics = training.metrics
    best, epoch = training.best_epoch
    rows = [
        [name, f"{metrics[loss]:.4f}", f"{metrics[accuracy]:.2%}", note]
        for name, loss, accuracy, note in (
            ("training", FINAL_LOSS, FINAL_ACCURACY, "measured after training"),
            (
                *("validation", VAL_LOSS, VAL_ACCURACY),
                f"best: {best:.2%} after epoch {epoch}",
            ),
        )
    ]
    say(f"\n{table(['images', 'loss', 'accuracy', ''], rows, left=['images', ''])}")
    first, label = images.images[:1], images.labels[0]
    (probabilities,) = training.network.predict(first)
    (predicted,) = training.network.classify(first)
    kind = "test" if training.trained.split == "exercise" else "validation"
    names = training.trained.spec.class_names
    probability = probability_text(float(probabilities[predicted]))
    text = (
        f"{kind} image 0 is classified as {names[predicted]} with a probability of "
        f"{probability}; its label is {names[label]}"
    )
    say(wrap(text))
