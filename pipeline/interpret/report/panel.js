// The panel of the selected neuron: beside the page, or a sheet on a phone.

const isDocked = matchMedia("(min-width: 760px)");

const selectedButton = () =>
  (state.layer === 1 ? tiles : outputs)[state.neuron].button;

// Open the panel and keep the selection in view: in the panel and, if a sheet could cover
// it, on the page.
function openPanel() {
  $("panel").hidden = false;
  if (!isDocked.matches) selectedButton().scrollIntoView({ block: "nearest" });
  const row = document.activeElement.closest("#panel tr");
  if (state.input === undefined) $("panel").scrollTop = 0;
  else (row ?? $("images")).scrollIntoView({ block: "nearest" });
}

function closePanel() {
  $("panel").hidden = true;
  selectedButton().focus({ preventScroll: true });
}

function closeParameter() {
  state.input = undefined;
  show();
  if (!$("panel").contains(document.activeElement)) $("t-sum").focus();
}

function selectNext(step) {
  const { layer, neuron } = state, count = network().neurons(layer);
  select(layer, (neuron + step + count) % count);
}

$("close").addEventListener("click", closePanel);
$("close-parameter").addEventListener("click", closeParameter);
$("previous").addEventListener("click", () => selectNext(-1));
$("next").addEventListener("click", () => selectNext(1));

// Escape closes one thing at a time, the last one first.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (!$("search-error").hidden) $("search-error").hidden = true;
  else if (!$("panel").hidden && state.input !== undefined) closeParameter();
  else if (!$("panel").hidden) closePanel();
});

onLoad(() => { $("panel").hidden = !isDocked.matches; });
isDocked.addEventListener("change", () => { $("panel").hidden = !isDocked.matches; });
