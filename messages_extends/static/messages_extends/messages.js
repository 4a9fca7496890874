// @ts-check
/* Functions that the scripts of banners, bell and inbox share, and the dispatch of submitted forms, which also work
   without scripts. Changes are shown before the response, and reverted if the server refuses them.

   The scripts register their functions here, in any order. Listeners are on the document and all state is in elements,
   because a library may replace the body, or restore a copy of an earlier one. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

/* Longer than a browser needs to notice an empty region. */
const ANNOUNCE_DELAY_MS = 50;

/* Counts starts and ends of requests: a response that was fetched between them may be out of date. */
let postEvents = 0;

/* Only a region that exists already is announced, and only if its text changes. */
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
  /* An ended session redirects to the login page. */
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

/* Before all other listeners, and instead of them: a library that submits forms would send these again. */
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

/* By URLs in the page, because an import would not contain the hash in the file's name. */
const followBell = () => {
  const root = document.querySelector("[data-mx-live]");
  if (root === followed) return;
  followed = root;
  loading ??= Promise.all(root.dataset.mxScripts.split(" ").map((address) => import(address)));
  loading.then(() => mx.live.follow(followed)).catch(() => {/* the page works without it */});
};

/* For elements that are new; it is idempotent. */
const mount = () => {
  followBell();
  document.dispatchEvent(new Event("mx:mount"));
};

new MutationObserver((records) => {
  if (records.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE))) mount();
}).observe(document.documentElement, { childList: true, subtree: true });
mount();
