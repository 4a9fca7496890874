// @ts-check
/* A form that takes a while says so, and cannot be sent twice. */

/**
 * @param {Element} form
 * @param {boolean} isWaiting
 */
const setWaiting = (form, isWaiting) => {
  form.querySelectorAll("button").forEach((button) => {
    button.disabled = isWaiting;
  });
  const status = form.querySelector("[data-waiting-text]");
  status.textContent = isWaiting ? status.dataset.waitingText : "";
  form.setAttribute("aria-busy", String(isWaiting));
};

document.querySelectorAll("form[data-waiting]").forEach((form) => {
  form.addEventListener("submit", () => setWaiting(form, true));
  /* Back again, from the browser's memory of the page. */
  addEventListener("pageshow", () => setWaiting(form, false));
});
