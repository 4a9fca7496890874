// @ts-check
/* Entries of the inbox and the panel: marking, archiving, snoozing and saving them, and following links. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

/**
 * @param {Element} entry
 * @param {boolean} read
 */
const setRead = (entry, read) => {
  entry.classList.toggle("mx-unread", !read);
  entry.querySelector(".mx-state").hidden = read;
  entry.querySelectorAll("[data-mx-mark]").forEach((form) => {
    form.hidden = (form.dataset.mxMark === "read") === read;
  });
};

mx.submitHandlers.set("[data-mx-mark]", async (form) => {
  const entry = form.closest("[data-mx-entry]");
  const read = form.dataset.mxMark === "read";
  const acknowledges = form.matches("[data-mx-acknowledge]");
  const held = entry.contains(document.activeElement);
  const posted = mx.post(form, "application/json");
  setRead(entry, read);
  if (held) (entry.querySelector("[data-mx-mark]:not([hidden]) button") ?? entry).focus();
  try {
    mx.showBadge(await (await posted).json());
    const pk = CSS.escape(entry.id.replace(/^mx-(panel-)?/, ""));
    document.querySelector(`[data-mx-banner][data-mx-pk="${pk}"]`)?.remove();
    if (acknowledges) await mx.refreshInbox();
  } catch {
    setRead(entry, !read);
    mx.showFailure(entry);
    if (held) (form.querySelector("button") ?? entry).focus();
  }
});

/**
 * Mark an entry as read when its link is followed, unless it must be acknowledged. The request outlives this page.
 * @param {MouseEvent} event
 */
const followLink = async ({ target }) => {
  const link = target.closest?.("a[href]");
  const item = link?.closest("[data-mx-entry], [data-mx-banner], .mx-toast");
  const form = item?.querySelector("[data-mx-mark=read]:not([hidden]), [data-mx-close]");
  if (!form || form.matches("[data-mx-acknowledge]") || item.matches(".mx-leaving")) return;
  try {
    const badge = await (await mx.post(form, "application/json", { keepalive: true })).json();
    mx.showBadge(badge);
    document.querySelectorAll(`form[action="${CSS.escape(form.getAttribute("action"))}"]`).forEach((same) => {
      const [entry, banner] = ["[data-mx-entry]", "[data-mx-banner]"].map((each) => same.closest(each));
      if (entry) setRead(entry, true);
      if (banner) mx.removeBanner(banner, banner.contains(document.activeElement));
    });
  } catch { /* the entry stays unread, with its button */ }
};

document.addEventListener("click", followLink);
document.addEventListener("auxclick", (event) => {
  /* The middle button opens a tab, the right one a menu. */
  if (event.button === 1) followLink(event);
});

const focusable = () =>
  [...document.querySelectorAll("[data-mx-list] [data-mx-entry]")].filter((each) => each.checkVisibility());

/**
 * Replace the inbox by what the server has rendered.
 * @param {string} html
 * @param {string} [url]
 */
const replaceInbox = (html, url) => {
  const fresh = mx.parse(html);
  const inbox = fresh.querySelector("[data-mx-inbox]");
  const count = fresh.querySelector(".mx-count");
  const name = fresh.querySelector(".mx-bell-button")?.getAttribute("aria-label");
  if (!inbox) throw new Error("no inbox");
  document.querySelectorAll("[data-mx-inbox] .mx-group:has(> [open])").forEach(({ id }) => {
    inbox.querySelector(`#${id} > details`)?.setAttribute("open", "");
  });
  const old = document.querySelector("[data-mx-inbox]");
  const held = old.contains(document.activeElement);
  const id = document.activeElement.closest("[data-mx-entry]")?.id;
  old.replaceWith(inbox);
  if (held) {
    mx.makeFocusable((id && document.getElementById(id)) || (focusable()[0] ?? inbox.querySelector("h1"))).focus();
  }
  if (count && name) mx.showBadge({ text: count.textContent, name });
  /* Keep the state of a library that handles going back. */
  if (url) history.replaceState(history.state, "", url);
};

mx.refreshInbox = async () => {
  if (!document.querySelector("[data-mx-inbox]")) return;
  const response = await fetch(location.href, { credentials: "same-origin" });
  const html = await response.text();
  /* The response may still contain entries that are being archived. */
  if (response.ok && !waiting) replaceInbox(html);
};

mx.submitHandlers.set("[data-mx-swap]", async (form) => {
  try {
    const response = await mx.post(form, "text/html");
    replaceInbox(await response.text(), response.url);
    const notice = document.querySelector("#mx-undo");
    if (notice) mx.announce(notice.querySelector("span").textContent);
    mx.makeFocusable(notice?.querySelector("button") ?? focusable()[0] ?? document.querySelector("[data-mx-inbox] h1"))
      .focus();
  } catch {
    mx.showFailure(document.querySelector("[data-mx-list]"));
  }
});

/* Archiving, snoozing and saving: one entry, or the selected ones. */

const selected = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll(".mx-select :checked")]);

const showSelected = () => {
  const all = document.querySelector("[data-mx-select-all]");
  if (!all) return;
  const words = all.querySelector("[data-mx-selected]");
  const [boxes, count] = [document.querySelectorAll(".mx-select input"), selected().length];
  const box = all.querySelector("input");
  all.hidden = false;
  box.checked = count === boxes.length;
  box.indeterminate = count > 0 && count < boxes.length;
  words.textContent = words.dataset.mxSelected.replace("%s", String(count));
};

document.addEventListener("change", ({ target }) => {
  if (target.closest("[data-mx-select-all]")) {
    document.querySelectorAll(".mx-select input").forEach((box) => {
      box.checked = target.checked;
    });
  }
  if (target.closest("[data-mx-select-all], .mx-select")) showSelected();
});

/* Changes are sent one after the other, or all at once when the user leaves the page. The inbox is fetched after the
   last one. */
/** @type {Promise<string | void>} */
let sending = Promise.resolve();
const leaving = new Promise((resolve) => addEventListener("pagehide", resolve, { once: true }));
let waiting = 0;
/** @type {Promise<void>} */
let settled = Promise.resolve();

/* Undo applies to the last change, which may not have been sent yet. */
mx.undo = async () => {
  await settled;
  document.querySelector("#mx-undo button")?.click();
};

/**
 * @param {Element} form
 * @param {FormData} body
 * @param {Element[]} entries The changed ones, which are removed from the list at once.
 */
const triage = async (form, body, entries) => {
  const held = entries.some((each) => each.contains(document.activeElement));
  const next = focusable();
  const after = next.findLast((each) => entries.includes(each));
  const goal = next.slice(next.indexOf(after) + 1).find((each) => !entries.some((one) => one.contains(each)));
  entries.forEach((each) => {
    each.hidden = true;
  });
  if (held) mx.makeFocusable(goal ?? focusable().at(-1) ?? document.querySelector("[data-mx-inbox] h1")).focus();
  document.querySelector("#mx-undo")?.remove();
  waiting += 1;
  let failed = false;
  const sent = Promise.race([sending, leaving]).then(async () => {
    const response = await mx.post(form, "application/json", { body, keepalive: true });
    const { location: address, ...badge } = await response.json();
    mx.showBadge(badge);
    return address;
  });
  sending = sent.catch(() => {});
  const address = await sent.catch(() => {
    failed = true;
    return location.href;
  });
  waiting -= 1;
  if (waiting) return;
  const html = await mx.getText(address);
  const dialog = document.querySelector("[data-mx-inbox] dialog[open]");
  if (dialog) await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  /* The user has changed something else meanwhile. */
  if (waiting) return;
  replaceInbox(html, address);
  showSelected();
  const notice = document.querySelector("#mx-undo span");
  if (failed) mx.showFailure(document.querySelector("[data-mx-list]"));
  else if (notice) mx.announce(notice.textContent);
};

mx.submitHandlers.set("[data-mx-triage]", (form, submitter) => {
  const dialog = form.closest("dialog");
  const { name, value } = submitter;
  if (name === "snooze") {
    const choice = document.querySelector("[data-mx-snooze]");
    choice.querySelector("[name=snooze]").value = value || selected().map((each) => each.value).join(" ");
    choice.showModal();
    return;
  }
  const body = new FormData(form, /** @type {HTMLElement} */ (submitter));
  const keys = new Set(
    String(body.get("snooze") || value || selected().map((each) => each.value).join(" ")).split(" "),
  );
  if (dialog && value === "own" && !body.get("until")) {
    dialog.querySelector("[name=until]").focus();
    return;
  }
  dialog?.close();
  const stays = name === "save" || (name === "unsave" && !/[?&]view=saved/.test(location.search));
  const entries = focusable().filter((each) => {
    const box = each.querySelector(":scope > .mx-select input");
    return !stays && box?.value.split(" ").every((/** @type {string} */ key) => keys.has(key));
  });
  settled = triage(form, body, entries).catch(() => mx.showFailure(document.querySelector("[data-mx-list]")));
});

document.addEventListener("mx:mount", showSelected);
showSelected();

/* Times such as "5 minutes ago", updated each minute in the server's language. */

const MINUTE_MS = 60_000;
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["year", 525_600], ["month", 43_200], ["week", 10_080], ["day", 1_440], ["hour", 60], ["minute", 1]];

setInterval(() => {
  document.querySelectorAll(".mx-time time").forEach((time) => {
    const minutes = Math.floor((Date.now() - Date.parse(time.getAttribute("datetime"))) / MINUTE_MS);
    const [unit, size] = UNITS.find((each) => minutes >= each[1]) ?? [];
    if (!unit) return;
    const format = new Intl.RelativeTimeFormat(time.closest("[lang]")?.getAttribute("lang"));
    time.textContent = format.format(-Math.floor(minutes / size), unit);
  });
}, MINUTE_MS);
