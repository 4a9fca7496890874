/* Goes on counting by itself: each step is the form that the page has anyway, and shows how far it is. */

const part = () => document.querySelector("[data-mx-counts]");
const status = document.querySelector("[data-mx-counting]");
let running = false;

const step = async () => {
  const form = part().querySelector("form");
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), credentials: "same-origin" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-mx-counts]");
  if (!fresh) throw new Error("no counts");
  const held = part().contains(document.activeElement);
  part().replaceWith(fresh);
  history.replaceState(null, "", answer.url);
  return { held, more: fresh.hasAttribute("data-mx-more") };
};

const count = async () => {
  if (running) return;
  running = true;
  try {
    for (let more = true; more && running;) {
      const done = await step();
      more = done.more && running;
      const stop = part().querySelector("[data-mx-stop]");
      stop.hidden = !more;
      part().querySelector("form button").hidden = more;
      if (done.held) (more ? stop : part().querySelector("form button")).focus();
    }
    status.textContent = part().querySelector("[data-mx-said]").textContent;
  } catch {
    status.textContent = status.dataset.mxFailed;
    part().querySelector("[data-mx-said]").textContent = status.dataset.mxFailed;
    part().querySelector("[data-mx-stop]").hidden = true;
    part().querySelector("form button").hidden = false;
  }
  running = false;
};

if (status) {
  document.addEventListener("submit", (event) => {
    if (!event.target.closest("[data-mx-counts]")) return;
    event.preventDefault();
    count();
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-mx-stop]")) running = false; });
}
