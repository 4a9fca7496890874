// @ts-check
/* Keyboard shortcuts. They are single characters and can therefore be turned off. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

const STORAGE_KEY = "messages_extends.shortcuts";

const areOn = () => {
  try {
    return localStorage.getItem(STORAGE_KEY) !== "off";
  } catch {
    return true;
  }
};

/* Entries outside of folded groups. */
const entries = () =>
  [...document.querySelectorAll("[data-mx-list] [data-mx-entry]")].filter((each) => each.checkVisibility());
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

/**
 * Press the button for the selected entries, or else that of the current one.
 * @param {string} selector
 */
const pressFor = (selector) => {
  const root = document.querySelector(".mx-select :checked")
    ? document.querySelector(".mx-bulk")
    : currentEntry()?.querySelector(":scope > .mx-side");
  root?.querySelector(selector)?.click();
};

const openCurrent = () => {
  const entry = currentEntry();
  entry.querySelector(":scope > .mx-body > :is(.mx-link, summary)")?.click();
};

/** @type {Record<string, () => void>} */
const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  e: () => pressFor("[name=archive], [name=unarchive], [data-mx-acknowledge] button"),
  h: () => pressFor("[name=snooze], [name=unsnooze]"),
  s: () => pressFor("[name=save], [name=unsave]"),
  x: () => currentEntry()?.querySelector(":scope > .mx-select input")?.click(),
  z: () => mx.undo(),
  I: () => press("read"),
  U: () => press("unread"),
  "/": () => document.querySelector("[data-mx-inbox] [type=search]")?.focus(),
  "?": () => document.querySelector("[data-mx-keys] dialog")?.showModal(),
  Enter: openCurrent,
};

let keyBefore = "";
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !areOn()) return;
  if (event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog")) return;
  const bell = document.querySelector(".mx-bell-button");
  if (keyBefore === "g" && event.key === "n" && bell) location.assign(bell.dataset.mxHref ?? bell.href);
  keyBefore = event.key;
  if (!document.querySelector("[data-mx-inbox]")) return;
  const act = ACTIONS[event.key];
  if (!act || (event.key === "Enter" && (!currentEntry() || document.activeElement !== currentEntry()))) return;
  event.preventDefault();
  act();
});

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-mx-keys-on]")) return;
  try {
    localStorage.setItem(STORAGE_KEY, target.checked ? "on" : "off");
  } catch { /* the choice is not stored */ }
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
