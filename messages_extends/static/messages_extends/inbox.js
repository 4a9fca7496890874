// @ts-check
/* Entries of the inbox and of the bell's panel: marking them as read and as unread, one or all, and following links. */

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
 * Mark as read what has a link that somebody follows, in this window or in another; the request outlives this page. What
 * must be acknowledged stays as it is.
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
  } catch { /* it stays unread, and its button is there */ }
};

document.addEventListener("click", followLink);
document.addEventListener("auxclick", (event) => {
  /* The middle button opens a window; the right one, a menu. */
  if (event.button === 1) followLink(event);
});

/**
 * Show the inbox as the server has made it anew.
 * @param {string} html
 * @param {string} [url]
 */
const replaceInbox = (html, url) => {
  const fresh = mx.parse(html);
  const inbox = fresh.querySelector("[data-mx-inbox]");
  const count = fresh.querySelector(".mx-count");
  const name = fresh.querySelector(".mx-bell-button")?.getAttribute("aria-label");
  if (!inbox) throw new Error("no inbox");
  document.querySelector("[data-mx-inbox]").replaceWith(inbox);
  if (count && name) mx.showBadge({ text: count.textContent, name });
  /* A library that goes back by itself has its own notes there. */
  if (url) history.replaceState(history.state, "", url);
};

mx.refreshInbox = async () => {
  if (!document.querySelector("[data-mx-inbox]")) return;
  const response = await fetch(location.href, { credentials: "same-origin" });
  if (response.ok) replaceInbox(await response.text());
};

mx.submitHandlers.set("[data-mx-swap]", async (form) => {
  try {
    const response = await mx.post(form, "text/html");
    replaceInbox(await response.text(), response.url);
    const notice = document.querySelector("#mx-undo");
    if (notice) mx.announce(notice.querySelector("span").textContent);
    (notice?.querySelector("button") ?? document.querySelector("[data-mx-inbox] h1")).focus();
  } catch {
    mx.showFailure(document.querySelector("[data-mx-list]"));
  }
});

/* How long ago: said anew each minute, in the words of the server's language. */

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
