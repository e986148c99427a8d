// Starts the page: loads the model and builds its parts. A part can have a method
// `build`, which runs once, and a method `update`, which shows the state.

import { connections } from "connections.js";
import { $, onEnter, readColors } from "display.js";
import { drawing, useTestImage } from "drawing.js";
import { build, find, load, repaint } from "model.js";
import { effect, neurons, prediction } from "neurons.js";
import { panel } from "panel.js";
import { images, parameter } from "parameter.js";
import { tour } from "tour.js";
import { curve, selector } from "selectors.js";

// The message appears below the box and does not move the page.
const search = {
  build() {
    onEnter($("name"), $("find"), () => {
      if (!$("name").value.trim()) { $("name").focus(); return; }
      const problem = find($("name").value);
      $("search-error").hidden = !problem;
      $("search-error").textContent = problem;
      if (!problem) $("t-sum").focus({ preventScroll: true });
    });
    $("name").addEventListener("input", () => { $("search-error").hidden = true; });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || $("search-error").hidden) return;
      event.preventDefault(); // the panel stays open
      $("search-error").hidden = true;
    });
  },
};

// After the first frame, which shows that the page is loading.
requestAnimationFrame(() => setTimeout(async () => {
  await load($("data").textContent);
  for (const each of document.querySelectorAll(".bar, main")) each.hidden = false;
  readColors();
  // The order in which the parts are updated: the last of their announcements is heard.
  build([selector(), search, drawing, neurons, panel, images, parameter, curve, effect,
    prediction, connections, tour]);
  useTestImage(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColors();
    repaint();
  });
}));
