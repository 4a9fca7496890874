// @ts-check
/* Replace only the elements that differ from what the server has rendered. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

/** @param {Element} element */
const focus = (element) => mx.makeFocusable(element).focus({ preventScroll: true });

/**
 * Return an element's content without what differs between two renderings of it.
 * @param {Element} element
 */
const fingerprint = (element) => {
  const copy = /** @type {Element} */ (element.cloneNode(true));
  copy.querySelectorAll("[name=csrfmiddlewaretoken], [name=snapshot], time").forEach((each) => each.remove());
  copy.querySelectorAll("[open], [data-mx-fits]").forEach((each) => {
    each.removeAttribute("open");
    each.removeAttribute("data-mx-fits");
  });
  return copy.outerHTML;
};

/**
 * Return the element that is now on the page.
 * @param {Element} old
 * @param {Element} fresh
 */
const replaceIfChanged = (old, fresh) => {
  if (fingerprint(old) === fingerprint(fresh)) {
    /* "Mark all as read" then includes what has been shown by now. */
    const snapshot = fresh.querySelector("[name=snapshot]");
    if (snapshot) old.querySelector("[name=snapshot]").value = snapshot.value;
    return old;
  }
  const controlsOf = (/** @type {Element} */ root) => [...root.querySelectorAll("a, button, summary")];
  const index = controlsOf(old).indexOf(document.activeElement);
  const held = old.contains(document.activeElement);
  const [group, freshGroup] = [old, fresh].map((each) => each.querySelector(":scope > details.mx-body"));
  if (group && freshGroup) freshGroup.open = group.open;
  const box = fresh.querySelector(":scope > .mx-select input");
  if (box) box.checked = old.querySelector(":scope > .mx-select input")?.checked;
  old.replaceWith(fresh);
  if (!held) return fresh;
  const controls = controlsOf(fresh);
  /* The same control, or the one in its place; the entry if it had the focus. */
  const near = index < 0 ? [] : [...controls.slice(index), ...controls.slice(0, index).reverse()];
  focus([...near, fresh].find((each) => !each.closest("[hidden]")));
  return fresh;
};

/** @param {Element} item */
const keyOf = (item) => item.dataset.mxPk ?? item.id;

/**
 * Existing elements are not moved, because they would lose the focus.
 * @param {Element} parent
 * @param {Element[]} old
 * @param {Element[]} fresh
 * @param {(gone: Element) => void} remove
 * @param {Element} [heading] It stays before them.
 */
const replaceItems = (parent, old, fresh, remove, heading) => {
  const olds = new Map(old.map((each) => [keyOf(each), each]));
  let last = heading;
  fresh.forEach((item) => {
    const there = olds.get(keyOf(item));
    olds.delete(keyOf(item));
    if (there) last = there.matches(".mx-leaving") ? there : replaceIfChanged(there, item);
    else {
      if (last) last.after(item);
      else parent.prepend(item);
      last = item;
    }
  });
  olds.forEach(remove);
};

/**
 * @param {Element} list
 * @param {Element} fresh
 */
const updateEntries = (list, fresh) => {
  const unreadOnly = list.matches("[data-mx-list]") && new URLSearchParams(location.search).has("unread");
  replaceItems(list, [...list.children], [...fresh.children], (gone) => {
    /* Entries that were just marked as read stay, so that it can be undone. */
    if (unreadOnly && gone.matches("[data-mx-entry]:not(.mx-unread)")) return;
    const held = gone.contains(document.activeElement);
    const next = gone.nextElementSibling ?? gone.previousElementSibling ?? list.parentElement;
    gone.remove();
    if (held) focus(next);
  });
};

mx.updateInbox = (inbox, fresh) =>
  inbox.querySelectorAll("[data-mx-part]").forEach((part) => {
    const item = fresh.querySelector(`[data-mx-part=${part.dataset.mxPart}]`);
    const [list, other] = [part, item].map((each) => each.querySelector("[data-mx-list]"));
    if (list && other) updateEntries(list, other);
    else replaceIfChanged(part, item);
  });

mx.updatePanel = (panel, fresh) => {
  const [list, other] = [panel, fresh].map((each) => each.querySelector(".mx-entries"));
  if (list && other) {
    replaceIfChanged(panel.querySelector("form"), fresh.querySelector("form"));
    updateEntries(list, other);
    return;
  }
  const held = panel.contains(document.activeElement);
  panel.replaceChildren(...fresh.childNodes);
  if (held) focus(panel);
};

mx.updateBanners = (region, banners) => {
  const remove = (/** @type {Element} */ gone) => mx.removeBanner(gone, gone.contains(document.activeElement));
  region.hidden = false;
  replaceItems(region, [...region.querySelectorAll("[data-mx-pk]")], banners, remove, region.querySelector("h2"));
  region.hidden = !region.querySelector("[data-mx-banner]");
  mx.countFolded(region);
};

/* Keep the reading position when entries appear above. */
mx.keepInPlace = (change) => {
  const focused = document.activeElement?.closest("[data-mx-entry], [data-mx-banner]");
  const seen = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  const near = focused ?? seen?.closest("[data-mx-entry]") ?? seen;
  const top = near?.getBoundingClientRect().top;
  change();
  const now = near?.isConnected ? near : near?.id && document.getElementById(near.id);
  if (now && scrollY > 0) scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
};
