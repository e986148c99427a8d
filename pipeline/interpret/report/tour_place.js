// Where the card and the frame of the tour are, and how the page scrolls to the target.

const GAP = 16; // around a target, in pixels

// The space for a target: below the bar, which stays at the top of the window (on a phone,
// only its lower part), and on a phone above the card.
function freeRange() {
  const bar = document.querySelector(".bar");
  const top = parseFloat(getComputedStyle(bar).top) + bar.offsetHeight + GAP;
  return [top, innerHeight - GAP - (isDocked.matches ? 0 : $("tour").offsetHeight)];
}
// The first target of the step that fits; the last one is small.
function currentTarget() {
  const targets = currentStep().targets(), [top, bottom] = freeRange();
  return targets.find((each) => each.offsetHeight <= bottom - top) ?? targets.at(-1);
}

// Scroll the target into view. The panel scrolls by itself; on a phone, the card covers the
// lower part of the screen, so the target goes into the middle of the rest.
function scrollToTarget() {
  const { scene } = currentStep(), target = currentTarget(), panel = $("panel");
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const behavior = isCalm ? "auto" : "smooth";
  const { top, height } = target.getBoundingClientRect();
  if (scene) {
    scene().scrollIntoView({ behavior, block: "start" });
  } else if (panel.contains(target)) {
    const above = panel.getBoundingClientRect().top + panel.firstElementChild.offsetHeight;
    panel.scrollBy({ behavior, top: top - above - GAP });
    if (isDocked.matches) $("network").scrollIntoView({ behavior, block: "start" });
  } else if (isDocked.matches) {
    target.scrollIntoView({ behavior, block: "center" });
  } else {
    const [start, end] = freeRange();
    scrollBy({ behavior, top: top - start - Math.max(0, end - start - height) / 2 });
  }
}

// Runs in each frame, because the target also moves when the page scrolls or changes.
function followTarget() {
  if (tour.place === null) return;
  placeTour();
  requestAnimationFrame(followTarget);
}

function placeTour() {
  const { left, top, right, bottom } = currentTarget().getBoundingClientRect();
  const target = { left: left - 6, top: top - 6, right: right + 6, bottom: bottom + 6 };
  const { style, offsetWidth: width, offsetHeight: height } = $("tour");
  document.body.style.setProperty("--tour-height", `${height}px`);
  $("spotlight").hidden = left === right; // for example in a closed panel
  Object.assign($("spotlight").style, { left: `${target.left}px`, top: `${target.top}px`,
    width: `${target.right - target.left}px`, height: `${target.bottom - target.top}px` });
  const position = isDocked.matches ? cardPosition(target, width, height) : null;
  [style.left, style.top] = position?.map((each) => `${each}px`) ?? ["", ""];
}

// The position of the card: beside the target, inside the window, covering as little of the
// target as possible. It stays on its side if it can, so that it does not jump.
function cardPosition(target, width, height) {
  const clamp = (value, max) => Math.max(8, Math.min(value, max - 8));
  const inside = ([x, y]) => [clamp(x, innerWidth - width), clamp(y, innerHeight - height)];
  const isWide = target.right - target.left > innerWidth / 2;
  const across = isWide ? innerWidth : (target.left + target.right - width) / 2;
  const places = { right: inside([target.right + GAP, target.top]),
    left: inside([target.left - GAP - width, target.top]),
    below: inside([across, target.bottom + GAP]),
    above: inside([across, target.top - GAP - height]) };
  const covered = (side) => {
    const [x, y] = places[side];
    const wide = Math.min(x + width, target.right) - Math.max(x, target.left);
    const high = Math.min(y + height, target.bottom) - Math.max(y, target.top);
    return Math.max(wide, 0) * Math.max(high, 0);
  };
  tour.side = [tour.side, ...Object.keys(places)].filter(Boolean)
    .reduce((best, side) => (covered(side) < covered(best) ? side : best));
  return places[tour.side];
}
