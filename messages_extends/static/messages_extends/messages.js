// @ts-check
/* What all scripts of banners, bell and inbox share, and which of them gets a form that is sent. Without scripts the
   forms work too. What is shown before the server has agreed is taken back, visibly, when it refuses.

   Each script registers here what others need, in any order. Listeners are the document's, and what a page shows is in
   its elements alone: a library may exchange the body, or bring back a copy of an earlier one. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

/* Longer than a browser needs to notice that a region is empty. */
const ANNOUNCE_DELAY_MS = 50;

/* The starts and ends of what was sent: what was fetched while one more came may be older than what is shown. */
let postEvents = 0;

/* A region that was there before is announced; one that says the same twice is not. */
mx.announce = (text) => {
  const region = document.querySelector("[data-mx-status]");
  if (!region) return;
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text.trim();
  }, ANNOUNCE_DELAY_MS);
};

mx.showFailure = (near) => {
  const text = document.querySelector("[data-mx-bell]")?.dataset.mxFailed ?? "";
  mx.announce(text);
  document.querySelectorAll("[data-mx-complaint]").forEach((old) => old.remove());
  const error = Object.assign(document.createElement("p"), { className: "mx-problem", textContent: text });
  error.dataset.mxComplaint = "";
  near?.before(error);
};

mx.countPosts = () => postEvents;

mx.getText = async (url) => {
  const response = await fetch(url, { credentials: "same-origin" });
  /* A session that has ended leads to the login page. */
  if (!response.ok || response.redirected) throw new Error(String(response.status));
  return response.text();
};

mx.post = async (form, accept, options) => {
  postEvents += 1;
  const response = await fetch(form.action, {
    method: "POST",
    body: new FormData(/** @type {HTMLFormElement} */ (form)),
    credentials: "same-origin",
    headers: { Accept: accept },
    ...options,
  }).finally(() => {
    postEvents += 1;
  });
  if (!response.ok) throw new Error(String(response.status));
  return response;
};

mx.parse = (html) => new DOMParser().parseFromString(html, "text/html");

/* First of all, and then nobody else: a library that sends forms by itself would send these once more. */
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const found = [...mx.submitHandlers].find(([selector]) => form.matches(selector));
  if (!found) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  found[1](form, event.submitter);
}, true);

/* Live updates */

/** @type {Element | null} */
let followed = null;
/** @type {Promise<unknown> | undefined} */
let loading;

/* By addresses in the page, because a name in an import would miss the hash in that of the file. */
const followBell = () => {
  const root = document.querySelector("[data-mx-live]");
  if (root === followed) return;
  followed = root;
  loading ??= Promise.all(root.dataset.mxScripts.split(" ").map((address) => import(address)));
  loading.then(() => mx.live.follow(followed)).catch(() => {/* the page works as it is */});
};

/* For whatever has not been seen yet; doing it again changes nothing. */
const mount = () => {
  followBell();
  document.dispatchEvent(new Event("mx:mount"));
};

new MutationObserver((records) => {
  if (records.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE))) mount();
}).observe(document.documentElement, { childList: true, subtree: true });
mount();
