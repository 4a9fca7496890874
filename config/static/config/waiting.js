/* A form that takes a while says so, and cannot be sent twice. */

const setWaiting = (form, waits) => {
  form.querySelectorAll("button").forEach((button) => { button.disabled = waits; });
  const status = form.querySelector("[data-waiting-text]");
  status.textContent = waits ? status.dataset.waitingText : "";
  form.setAttribute("aria-busy", String(waits));
};

document.querySelectorAll("form[data-waiting]").forEach((form) => {
  form.addEventListener("submit", () => setWaiting(form, true));
  /* Back again, from the browser's memory of the page. */
  addEventListener("pageshow", () => setWaiting(form, false));
});
