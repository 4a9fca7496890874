// @ts-check
/* The bell: its number and the panel of the latest messages. Also other menus that open over a page. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

/* The panel's distance from the edges of the window, and its minimum height. */
const EDGE_PX = 8;
const MIN_HEIGHT_PX = 160;

const bells = () => document.querySelectorAll("[data-mx-bell]");
/** @param {Element} root */
const panelOf = (root) => root.querySelector(".mx-panel");
/** @param {Element} root */
const buttonOf = (root) => root.querySelector(".mx-bell-button");

mx.drawBadge = ({ text, name }) => {
  document.querySelectorAll(".mx-bell-button").forEach((button) => button.setAttribute("aria-label", name));
  document.querySelectorAll(".mx-count").forEach((count) => {
    count.textContent = text;
    count.hidden = !text;
  });
};

mx.showBadge = (badge) => {
  mx.drawBadge(badge);
  mx.live?.tell({ unread: Number.parseInt(badge.text, 10) || 0, ...badge });
};

/**
 * @param {Element} root
 * @param {boolean} refocus
 */
const closePanel = (root, refocus) => {
  const panel = panelOf(root);
  if (panel.hidden) return;
  panel.hidden = true;
  const button = buttonOf(root);
  button.setAttribute("aria-expanded", "false");
  if (refocus) button.focus();
};

/** @param {Element} root */
const loadPanel = async (root) => {
  const panel = panelOf(root);
  try {
    panel.innerHTML = await mx.getText(root.dataset.mxPanel);
  } catch {
    const link = { href: buttonOf(root).dataset.mxHref, textContent: root.dataset.mxFailed };
    panel.replaceChildren(Object.assign(document.createElement("a"), link));
  }
};

/**
 * Place the panel on the side of the bell that has room, inside the window.
 * @param {Element} root
 */
const placePanel = (root) => {
  const panel = panelOf(root);
  if (panel.hidden) return;
  const { clientWidth: width, clientHeight: height } = document.documentElement;
  const bell = root.getBoundingClientRect();
  const rooms = { below: height - bell.bottom - 2 * EDGE_PX, above: bell.top - 2 * EDGE_PX };
  const above = rooms.below < Math.min(panel.scrollHeight, height / 2) && rooms.above > rooms.below;
  const outside = (/** @type {boolean} */ fromStart) => {
    panel.classList.toggle("mx-from-start", fromStart);
    const { left, right } = panel.getBoundingClientRect();
    return Math.max(EDGE_PX - left, right + EDGE_PX - width, 0);
  };
  panel.style.translate = "";
  panel.style.maxHeight = `min(36rem, ${Math.max(above ? rooms.above : rooms.below, MIN_HEIGHT_PX)}px)`;
  panel.classList.toggle("mx-above", above);
  if (outside(false) && outside(true) > outside(false)) outside(false);
  const { left, right } = panel.getBoundingClientRect();
  panel.style.translate = `${Math.max(EDGE_PX - left, Math.min(width - EDGE_PX - right, 0))}px`;
};

/** @param {Element} root */
const openPanel = async (root) => {
  const panel = panelOf(root);
  panel.textContent = root.dataset.mxLoading;
  panel.hidden = false;
  buttonOf(root).setAttribute("aria-expanded", "true");
  placePanel(root);
  panel.focus();
  await loadPanel(root);
  placePanel(root);
};

mx.submitHandlers.set("[data-mx-all]", async (form) => {
  const [bell] = bells();
  try {
    await mx.post(form, "text/html");
    await loadPanel(bell);
    mx.showBadge(JSON.parse(await mx.getText(bell.dataset.mxBadge)));
    await mx.refreshInbox();
  } catch {
    mx.showFailure(form);
  }
});

/**
 * Make the link a button if it can open a panel on this page.
 * @param {Element} link
 */
const replaceByButton = (link) => {
  const button = Object.assign(document.createElement("button"), { type: "button", className: link.className });
  button.dataset.mxHref = link.href;
  button.setAttribute("aria-label", link.getAttribute("aria-label"));
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", "mx-panel");
  button.append(...link.childNodes);
  link.replaceWith(button);
};

/** @param {EventTarget | null} except */
const closePanels = (except) => {
  const isOutside = (/** @type {Element} */ root) => !root.contains(/** @type {Node} */ (except));
  [...bells()].filter(isOutside).forEach((root) => closePanel(root, false));
  [...document.querySelectorAll("[data-mx-menu][open]")].filter(isOutside).forEach((menu) => {
    menu.open = false;
  });
};

document.addEventListener("pointerdown", ({ target }) => closePanels(target));
document.addEventListener("focusin", ({ target }) => closePanels(target));
document.addEventListener("keydown", ({ key, target }) => {
  if (key !== "Escape") return;
  const root = target.closest?.("[data-mx-bell]");
  const menu = target.closest?.("[data-mx-menu][open]");
  if (root) closePanel(root, true);
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
document.addEventListener("click", ({ target }) => {
  const root = target.closest?.("button.mx-bell-button")?.closest("[data-mx-bell]");
  if (!root) return;
  if (panelOf(root).hidden) openPanel(root);
  else closePanel(root, false);
});
addEventListener("resize", () => bells().forEach(placePanel));
/* A library may keep a copy of this page for going back. */
["turbo:before-cache", "htmx:beforeHistorySave"].forEach((type) => {
  document.addEventListener(type, () => closePanels(null));
});

const mount = () => document.querySelectorAll("[data-mx-bell] a.mx-bell-button").forEach(replaceByButton);
document.addEventListener("mx:mount", mount);
mount();
