// @ts-check
/* The preview of a message, and the number of remaining characters. */

const ANNOUNCE_DELAY_MS = 800;
/* Below this number, the remaining characters are announced as well. */
const ANNOUNCED_BELOW = 200;

/**
 * Return a URL that the server would accept, or "": a script in a link would run here.
 * @param {string} value
 */
const cleanUrl = (value) => {
  try {
    const url = new URL(value, location.href);
    return value && /^https?:$/.test(url.protocol) && !/[\\\t\r\n]/.test(value) ? url.href : "";
  } catch {
    return "";
  }
};

/** @param {Element} form */
const showPreview = (form) => {
  const preview = form.querySelector("[data-mx-preview]");
  const choice = form.querySelector("[data-mx-level] :checked")?.closest("[data-mx-level]");
  if (!choice) return;
  const banner = preview.querySelector(".mx-banner");
  banner.className = `mx-banner mx-${choice.dataset.mxLevel}`;
  banner.querySelector(".mx-icon")?.remove();
  banner.prepend(choice.querySelector(".mx-icon").cloneNode(true));
  banner.querySelector(".mx-level").textContent = choice.querySelector("span").textContent;
  const { author, title, message, url, url_label, display } = form.elements;
  const sender = banner.querySelector("[data-mx-sender]");
  if (author) sender.textContent = author.value.trim();
  sender.parentElement.hidden = !sender.textContent;
  banner.querySelector("[data-mx-title]").textContent = title.value.trim();
  banner.querySelector("[data-mx-words]").textContent = message.value;
  const link = banner.querySelector("a");
  const address = cleanUrl(url.value.trim());
  link.hidden = !address;
  if (address) link.href = address;
  const host = /^https?:/.test(url.value) ? ` ${new URL(address || location.href).hostname}` : "";
  link.textContent = url_label.value.trim() || link.dataset.mxOpen + host;
  const isEmpty = !message.value.trim();
  banner.hidden = isEmpty;
  preview.querySelector("[data-mx-nothing]").hidden = !isEmpty;
  preview.querySelector("[data-mx-inbox-only]").hidden = isEmpty || display.value !== "inbox";
  preview.hidden = false;
};

/**
 * Return the announcement, or "" if there are enough characters left.
 * @param {Element} form
 */
const showCharactersLeft = (form) => {
  const text = form.querySelector("[data-mx-limit]");
  const hint = form.querySelector("[data-mx-left]");
  const left = Number(text.dataset.mxLimit) - [...text.value].length;
  const number = Math.abs(left).toLocaleString(document.documentElement.lang || undefined);
  hint.textContent = (left < 0 ? hint.dataset.mxOver : hint.dataset.mxLeft).replace("%s", number);
  hint.classList.toggle("mx-over", left < 0);
  return left < ANNOUNCED_BELOW ? hint.textContent : "";
};

let announceTimer = 0;
document.addEventListener("input", ({ target }) => {
  const form = target.closest(".mx-form");
  if (!form?.querySelector("[data-mx-limit]")) return;
  showPreview(form);
  const said = showCharactersLeft(form);
  clearTimeout(announceTimer);
  /* After a pause in typing. */
  announceTimer = setTimeout(() => {
    form.querySelector("[data-mx-left-status]").textContent = said;
  }, ANNOUNCE_DELAY_MS);
});

/* Once for each form, in any body. */
const mounted = new WeakSet();
const mount = () =>
  document.querySelectorAll(".mx-form").forEach((form) => {
    const text = form.querySelector("[data-mx-limit]");
    if (!text || mounted.has(form)) return;
    mounted.add(form);
    showPreview(form);
    if (text.value) showCharactersLeft(form);
  });
document.addEventListener("mx:mount", mount);
mount();
