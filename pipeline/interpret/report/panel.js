// The panel of the selected neuron: beside the page, or a sheet on a phone.

const isDocked = matchMedia("(min-width: 760px)");

const selectedButton = () =>
  (state.layer === 1 ? tiles : outputs)[state.neuron].button;

// Open the panel; on a phone, keep the selected neuron in view above it.
function openPanel() {
  $("panel").hidden = false;
  selectedButton().scrollIntoView({ block: "nearest" });
}

function closePanel() {
  $("panel").hidden = true;
  selectedButton().focus();
}

function selectNext(step) {
  const { layer, neuron } = state, count = network().neurons(layer);
  select(layer, (neuron + step + count) % count);
}

$("close").addEventListener("click", closePanel);
$("previous").addEventListener("click", () => selectNext(-1));
$("next").addEventListener("click", () => selectNext(1));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !$("panel").hidden) closePanel();
});

onLoad(() => { $("panel").hidden = !isDocked.matches; });
isDocked.addEventListener("change", () => { $("panel").hidden = !isDocked.matches; });
