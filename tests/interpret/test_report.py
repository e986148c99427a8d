"""The glass-box page, in a real Chromium with the network off."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.images import preprocessing
from pipeline.interpret import report
from pipeline.model import load_trained_model, storage
from pipeline.model.metrics import accuracy
from pipeline.model.network import Network, to_pixels

CHROMIUM = Path("/usr/bin/chromium")  # Debian's
MINUS = "\u2212"  # the sign that stands before numbers on the page
PATIENCE = 180_000  # milliseconds, on a machine that has much else to do
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
QUIET += ("--disable-background-networking", "--disable-component-update")

# Digits as a person draws them: the corners of each stroke, in shares of the board.
DRAWN = {
    0: [[(0.5, 0.2), (0.3, 0.35), (0.3, 0.65), (0.5, 0.8), (0.7, 0.6), (0.68, 0.35)]],
    1: [[(0.42, 0.3), (0.55, 0.15), (0.53, 0.85)]],
    2: [[(0.3, 0.3), (0.5, 0.2), (0.65, 0.35), (0.3, 0.8), (0.72, 0.8)]],
    3: [[(0.3, 0.2), (0.65, 0.25), (0.45, 0.45), (0.7, 0.65), (0.3, 0.8)]],
    4: [[(0.35, 0.15), (0.3, 0.5), (0.7, 0.5)], [(0.65, 0.2), (0.6, 0.88)]],
    5: [[(0.7, 0.2), (0.35, 0.2), (0.33, 0.45), (0.66, 0.55), (0.6, 0.8), (0.3, 0.8)]],
    6: [
        [(0.62, 0.15), (0.35, 0.5), (0.4, 0.8), (0.65, 0.7), (0.55, 0.52), (0.37, 0.6)]
    ],
    7: [[(0.28, 0.22), (0.72, 0.2), (0.45, 0.85)]],
    8: [
        [(0.6, 0.2), (0.35, 0.3), (0.65, 0.65), (0.45, 0.82), (0.35, 0.65), (0.6, 0.2)]
    ],
    9: [
        [(0.65, 0.3), (0.4, 0.2), (0.35, 0.45), (0.64, 0.42), (0.66, 0.25), (0.6, 0.85)]
    ],
}


@pytest.fixture(scope="module")
def subject(finished, mnist):
    trained = load_trained_model(finished.trained("model.safetensors"))
    history, _ = storage.read_tensors(finished.trained("history.safetensors"))
    known = trained.detector
    name = "hidden=20 seed=1"
    return report.Subject(
        name=name,
        network=trained.network,
        sha256=trained.sha256,
        history=history,
        familiar=known,
        dataset=mnist,
        split="exercise",
        epochs=20,
    )


@pytest.fixture(scope="module")
def content(subject):
    return report.page(subject)


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=CHROMIUM, args=QUIET, timeout=PATIENCE
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def opened(browser, content, tmp_path_factory):
    """What opens the page from disk, offline; it fails on any error in the page."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(content)

    def open_(**looks):
        context = browser.new_context(offline=True, **looks)
        context.set_default_timeout(PATIENCE)
        view = context.new_page()
        errors, requests = [], []
        view.on("pageerror", lambda error: errors.append(str(error)))
        view.on("request", lambda request: requests.append(request.url))
        view.goto(path.as_uri())
        view.locator("#answer strong").wait_for()
        view.errors, view.requests = errors, requests
        return view

    return open_


@pytest.fixture(scope="module")
def shared(opened):
    view = opened(viewport={"width": 1300, "height": 900})
    yield view
    assert view.errors == []


@pytest.fixture
def view(shared):
    """The page as it is opened."""
    shared.evaluate("document.getElementById('reset').click()")
    shared.evaluate("page.state.epoch = page.networks.length - 1; page.go('N11')")
    shared.evaluate("page.takeTestPicture(0)")
    return shared


def draw(view, strokes):
    view.locator("#clear").click()
    box = view.locator("#board").bounding_box()
    for stroke in strokes:
        at = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"])
            for x, y in stroke
        ]
        view.mouse.move(*at[0])
        view.mouse.down()
        for place in at[1:]:
            view.mouse.move(*place, steps=4)
        view.mouse.up()
    view.evaluate("new Promise(requestAnimationFrame)")  # in which it was read


def said(view):
    return view.locator("#answer").inner_text()


# --- The file -------------------------------------------------------------------------


def test_the_page_is_one_small_file_that_asks_for_nothing(content, opened):
    assert len(content.encode()) <= 1_500_000
    addresses = set(re.findall(r"https?://[^\s\"']+", content))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody fetches
    assert not re.search(r"<(link|img|iframe)|\bfetch\(|XMLHttp|localStorage", content)
    view = opened()
    assert len(view.requests) == 1 and view.requests[0].startswith("file:")


def test_the_same_network_makes_the_same_bytes(subject, content):
    assert report.page(subject) == content


def test_a_network_ten_times_as_large_keeps_to_five_megabytes(subject):
    large = Network(hidden=200, generator=torch.Generator().manual_seed(1))
    noise = torch.Generator().manual_seed(2)
    history = {
        name: torch.randn((30, *tensor.shape), generator=noise).numpy()
        for name, tensor in large.state_dict().items()
    }
    found = report.page(replace(subject, network=large, history=history))
    assert 3_000_000 < len(found.encode()) <= 5_000_000


@pytest.mark.parametrize(
    ("known", "room", "expected"),
    [
        (21, 99, [*range(20)]),  # 20 epochs and the initial weights: all
        (101, 99, [*range(0, 100, 5)]),
        (21, 2, [0, 10]),
        (21, 0, []),
        (0, 99, []),
    ],
)
def test_epochs_are_kept_evenly_from_the_first(known, room, expected):
    assert report.kept(known, room=room) == expected


@pytest.mark.parametrize(("hidden", "fits"), [(20, True), (400, True), (600, False)])
def test_a_network_without_room_is_told_to_be_too_large(subject, hidden, fits):
    large = Network(hidden=hidden, generator=torch.Generator())
    assert report.fits(replace(subject, network=large)) == fits
    if not fits:
        told = report.page(replace(subject, network=large))
        assert "numbers is too large for a page" in told and len(told) < 1000


# --- Its numbers ----------------------------------------------------------------------


def test_its_arithmetic_is_that_of_pytorch(view, subject, mnist):
    rows = view.evaluate("page.rows")
    assert len(rows) == 100
    found = view.evaluate(
        """page.rows.map((_, place) => {
          const read = page.networks.at(-1).read(page.picture(place));
          return [...read.hiddenSums, ...read.logits, ...read.probabilities];
        })"""
    )
    images = mnist.test.images[rows]
    with torch.no_grad():
        pixels = to_pixels(images).flatten(start_dim=1)
        sums = subject.network.layer_1(pixels)
        logits = subject.network.layer_2(sums.relu())
    expected = torch.cat([sums, logits, logits.softmax(dim=1)], dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-6)


def test_each_of_the_15910_numbers_is_there_exactly(view, subject):
    found = view.evaluate(
        "page.networks.at(-1).kernels.flatMap((kernel, i) => "
        "[...kernel, ...page.networks.at(-1).biases[i]])"
    )
    kept = [tensor.ravel() for tensor in subject.network.state_dict().values()]
    np.testing.assert_array_equal(np.float32(found), torch.cat(kept).numpy())
    assert len(found) == 15_910


def test_earlier_epochs_are_those_of_the_history_in_16_bits(view, subject):
    found = view.evaluate("page.networks.slice(0, -1).map((n) => [...n.kernels[0]])")
    history = subject.history["layer_1.weight"].astype(np.float64)
    expected = history[:-1].astype(np.float16).astype(np.float64)
    dark = sorted(view.evaluate("[...page.unlit]"))
    expected[:, :, dark] = history[-1][:, dark]  # never learned: the same to the bit
    np.testing.assert_array_equal(found, expected.reshape(20, -1))


def test_doubts_are_those_of_predict(view, subject, mnist):
    rows = view.evaluate("page.rows")
    images = np.concatenate([mnist.test.images[rows], [np.zeros((28, 28), np.uint8)]])
    images[1] = images[2].T[::-1]  # something unlike any digit, perhaps
    verdicts = subject.familiar.judge(images, subject.network.predict(images).numpy())
    found = [view.evaluate("page.doubtOf", image.ravel().tolist()) for image in images]
    assert found == [verdict.reason for verdict in verdicts]
    assert {"", "blank"} < {*found}


def test_drawn_digits_are_prepared_as_predict_does_it(view, subject):
    rng = np.random.default_rng(1)
    right = 0
    for turn in range(2):
        for digit, strokes in DRAWN.items():
            scale, shift = rng.uniform(0.6, 1.05, 2), rng.uniform(-0.1, 0.1, 2)
            moved = [
                (np.array(stroke) - 0.5) * scale**turn + 0.5 + turn * shift
                for stroke in strokes
            ]
            draw(view, moved)
            levels = np.reshape(view.evaluate("[...page.levels()]"), (48, 48))
            image = np.reshape(view.evaluate("[...page.state.image]"), (28, 28))
            made = preprocessing.preprocess(levels.astype(np.uint8))
            assert np.abs(image - made.image.astype(int)).max() <= 2
            assert view.evaluate("page.state.count") == made.digit_count == 1
            its = image.astype(np.uint8)[None]
            answers = subject.network.predict(its).numpy()
            drawn = np.array([made.drawn])
            (verdict,) = subject.familiar.judge(its, answers, drawn=drawn)
            assert said(view).startswith(f"{verdict.digit} with")
            told = "sure" if verdict.sure else f"unsure: {verdict.reason}"
            assert f"It is {told}" in said(view)
            right += verdict.digit == digit
    assert right >= 16  # of 20; a mouse's corners are no handwriting


@pytest.mark.parametrize(
    "kind", ["noise", "two", "blank", "full", "filled", "dot", "line"]
)
def test_what_is_no_digit_is_prepared_as_predict_does_it(view, kind):
    levels = np.zeros((48, 48), np.uint8)
    if kind == "noise":
        levels[:] = np.random.default_rng(1).integers(0, 256, levels.shape)
    if kind == "two":
        levels[8:40, 8:12] = levels[8:40, 30:35] = 255
    if kind == "full":
        levels[::47, 20:] = levels[:, ::47] = levels[20:24] = 255
    if kind == "filled":
        levels[8:40, 12:34] = 255
    if kind == "line":
        levels[22:25, 6:42] = 255
    if kind == "dot":
        levels[20:24, 20:23] = 255
    found = view.evaluate(
        "(levels) => { const made = page.prepare(levels); "
        "return [[...made.image], made.count, made.drawn]; }",
        levels.ravel().tolist(),
    )
    made = preprocessing.preprocess(levels)
    assert np.abs(np.reshape(found[0], (28, 28)) - made.image.astype(int)).max() <= 2
    assert found[1:] == [made.digit_count, made.drawn]
    assert made.drawn == (kind in ("two", "blank"))


# --- Its use --------------------------------------------------------------------------


def test_a_neuron_is_clicked_and_shows_its_sum(view, subject, mnist):
    view.locator("#neurons .tile").nth(5).locator("button").first.click()
    assert (
        "What N16, a neuron of layer 1, computes" in view.locator("main").inner_text()
    )
    rows = view.locator("#ledger tr").all_inner_texts()[1:]
    *terms, total, _ = [
        float(row.split("\t")[-1].replace(MINUS, "-").replace(",", "")) for row in rows
    ]
    assert round(sum(terms), 4) == total  # what is shown adds up as it is shown
    with torch.no_grad():
        pixels = to_pixels(mnist.test.images[:1]).flatten(start_dim=1)
        assert total == pytest.approx(
            subject.network.layer_1(pixels)[0, 5].item(), abs=1e-4
        )


def figures(row):
    """The figure at the end of a line."""
    return float(row.split("\t")[-1].replace(MINUS, "-").strip(" %").replace(",", ""))


def test_all_sums_of_layer_2_add_up_as_they_are_shown(view):
    for place in range(0, 100, 9):
        view.evaluate("page.takeTestPicture", place)
        for digit in range(10):
            view.evaluate("page.go", f"N2{digit + 1}")
            ledger = view.locator("#ledger tr").all_inner_texts()[1:]
            *terms, total = map(figures, ledger)
            assert round(sum(terms), 4) == total, (place, digit)
        shares = view.locator("#softmax tr").all_inner_texts()[1:]
        *each, hundred = map(figures, shares)
        assert round(sum(each), 2) == hundred == 100
        powers = [float(row.split("\t")[-2]) for row in shares]
        assert round(sum(powers[:-1]), 6) == powers[-1]


def test_an_output_is_clicked_and_shows_its_softmax(view, subject, mnist):
    view.locator("#outputs button").nth(7).click()
    assert (
        view.locator("#t-sum").inner_text() == "What N28, which speaks for 7, computes"
    )
    shares = view.locator("#softmax tr").all_inner_texts()
    exact = 100 * float(subject.network.predict(mnist.test.images[:1])[0, 7])
    share, percent = shares[8].split("\t")[-1].split()
    assert float(share) == pytest.approx(exact, abs=0.011) and percent == "%"
    assert "z = " in view.locator("#equation").inner_text()


def test_a_weight_is_reached_by_pointing_and_by_the_keyboard(view, subject):
    view.evaluate("page.go('N16')")
    canvas = view.locator("#pictures canvas").first
    side = canvas.bounding_box()["width"] / 28
    canvas.click(position={"x": 20.5 * side, "y": 10.5 * side})
    assert view.locator("#t-one").inner_text().endswith("layer_1[300,5]")
    weight = subject.network.layer_1.get_weights()[0][300, 5]
    assert f"{weight:.6f}".replace("-", MINUS) in view.locator("#w-one").inner_text()
    canvas.press("ArrowRight")
    canvas.press("ArrowDown")
    assert view.locator("#t-one").inner_text().endswith("layer_1[329,5]")
    view.locator("#ledger button", has_text="bias").click()
    assert view.locator("#t-one").inner_text().endswith("layer_1.bias[5]")


def test_the_focus_stays_where_the_keyboard_left_it(view):
    canvas = view.locator("#pictures canvas").first
    canvas.press("ArrowDown")
    view.keyboard.press("ArrowDown")
    assert view.evaluate("page.state.input") == 406 + 56
    term = view.locator("#ledger button").nth(2)
    named = term.get_attribute("title")
    term.press("Enter")
    assert view.evaluate("document.activeElement.title") == named


def test_what_was_chosen_is_told_to_screen_readers(view):
    told = view.locator("#said")
    view.locator("#neurons .tile").nth(5).locator("button").first.press("Enter")
    told.filter(has_text="What N16, a neuron of layer 1, computes: ").wait_for()
    total = view.locator("#ledger tr").all_inner_texts()[-2].split("\t")[-1]
    told.filter(has_text=f"computes: {total}").wait_for()
    view.locator("#ledger button", has_text="bias").press("Enter")
    told.filter(has_text="What N16").wait_for()
    view.locator("#ledger button").first.press("Enter")
    told.filter(has_text="One of the 15,910: layer_1[").wait_for()
    view.locator("#neurons .switch").first.press("Enter")
    told.filter(has_text="It is sure").wait_for()


def test_a_tap_draws_a_dot(view):
    draw(view, [[(0.5, 0.5)]])
    assert sum(view.evaluate("[...page.levels()]")) > 1000
    assert "Nothing is drawn" not in said(view)


def test_weights_from_silent_neurons_are_reached_too(view):
    view.locator("#outputs button").nth(7).click()
    view.locator("#all summary").click()
    assert view.locator("#incoming button").count() == 20
    view.locator("#incoming button").nth(12).click()
    assert view.locator("#t-one").inner_text().endswith("layer_2[12,7]")


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("layer_1[300,5]", "layer_1[300,5]"),
        ("layer_1[783, 19]", "layer_1[783,19]"),
        ("layer_2[19,9]", "layer_2[19,9]"),
        ("layer_1.bias[0]", "layer_1.bias[0]"),
        ("layer_2.bias[9]", "layer_2.bias[9]"),
        ("n210", "layer_2.bias[9]"),
        ("pixel 406", "layer_1[406,0]"),
        ("M407", "layer_1[406,0]"),
    ],
)
def test_a_number_is_found_by_its_name(view, typed, title):
    view.locator("#name").fill(typed)
    view.locator("#name").press("Enter")
    assert view.locator("#found").inner_text() == ""
    assert view.locator("#t-one").inner_text() == f"One of the 15,910: {title}"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("N121", "layer 1 has the neurons N11 to N120"),
        ("layer_1[784,5]", "counted from 0 to 783"),
        ("layer_2[3,10]", "layer 2 has the neurons N21 to N210"),
        ("<b>seven</b>", "“<b>seven</b>” names no number"),
    ],
)
def test_a_name_of_nothing_is_answered(view, typed, told):
    view.locator("#name").fill(typed)
    view.locator("#find button").click()
    assert told in view.locator("#found").inner_text()


def test_a_weight_that_was_never_learned_is_marked_as_such(view, subject):
    assert view.evaluate("page.unlit.size * 20") == 1_340  # 67 dark pixels, 20 neurons
    view.evaluate("page.go('layer_1[0,3]')")
    told = view.locator("#w-one").inner_text()
    assert "It was never learned" in told
    view.locator("#epoch").fill("0")
    assert view.locator("#w-one").inner_text() == told
    view.evaluate("page.go('layer_1[300,5]')")
    assert "It is about 0.0137 at" in view.locator("#w-one").inner_text()
    assert view.locator("#epoch").get_attribute("aria-valuetext") == "epoch 0"
    colours = view.evaluate(
        "[...document.querySelector('.tile canvas').getContext('2d')"
        ".getImageData(0, 0, 1, 1).data]"
    )
    red, green, blue, _ = colours
    assert (
        max(red, green, blue) - min(red, green, blue) < 15
    )  # grey: neither for nor against


def test_the_slider_shows_the_network_of_each_epoch(view, subject, mnist):
    view.locator("#epoch").fill("0")
    assert view.locator("#when").inner_text().startswith("Before training")
    before = said(view)
    view.locator("#epoch").fill("1")
    assert view.locator("#when").inner_text().startswith("After epoch 1 of 20")
    assert said(view) != before
    network = report._network(subject.history, 1)
    labels = torch.from_numpy(mnist.test.labels).long()
    share = accuracy(network.logits(mnist.test.images), labels).item()
    assert f"{100 * share:.2f} %" in view.locator("#when").inner_text()


def test_the_training_is_played_and_stops_where_the_slider_is_pulled(view):
    view.locator("#epoch").fill("1")
    view.locator("#play").click()
    later = re.compile(r"After epoch ([2-9]|1\d) of")
    view.locator("#when", has_text=later).wait_for()
    view.locator("#epoch").fill("20")
    assert view.locator("#play").get_attribute("aria-pressed") == "false"
    view.locator("#epoch").fill("19")
    view.locator("#play").click()
    view.locator("#when", has_text="After epoch 20").wait_for()
    view.locator("#play[aria-pressed=false]").wait_for()


def test_a_network_of_which_only_the_end_is_known_says_so(browser, subject, tmp_path):
    bare = replace(subject, history={}, familiar=None, epochs=0)
    (tmp_path / "report.html").write_text(report.page(bare))
    view = browser.new_context(offline=True).new_page()
    view.goto((tmp_path / "report.html").as_uri())
    view.locator("#answer strong").wait_for()
    assert view.locator("#when").inner_text().startswith("The finished network")
    assert "in earlier epochs is not known" in view.locator("#w-one").inner_text()
    assert "epochs" not in view.locator("#lead").inner_text()
    assert "Whether it is sure is not known" in said(view)
    assert view.locator("#epoch").is_disabled()


def test_a_neuron_switched_off_costs_what_zeroed_weights_cost(view, subject, mnist):
    thousand = mnist.test.pick(np.arange(1000))
    labels = torch.from_numpy(thousand.labels).long()

    def right(without):
        copy = Network(hidden=20, generator=torch.Generator())
        copy.load_state_dict(subject.network.state_dict())
        with torch.no_grad():
            copy.layer_2.weight[:, without] = 0
        return int((copy.logits(thousand.images).argmax(dim=1) == labels).sum())

    view.locator("#neurons .switch").nth(9).click()
    told = view.locator("#changed").inner_text()
    assert f"N110 off: the finished network reads {right([9])} of 1,000" in told
    assert f"instead of {right([])} of 1,000" in told
    bars = view.locator("#digits figure").first.get_attribute("aria-label")
    assert re.fullmatch(r"digit 0: [\d.]+ % before, [\d.]+ % after", bars)
    view.locator("#reset").click()
    assert view.locator("#changed").inner_text().startswith("Nothing is changed")
    view.evaluate("page.go('N110')")
    view.locator("#scale").fill("0")
    assert f"reads {right([9])} of 1,000" in view.locator("#changed").inner_text()
    view.locator("#shift").fill("2.5")
    assert "N110 \u00d7 0.0 + 2.5" in view.locator("#changed").inner_text()


def test_a_mistake_is_chosen_among_the_test_pictures(view):
    view.locator("#choose summary").click()
    mistake = view.locator("#gallery .mistake").first
    told = mistake.get_attribute("aria-label")
    mistake.click()
    assert said(view).startswith(f"{told[-1]} with")
    assert "misread" in view.locator("#origin").inner_text()


# --- Its surroundings -----------------------------------------------------------------


def test_names_that_look_like_code_are_shown_as_text(browser, subject, tmp_path):
    code = (
        "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
    )
    dataset = replace(subject.dataset, path=tmp_path / f"{code.replace('/', '|')}.x")
    odd = replace(subject, name=code, dataset=dataset)
    (tmp_path / "report.html").write_text(report.page(odd))
    view = browser.new_context(offline=True).new_page()
    view.goto((tmp_path / "report.html").as_uri())
    view.locator("#answer strong").wait_for()
    assert view.title() == f"{code}: inside the network"
    assert code in view.locator("#foot").inner_text()
    assert "<img src=x" in view.locator("#lead").inner_text()
    assert view.locator("img").count() == 0


def test_it_works_in_the_frame_in_which_mlflow_shows_it(browser, content, tmp_path):
    (tmp_path / "report.html").write_text(content)
    frame = '<iframe sandbox="allow-scripts" src="report.html" width=700 height=900>'
    (tmp_path / "around.html").write_text(frame)
    view = browser.new_context(offline=True).new_page()
    view.goto((tmp_path / "around.html").as_uri())
    inner = view.frame_locator("iframe")
    inner.locator("#answer strong").wait_for()
    inner.locator("#outputs button").nth(3).click()
    assert (
        inner.locator("#t-sum").inner_text() == "What N24, which speaks for 3, computes"
    )


def test_what_is_found_is_not_hidden_by_the_bar(opened):
    view = opened(viewport={"width": 600, "height": 800})
    view.locator("#name").fill("N16")
    view.locator("#name").press("Enter")
    bar, title = (view.locator(part).bounding_box() for part in (".bar", "#t-sum"))
    assert title["y"] >= bar["y"] + bar["height"]
    view.context.close()


def test_a_network_of_one_neuron_is_told_in_the_singular(browser, subject, tmp_path):
    small = Network(hidden=1, generator=torch.Generator().manual_seed(1))
    one = replace(subject, network=small, history={})
    (tmp_path / "report.html").write_text(report.page(one))
    view = browser.new_context(offline=True).new_page()
    view.goto((tmp_path / "report.html").as_uri())
    view.locator("#answer strong").wait_for()
    assert "784 pixels → 1 neuron → 10 digits" in view.locator("#lead").inner_text()
    view.evaluate("page.go('N21')")
    assert view.locator("#w-sum").inner_text().startswith("z = W1·N11 + bias: each")
    assert "All 1 weight into N21" in view.locator("#all summary").inner_text()


@pytest.mark.parametrize("width", [320, 360, 700, 1300])
def test_nothing_sticks_out_on_screens_of_any_width(opened, width):
    view = opened(viewport={"width": width, "height": 800})
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    view.evaluate("page.go('N21')")
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    view.context.close()


def test_every_control_has_a_name_for_screen_readers(view):
    nameless = view.evaluate(
        """[...document.querySelectorAll('button, input, canvas[tabindex]')]
          .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.closest('label')))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
