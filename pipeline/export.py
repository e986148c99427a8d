"""Convert a trained network to integers for a microcontroller.

Reads outputs/train/ (or the network of run=<id> or model=<file>), rounds the weights of
layer_1 to bits=8, 4, 2 or 1 bits and those of layer_2 to 8 bits, and measures how many
test images the integers classify correctly. With fewer than 8 bits, the network is
first trained for ten more epochs in which its weights are rounded. Writes
integers.safetensors and report.json to outputs/export/ and records them in the MLflow
run that trained the network. Takes 5 s, or 15 s with fine-tuning.

The same answers are the test images to which the integers give the same answer as the
network in floats, right or wrong. bytes are the size of the weights and biases.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import UserError
from pipeline.cli import ExportConfig, stage
from pipeline.paths import displayed, outputs_dir, store_dir
from pipeline.terminal import command_line, next_steps, progress, status

if TYPE_CHECKING:
    from pipeline.deploy import Check, QuantizedModel
    from pipeline.tracking import Run

FIGURES = (
    "flash, RAM and stack are bytes: code and tables; digits_t and the logits; the\n"
    "most that one call needs. The instructions of an emulator are not clock cycles."
)


def export(cfg: ExportConfig) -> None:
    """Load a network, convert it to integers, check, write and record the result."""
    outputs, store = outputs_dir(), store_dir()
    with status("loading the network"):
        from pipeline import deploy, files, tracking
        from pipeline.training import load_training_data, select_trained_model

        trained = select_trained_model(run=cfg.run, model=cfg.model)
    dataset = load_training_data(trained)
    models = [
        deploy.QuantizedModel.of(
            trained,
            dataset,
            bits=bits,
            finetuning_epochs=cfg.finetune,
            track=progress(f"fine-tuning with {deploy.bits_text(bits)}"),
        )
        for bits in (deploy.WIDTHS if cfg.bits == "all" else [cfg.bits])
    ]
    with (
        tracking.open_tracker(cfg.tracking, store, server=cfg.server).reopen_run(
            run_id=trained.run_id, weights_sha256=trained.sha256
        ) as run,
        status("writing and checking the files"),
        files.atomic_folder(outputs / "export") as folder,
    ):
        folders, checks, problems = [], [], []
        for model in models:
            name = f"{model.integers.bits}bit"
            folders.append(folder / name if len(models) > 1 else folder)
            folders[-1].mkdir(exist_ok=True)
            checks.append(deploy.export_model(model, folders[-1], verify=cfg.verify))
            problems += deploy.differences(model, checks[-1])
        if problems:
            problems = ["the implementations differ; nothing was written", *problems]
            raise UserError("\n  ".join(problems))
        for model, part, results in zip(models, folders, checks, strict=True):
            paths = [path for path in sorted(part.iterdir()) if path.is_file()]
            run.log_files(f"export/{model.integers.bits}bit", paths)
            _record(model, results, run)
    print(f"\n{deploy.summary(models)}\n")
    print(f"{deploy.describe_checks(models, checks)}\n")
    if measured := deploy.figures(models, checks):
        print(f"{measured}\n\n{FIGURES}\n")
    if silent := deploy.describe_silent_neurons(models):
        print(f"{silent}\n")
    print(f"files  {displayed(outputs / 'export')}\n{run.viewing_hint()}", end="")
    command = command_line("inspect", run=cfg.run, model=cfg.model)
    print(next_steps({command: "explains the network"}))


def _record(model: "QuantizedModel", checks: Sequence["Check"], run: "Run") -> None:
    """Record the results of a width; MLflow draws a bar for a value at step 0."""
    from pipeline.deploy import bits_text

    name = f"export/{model.integers.bits}bit"
    metrics: dict[str, float] = {
        f"{name}/accuracy": model.accuracy,
        f"{name}/same_answers": model.same_answers,
    }
    tools: dict[str, str] = {}
    for check in checks:
        place = f"{name}/{check.platform}"
        metrics |= {f"{place}/{key}": value for key, value in check.figures.items()}
        tools |= check.tools
    run.log_metrics(metrics, step=0)
    run.set_tags({f"version.{tool}": version for tool, version in tools.items()})
    link = run.link("files", f"artifacts/{name}")
    title = f"Integers, {bits_text(model.integers.bits)}"
    text = f"{model.accuracy:.2%}, {model.same_answers:.2%} the same answers, {link}"
    run.describe_results({title: text})


if __name__ == "__main__":
    stage(export, ExportConfig)
