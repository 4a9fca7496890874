/* Makes forms of banners, bell and inbox work without leaving the page. Without it they work too.
   Whatever is shown before the server has agreed is taken back, visibly, when it refuses.

   All listeners are the document's, and what a page shows is in its elements alone: a library may exchange the body, or
   bring back a copy of an earlier one, as often as it likes. */

const bell = () => document.querySelector("[data-mx-bell]");
const status = () => document.querySelector("[data-mx-status]");

/* A region that was there before is announced; one that says the same twice is not. */
const say = (text) => {
  const region = status();
  if (!region) return;
  region.textContent = "";
  setTimeout(() => { region.textContent = text; }, 50);
};

const complain = (near) => {
  const text = bell()?.dataset.mxFailed ?? "";
  say(text);
  document.querySelectorAll("[data-mx-complaint]").forEach((old) => old.remove());
  const error = Object.assign(document.createElement("p"), { className: "mx-problem", textContent: text });
  error.dataset.mxComplaint = "";
  near?.before(error);
};

/* The starts and ends of what was sent: what was fetched while one more came may be older than what is shown. */
let posts = 0;

const post = async (form, accept) => {
  posts += 1;
  const answer = await fetch(form.action, {
    method: "POST",
    body: new FormData(form),
    credentials: "same-origin",
    headers: { Accept: accept },
  }).finally(() => { posts += 1; });
  /* A session that has ended leads to the login page. */
  if (!answer.ok) throw new Error(String(answer.status));
  return answer;
};

/* The bell */

let live;

const drawBadge = ({ text, name }) => {
  document.querySelectorAll(".mx-bell-button").forEach((button) => button.setAttribute("aria-label", name));
  document.querySelectorAll(".mx-count").forEach((count) => {
    count.textContent = text;
    count.hidden = !text;
  });
};

const showBadge = (badge) => {
  drawBadge(badge);
  live?.tell({ unread: Number.parseInt(badge.text, 10) || 0, ...badge });
};

const panelOf = (root) => root.querySelector(".mx-panel");

const closePanel = (root, refocus) => {
  const panel = panelOf(root);
  if (panel.hidden) return;
  panel.hidden = true;
  const button = root.querySelector(".mx-bell-button");
  button.setAttribute("aria-expanded", "false");
  if (refocus) button.focus();
};

const loadPanel = async (root) => {
  const panel = panelOf(root);
  try {
    const answer = await fetch(root.dataset.mxPanel, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    panel.innerHTML = await answer.text();
  } catch {
    panel.textContent = "";
    const again = Object.assign(document.createElement("a"), { href: root.querySelector(".mx-bell-button").dataset.mxHref, textContent: root.dataset.mxFailed });
    panel.append(again);
  }
};

/* Away from the edges of the window, in pixels. */
const EDGE_PX = 8;

/* On the side of the bell that has room, and never outside the window. */
const place = (root) => {
  const panel = panelOf(root);
  if (panel.hidden) return;
  const { clientWidth: width, clientHeight: height } = document.documentElement;
  const bell = root.getBoundingClientRect();
  const rooms = { below: height - bell.bottom - 2 * EDGE_PX, above: bell.top - 2 * EDGE_PX };
  const above = rooms.below < Math.min(panel.scrollHeight, height / 2) && rooms.above > rooms.below;
  const outside = (fromStart) => {
    panel.classList.toggle("mx-from-start", fromStart);
    const { left, right } = panel.getBoundingClientRect();
    return Math.max(EDGE_PX - left, right + EDGE_PX - width, 0);
  };
  panel.style.translate = "";
  panel.style.maxHeight = `min(36rem, ${Math.max(above ? rooms.above : rooms.below, 160)}px)`;
  panel.classList.toggle("mx-above", above);
  if (outside(false) && outside(true) > outside(false)) outside(false);
  const { left, right } = panel.getBoundingClientRect();
  panel.style.translate = `${Math.max(EDGE_PX - left, Math.min(width - EDGE_PX - right, 0))}px`;
};

const openPanel = async (root) => {
  const panel = panelOf(root);
  panel.textContent = root.dataset.mxLoading;
  panel.hidden = false;
  root.querySelector(".mx-bell-button").setAttribute("aria-expanded", "true");
  place(root);
  panel.focus();
  await loadPanel(root);
  place(root);
};

/* A link becomes a button only where there is something that it can open here. */
const asButton = (link) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = link.className;
  button.dataset.mxHref = link.href;
  button.setAttribute("aria-label", link.getAttribute("aria-label"));
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", "mx-panel");
  button.append(...link.childNodes);
  link.replaceWith(button);
};

const bells = () => document.querySelectorAll("[data-mx-bell]");
const closePanels = (but) => bells().forEach((root) => { if (!root.contains(but)) closePanel(root, false); });

document.addEventListener("pointerdown", ({ target }) => closePanels(target));
document.addEventListener("focusin", ({ target }) => closePanels(target));
document.addEventListener("keydown", ({ key, target }) => {
  const root = key === "Escape" && target.closest?.("[data-mx-bell]");
  if (root) closePanel(root, true);
});
addEventListener("resize", () => bells().forEach(place));
/* What a library keeps of this page, to show it again when one goes back. */
["turbo:before-cache", "htmx:beforeHistorySave"].forEach((type) => document.addEventListener(type, () => closePanels(null)));

/* Banners */

const focusAfter = (banner) => {
  const banners = [...document.querySelectorAll("[data-mx-banner]")];
  const index = banners.indexOf(banner);
  const next = (banners[index + 1] ?? banners[index - 1])?.querySelector("form button, .mx-x:not([hidden])");
  const main = document.querySelector("main, [role=main]") ?? document.body;
  if (!next && !main.hasAttribute("tabindex")) main.tabIndex = -1;
  return next ?? main;
};

/* Which banners are folded the style sheet says; how many, and before which of them, is said here. */
const countFolded = (region) => {
  const fold = region.querySelector("[data-mx-fold]");
  if (!fold) return;
  const folded = (from) => [...region.querySelectorAll(`:scope > :nth-child(n + ${from} of [data-mx-pk]):not([data-mx-urgent])`)];
  fold.querySelectorAll("[data-mx-from]").forEach((text) => {
    const counts = folded(text.dataset.mxFrom).map((each) => each.dataset.mxBeyond ?? "1");
    const sum = counts.reduce((total, each) => total + Number.parseInt(each, 10), 0);
    text.textContent = text.textContent.replace(/\d+\+?/, counts.some((each) => each.endsWith("+")) ? `${sum}+` : sum);
  });
  const [first] = folded(4);
  if (!first || fold.nextElementSibling === first) return;
  const held = fold.contains(document.activeElement);
  first.before(fold);
  if (held) fold.firstElementChild.focus();
};

/* Without a script each text that may be too long has the button; with one, each that is. */
const lines = new ResizeObserver((changes) => changes.forEach(({ target }) => {
  const all = target.parentElement?.querySelector(":scope > .mx-all");
  if (all && !all.open) all.toggleAttribute("data-mx-fits", target.scrollHeight <= target.clientHeight + 1);
}));

const takeAway = (banner, refocus = true) => {
  const next = focusAfter(banner);
  const region = banner.closest("[data-mx-banners]");
  banner.remove();
  if (region) countFolded(region);
  if (region && !region.querySelector("[data-mx-banner]")) region.hidden = true;
  if (refocus) next.focus();
};

const closeBanner = async (form) => {
  const banner = form.closest("[data-mx-banner]");
  banner.classList.add("mx-leaving");
  try {
    showBadge(await (await post(form, "application/json")).json());
    takeAway(banner);
  } catch {
    banner.classList.remove("mx-leaving");
    complain(banner);
  }
};

/* Entries of the inbox and the panel */

const setRead = (entry, read) => {
  entry.classList.toggle("mx-unread", !read);
  entry.querySelector(".mx-state").hidden = read;
  entry.querySelectorAll("[data-mx-mark]").forEach((form) => { form.hidden = (form.dataset.mxMark === "read") === read; });
};

const mark = async (form) => {
  const entry = form.closest("[data-mx-entry]");
  const read = form.dataset.mxMark === "read";
  const acknowledges = !entry.querySelector("[data-mx-mark=unread]");
  const held = entry.contains(document.activeElement);
  const posted = post(form, "application/json");
  setRead(entry, read);
  const other = entry.querySelector("[data-mx-mark]:not([hidden]) button");
  if (held) (other ?? entry).focus();
  try {
    showBadge(await (await posted).json());
    document.querySelector(`[data-mx-banner][data-mx-pk="${CSS.escape(entry.id.replace(/^mx-(panel-)?/, ""))}"]`)?.remove();
    if (acknowledges) await refresh();
  } catch {
    setRead(entry, !read);
    complain(entry);
    if (held) (form.querySelector("button") ?? entry).focus();
  }
};

/* Parts of a page that the server has made anew */

const swap = (html, url) => {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const inbox = fresh.querySelector("[data-mx-inbox]");
  const count = fresh.querySelector(".mx-count");
  const name = fresh.querySelector(".mx-bell-button")?.getAttribute("aria-label");
  if (!inbox) throw new Error("no inbox");
  document.querySelector("[data-mx-inbox]").replaceWith(inbox);
  if (count && name) showBadge({ text: count.textContent, name });
  /* A library that goes back by itself has its own notes there. */
  if (url) history.replaceState(history.state, "", url);
};

const refresh = async () => {
  if (!document.querySelector("[data-mx-inbox]")) return;
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (answer.ok) swap(await answer.text());
};

const submitAndSwap = async (form) => {
  try {
    const answer = await post(form, "text/html");
    swap(await answer.text(), answer.url);
    const notice = document.getElementById("mx-undo");
    if (notice) say(notice.querySelector("span").textContent);
    (notice?.querySelector("button") ?? document.querySelector("[data-mx-inbox] h1")).focus();
  } catch {
    complain(document.querySelector("[data-mx-list]"));
  }
};

const markAllInPanel = async (form) => {
  try {
    await post(form, "text/html");
    await loadPanel(bell());
    const answer = await fetch(bell().dataset.mxBadge, { credentials: "same-origin" });
    showBadge(await answer.json());
    await refresh();
  } catch {
    complain(form);
  }
};

/* Shortcuts; characters alone, so they can be switched off */

const SWITCH = "messages_extends.shortcuts";
const shortcutsOn = () => {
  try { return localStorage.getItem(SWITCH) !== "off"; } catch { return true; }
};

const mountKeys = (keys) => {
  keys.hidden = false;
  keys.querySelector("[data-mx-keys-on]").checked = shortcutsOn();
};

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-mx-keys-on]")) return;
  try { localStorage.setItem(SWITCH, target.checked ? "on" : "off"); } catch { /* not remembered */ }
});

const entries = () => [...document.querySelectorAll("[data-mx-list] [data-mx-entry]")];
const currentEntry = () => document.activeElement?.closest?.("[data-mx-list] [data-mx-entry]");

const move = (step) => {
  const all = entries();
  const index = all.indexOf(currentEntry());
  const next = all[index < 0 ? 0 : Math.min(Math.max(index + step, 0), all.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
};

const press = (kind) => currentEntry()?.querySelector(`[data-mx-mark=${kind}]:not([hidden])`)?.requestSubmit();

const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  e: () => press("read"),
  I: () => press("read"),
  U: () => press("unread"),
  "?": () => document.querySelector("[data-mx-keys] dialog")?.showModal(),
  Enter: () => (document.activeElement === currentEntry() ? currentEntry()?.querySelector(".mx-link a")?.click() : undefined),
};

let before = "";
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !shortcutsOn()) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
  const home = document.querySelector(".mx-bell-button");
  if (before === "g" && event.key === "n" && home) location.assign(home.dataset.mxHref ?? home.href);
  before = event.key;
  if (!document.querySelector("[data-mx-list]")) return;
  const act = ACTIONS[event.key];
  if (!act || (event.key === "Enter" && document.activeElement !== currentEntry())) return;
  event.preventDefault();
  act();
});

/* Start */

const HANDLERS = [
  ["[data-mx-close]", closeBanner],
  ["[data-mx-mark]", mark],
  ["[data-mx-all]", markAllInPanel],
  ["[data-mx-swap]", submitAndSwap],
];
/* First of all, and then nobody else: a library that sends forms by itself would send these once more. */
document.addEventListener("submit", (event) => {
  const found = HANDLERS.find(([selector]) => event.target.matches(selector));
  if (!found) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  found[1](event.target);
}, true);
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-mx-dismiss], [data-mx-help], button.mx-bell-button");
  if (!button) return;
  if (button.matches("[data-mx-dismiss]")) takeAway(button.closest("[data-mx-banner]"));
  else if (button.matches("[data-mx-help]")) button.parentElement.querySelector("dialog").showModal();
  else {
    const root = button.closest("[data-mx-bell]");
    if (panelOf(root).hidden) openPanel(root);
    else closePanel(root, false);
  }
});

const mountBanners = (root) => {
  root.querySelectorAll("[data-mx-dismiss][hidden]").forEach((button) => { button.hidden = false; });
  root.querySelectorAll(".mx-lines").forEach((text) => lines.observe(text));
};

let followed = null;
let loading;

/* By an address of its own, because a name in an import would miss the hash in that of the file. */
const follow = () => {
  const root = document.querySelector("[data-mx-live]");
  if (root === followed) return;
  followed = root;
  if (live) live.follow(root);
  else {
    loading ??= import(root.dataset.mxScript)
      .then(({ start }) => {
        live = start({ drawBadge, say, takeAway, mountBanners, countFolded, posts: () => posts });
        live.follow(followed);
      })
      .catch(() => { /* the page works as it is */ });
  }
};

/* Whatever has not been seen yet; doing it again changes nothing. */
const mount = () => {
  mountBanners(document);
  document.querySelectorAll("[data-mx-bell] a.mx-bell-button").forEach(asButton);
  document.querySelectorAll("[data-mx-keys][hidden]").forEach(mountKeys);
  follow();
  document.dispatchEvent(new Event("mx:mount"));
};

new MutationObserver((records) => {
  if (records.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE))) mount();
}).observe(document.documentElement, { childList: true, subtree: true });
mount();
