/* Goes on counting by itself: each step is the form that the page has anyway, and shows how far it is. */

const part = () => document.querySelector("[data-mx-counts]");
const status = () => document.querySelector("[data-mx-counting]");
let running = false;

const step = async () => {
  const form = part().querySelector("form");
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), credentials: "same-origin" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-mx-counts]");
  if (!fresh) throw new Error("no counts");
  /* Somebody has gone to another page, whose body has taken the place of this one. */
  if (!part()) return {};
  const held = part().contains(document.activeElement);
  part().replaceWith(fresh);
  history.replaceState(history.state, "", answer.url);
  return { held, more: fresh.hasAttribute("data-mx-more") };
};

const count = async () => {
  if (running) return;
  running = true;
  try {
    for (let more = true; more && running;) {
      const done = await step();
      if (!part()) break;
      more = done.more && running;
      const stop = part().querySelector("[data-mx-stop]");
      stop.hidden = !more;
      part().querySelector("form button").hidden = more;
      if (done.held) (more ? stop : part().querySelector("form button")).focus();
    }
    if (part()) status().textContent = part().querySelector("[data-mx-said]").textContent;
  } catch {
    if (part()) {
      status().textContent = status().dataset.mxFailed;
      part().querySelector("[data-mx-said]").textContent = status().dataset.mxFailed;
      part().querySelector("[data-mx-stop]").hidden = true;
      part().querySelector("form button").hidden = false;
    }
  }
  running = false;
};

document.addEventListener("submit", (event) => {
  if (!event.target.closest("[data-mx-counts]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  count();
}, true);
document.addEventListener("click", (event) => { if (event.target.closest("[data-mx-stop]")) running = false; });
