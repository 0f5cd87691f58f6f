"use strict";
// What every page can do. All of it is convenience: without it, the page says the same.

// Long parts are folded on a screen, and open on paper.
const folded = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    folded.push(details);
  }
});
addEventListener("afterprint", () => {
  for (const details of folded.splice(0)) details.open = false;
});

// Lines that people copy get a button. What was done is said to screen readers, too.
function say(words) {
  document.getElementById("said").textContent = words;
}

for (const figure of document.querySelectorAll(".copyable")) {
  const button = document.createElement("button");
  const code = figure.querySelector("code");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${figure.querySelector("figcaption").textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
      say("Copied");
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
      say("Selected: copy it with the keyboard");
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  figure.append(button);
}
