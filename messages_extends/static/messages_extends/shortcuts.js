// @ts-check
/* Keyboard shortcuts; characters alone, so they can be switched off. */

const STORAGE_KEY = "messages_extends.shortcuts";

const areOn = () => {
  try {
    return localStorage.getItem(STORAGE_KEY) !== "off";
  } catch {
    return true;
  }
};

const entries = () => [...document.querySelectorAll("[data-mx-list] [data-mx-entry]")];
const currentEntry = () => document.activeElement?.closest("[data-mx-list] [data-mx-entry]");

/** @param {number} step */
const move = (step) => {
  const all = entries();
  const index = all.indexOf(currentEntry());
  const next = all[index < 0 ? 0 : Math.min(Math.max(index + step, 0), all.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
};

/** @param {"read" | "unread"} mark */
const press = (mark) => currentEntry()?.querySelector(`[data-mx-mark=${mark}]:not([hidden])`)?.requestSubmit();

/** @type {Record<string, () => void>} */
const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  e: () => press("read"),
  I: () => press("read"),
  U: () => press("unread"),
  "?": () => document.querySelector("[data-mx-keys] dialog")?.showModal(),
  Enter: () => currentEntry().querySelector(".mx-link")?.click(),
};

let keyBefore = "";
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !areOn()) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
  const bell = document.querySelector(".mx-bell-button");
  if (keyBefore === "g" && event.key === "n" && bell) location.assign(bell.dataset.mxHref ?? bell.href);
  keyBefore = event.key;
  if (!document.querySelector("[data-mx-list]")) return;
  const act = ACTIONS[event.key];
  if (!act || (event.key === "Enter" && document.activeElement !== currentEntry())) return;
  event.preventDefault();
  act();
});

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-mx-keys-on]")) return;
  try {
    localStorage.setItem(STORAGE_KEY, target.checked ? "on" : "off");
  } catch { /* not remembered */ }
});

document.addEventListener("click", ({ target }) => {
  target.closest?.("[data-mx-help]")?.parentElement.querySelector("dialog").showModal();
});

const mount = () =>
  document.querySelectorAll("[data-mx-keys][hidden]").forEach((keys) => {
    keys.hidden = false;
    keys.querySelector("[data-mx-keys-on]").checked = areOn();
  });
document.addEventListener("mx:mount", mount);
mount();
