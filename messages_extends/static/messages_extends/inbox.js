// @ts-check
/* Entries of the inbox and of the bell's panel: marking them as read and as unread, one or all. */

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
  const acknowledges = !entry.querySelector("[data-mx-mark=unread]");
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
