// @ts-check
/* Continue counting automatically: each step sends the page's own form, and shows the progress. */

let isRunning = false;

const region = () => document.querySelector("[data-mx-counts]");
const submitButton = () => region().querySelector("form button");
const stopButton = () => region().querySelector("[data-mx-stop]");

/** @param {string} text */
const announce = (text) => {
  document.querySelector("[data-mx-counting]").textContent = text.trim();
};

/** @param {boolean} canStop */
const showButtons = (canStop) => {
  stopButton().hidden = !canStop;
  submitButton().hidden = canStop;
};

/* There is no region if the body was replaced by that of another page. */
const takeStep = async () => {
  const form = region().querySelector("form");
  const response = await fetch(form.action, { method: "POST", body: new FormData(form), credentials: "same-origin" });
  if (!response.ok) throw new Error(String(response.status));
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-mx-counts]");
  if (!fresh) throw new Error("no counts");
  if (!region()) return false;
  const held = region().contains(document.activeElement);
  const goesOn = isRunning && fresh.hasAttribute("data-mx-more");
  region().replaceWith(fresh);
  history.replaceState(history.state, "", response.url);
  showButtons(goesOn);
  if (held) (goesOn ? stopButton() : submitButton()).focus();
  return goesOn;
};

const count = async () => {
  if (isRunning) return;
  isRunning = true;
  try {
    while (await takeStep());
    if (region()) announce(region().querySelector("[data-mx-said]").textContent);
  } catch {
    if (region()) {
      const failed = document.querySelector("[data-mx-counting]").dataset.mxFailed;
      announce(failed);
      region().querySelector("[data-mx-said]").textContent = failed;
      showButtons(false);
    }
  }
  isRunning = false;
};

document.addEventListener("submit", (event) => {
  if (!event.target.closest("[data-mx-counts]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  count();
}, true);
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-mx-stop]")) isRunning = false;
});
