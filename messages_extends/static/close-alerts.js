// @ts-check
/* Buttons of alerts: mark the message as read, or acknowledge it, without leaving the page, and take the alert away.
   Without this script a saved message's button sends its form instead. */
(() => {
  "use strict";

  const BUTTONS = "[close-href], [data-bs-dismiss=alert], [data-dismiss=alert]";

  /** @param {Element} button */
  const csrfToken = (button) => {
    const field = button.form?.elements.namedItem("csrfmiddlewaretoken") ??
      document.querySelector("[name=csrfmiddlewaretoken]");
    if (field) return field.value;
    /* Django's default name, or that with a prefix that browsers enforce. */
    return decodeURIComponent(/(?:^|; )(?:__Host-|__Secure-)?csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "");
  };

  /** @param {Element} button */
  const markRead = (button) =>
    fetch(button.getAttribute("close-href"), {
      method: "POST",
      credentials: "same-origin",
      headers: { "X-CSRFToken": csrfToken(button), "X-Requested-With": "XMLHttpRequest" },
    });

  /* The next close button, else the one before, else the main content: never nowhere. */
  const focusAfter = (/** @type {Element} */ alert) => {
    const alerts = [...document.querySelectorAll(".alert")].filter((other) => other.querySelector(BUTTONS));
    const index = alerts.indexOf(alert);
    const next = (alerts[index + 1] ?? alerts[index - 1])?.querySelector(BUTTONS);
    if (next) return next;
    const main = document.querySelector("main, [role=main]") ?? document.body;
    if (!main.hasAttribute("tabindex")) main.tabIndex = -1;
    return main;
  };

  /** @param {Element} button */
  const close = async (button) => {
    const alert = button.closest(".alert");
    if (!alert) return;
    if (button.hasAttribute("close-href")) {
      button.disabled = true;
      const answer = await markRead(button).catch(() => /** @type {Response} */ (null));
      button.disabled = false;
      /* Refused or offline: let the form say so, or leave the alert where it is. */
      if (!answer?.ok) {
        if (answer && button.form) button.form.submit();
        return;
      }
    }
    const next = focusAfter(alert);
    alert.remove();
    next.focus();
  };

  document.documentElement.classList.add("closes-alerts");
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(BUTTONS);
    if (!button?.closest(".alert")) return;
    event.preventDefault();
    /* Bootstrap's own script would remove the alert before the server has answered. */
    event.stopImmediatePropagation();
    close(button);
  }, true);
})();
