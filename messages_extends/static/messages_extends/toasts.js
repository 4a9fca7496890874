// @ts-check
/* Toasts for urgent messages, in addition to banner and entry; they disappear by themselves. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

const TOAST_DURATION_MS = 8_000;
const MAX_TOASTS = 3;
const MAX_NAME_LENGTH = 60;

mx.createToaster = (root, signal) => {
  /** @type {Map<Element, number>} Each toast that is shown, with its timer; 0 while it waits. */
  const timers = new Map();
  const region = /** @type {HTMLElement} */ (
    root.querySelector("[data-mx-toasts]").content.firstElementChild.cloneNode(true)
  );
  const blank = region.firstElementChild;
  /** @type {Element | undefined} */
  let focusedBefore;
  region.replaceChildren();

  const close = (/** @type {Element} */ toast) => {
    const held = toast.contains(document.activeElement);
    clearTimeout(timers.get(toast));
    timers.delete(toast);
    toast.remove();
    const next = region.querySelector("button") ??
      (focusedBefore?.isConnected ? focusedBefore : document.querySelector("main, [role=main]") ?? document.body);
    if (!timers.size) region.remove();
    if (held) mx.makeFocusable(next).focus({ preventScroll: true });
  };

  const restartTimers = () =>
    timers.forEach((timer, toast) => {
      clearTimeout(timer);
      const paused = document.hidden || region.matches(":hover, :focus-within");
      timers.set(toast, paused ? 0 : setTimeout(close, TOAST_DURATION_MS, toast));
    });

  const covers = (/** @type {Element} */ element) => {
    const [a, b] = [region, element].map((each) => each.getBoundingClientRect());
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  };

  /* Move to the other end of the window if they cover the focused element. */
  const moveAside = () => {
    const focused = document.activeElement;
    region.classList.remove("mx-high");
    if (!region.isConnected || region.contains(focused) || !covers(focused)) return;
    region.classList.add("mx-high");
    if (covers(focused)) region.classList.remove("mx-high");
  };

  ["pointerenter", "pointerleave", "focusin", "focusout"].forEach((type) => {
    region.addEventListener(type, () => setTimeout(restartTimers));
  });
  region.addEventListener("focusin", (event) => {
    const before = /** @type {Element | null} */ (event.relatedTarget);
    if (before && !region.contains(before)) focusedBefore = before;
  });
  region.addEventListener("click", ({ target }) => {
    if (target.closest(".mx-x")) close(target.closest(".mx-toast"));
  });
  region.addEventListener("keydown", ({ key, target }) => {
    if (key === "Escape") close(target.closest(".mx-toast"));
  });
  document.addEventListener("visibilitychange", restartTimers, { signal });
  document.addEventListener("focusin", moveAside, { signal });

  return {
    show: (banner) => {
      const toast = /** @type {Element} */ (blank.cloneNode(true));
      const button = toast.querySelector(".mx-x");
      const text = /** @type {Element} */ (banner.querySelector(".mx-lines").cloneNode(true));
      const name = text.lastElementChild.textContent.slice(0, MAX_NAME_LENGTH);
      toast.classList.add(banner.matches(".mx-error") ? "mx-error" : "mx-warning");
      toast.prepend(banner.querySelector(".mx-icon").cloneNode(true), text, ...banner.querySelectorAll(".mx-text > a"));
      const form = banner.querySelector("[data-mx-close]");
      if (form) {
        /* Sent when its link is followed. */
        form.hidden = true;
        toast.append(form);
      }
      button.setAttribute("aria-label", `${button.getAttribute("aria-label")}: ${name}`);
      /* It has no control any more. */
      text.setAttribute("role", "alert");
      if (timers.size === MAX_TOASTS) close(timers.keys().next().value);
      timers.set(toast, 0);
      region.append(toast);
      if (!region.isConnected) document.body.append(region);
      restartTimers();
      moveAside();
    },
    /* Unread toasts continue in a new body. */
    keep: () => {
      if (timers.size && !region.isConnected) document.body.append(region);
    },
  };
};
