"""A network that a command has selected does not change while the command runs."""

from pipeline.training import select_trained_model


def test_a_training_that_ends_after_the_selection_does_not_change_it(empty_project):
    project = empty_project("selected", store=False)
    keys = {"dataset": "digits", "epochs": 2, "tracking": "none"}
    project.call("train", hidden=8, **keys)
    with project.captured():
        trained = select_trained_model(run=None, model=None, history=True)
    project.call("train", hidden=5, **keys)
    assert trained.history["layer_1.weight"].shape == (3, 8, 784)
    assert trained.detector.means.shape == (10, 784)
