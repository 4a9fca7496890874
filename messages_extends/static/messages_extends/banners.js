// @ts-check
/* Banners: closing them, and how much of them is shown. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

/** @param {Element} banner */
const focusAfter = (banner) => {
  const banners = [...document.querySelectorAll("[data-mx-banner]")];
  const index = banners.indexOf(banner);
  const next = (banners[index + 1] ?? banners[index - 1])?.querySelector("form button, .mx-x:not([hidden])");
  return next ?? mx.makeFocusable(document.querySelector("main, [role=main]") ?? document.body);
};

mx.makeFocusable = (element) => {
  if (!element.matches("a, button, summary, [tabindex]")) element.tabIndex = -1;
  return element;
};

/* The style sheet folds banners; their number, and the place where it is shown, are set here. */
mx.countFolded = (region) => {
  const fold = region.querySelector("[data-mx-fold]");
  if (!fold) return;
  const folded = (/** @type {number | string} */ from) => [
    ...region.querySelectorAll(`:scope > :nth-child(n + ${from} of [data-mx-pk]):not([data-mx-urgent])`),
  ];
  fold.querySelectorAll("[data-mx-from]").forEach((text) => {
    const counts = folded(text.dataset.mxFrom).map((each) => each.dataset.mxBeyond ?? "1");
    const sum = counts.reduce((total, each) => total + Number.parseInt(each, 10), 0);
    text.textContent = text.textContent.replace(
      /\d+\+?/,
      `${sum}${counts.some((each) => each.endsWith("+")) ? "+" : ""}`,
    );
  });
  const [first] = folded(4);
  if (!first || fold.nextElementSibling === first) return;
  const held = fold.contains(document.activeElement);
  first.before(fold);
  if (held) fold.querySelector("summary").focus();
};

/* Without a script, each text that may be too long has the button; here, only those that are. */
const lines = new ResizeObserver((changes) =>
  changes.forEach(({ target }) => {
    const all = target.parentElement?.querySelector(":scope > .mx-all");
    if (all && !all.open) all.toggleAttribute("data-mx-fits", target.scrollHeight <= target.clientHeight + 1);
  })
);

mx.removeBanner = (banner, refocus = true) => {
  const next = focusAfter(banner);
  const region = banner.closest("[data-mx-banners]");
  banner.remove();
  if (region) {
    mx.countFolded(region);
    if (!region.querySelector("[data-mx-banner]")) region.hidden = true;
  }
  if (refocus) next.focus();
};

mx.submitHandlers.set("[data-mx-close]", async (form) => {
  const banner = form.closest("[data-mx-banner]");
  banner.classList.add("mx-leaving");
  try {
    mx.showBadge(await (await mx.post(form, "application/json")).json());
    mx.removeBanner(banner);
  } catch {
    banner.classList.remove("mx-leaving");
    mx.showFailure(banner);
  }
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-mx-dismiss]");
  if (button) mx.removeBanner(button.closest("[data-mx-banner]"));
});

mx.mountBanners = (root) => {
  root.querySelectorAll("[data-mx-dismiss][hidden]").forEach((button) => {
    button.hidden = false;
  });
  root.querySelectorAll(".mx-lines").forEach((text) => lines.observe(text));
};

const mount = () => mx.mountBanners(document);
document.addEventListener("mx:mount", mount);
mount();
