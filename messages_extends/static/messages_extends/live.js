/* Live updates: one stream for all tabs of a browser, or polling; what has changed is fetched and put in its place.
   What comes by the stream is a number and a hint. messages.js starts this, and lends it what it knows of the page. */

const REST = 300_000;
const SAFETY = 300_000;
const POLL = 30_000;
const PATIENCE = 20_000;
const CALM = 5_000;
const GAP = 1_000;
const TOAST = 8_000;
const TOASTS = 3;

const about = (time) => time * (0.75 + Math.random() / 2);
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const all = (root, selector) => [...root.querySelectorAll(selector)];

const get = async (url) => {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return parse(await answer.text());
};

/* In place */

const keyOf = (item) => item.dataset.mxPk ?? item.id;

const focusOn = (element) => {
  if (!element.matches("a, button, summary, [tabindex]")) element.tabIndex = -1;
  element.focus({ preventScroll: true });
};

/* What an element says, without what differs between two renderings of the same. */
const gist = (element) => {
  const copy = element.cloneNode(true);
  all(copy, "[name=csrfmiddlewaretoken], [name=snapshot], time").forEach((each) => each.remove());
  all(copy, "[open], [data-mx-fits]").forEach((each) => ["open", "data-mx-fits"].forEach((name) => each.removeAttribute(name)));
  return copy.outerHTML;
};

const exchange = (old, item) => {
  if (gist(old) === gist(item)) {
    /* What is marked as read later is all that has been seen by now. */
    const snapshot = item.querySelector("[name=snapshot]");
    if (snapshot) old.querySelector("[name=snapshot]").value = snapshot.value;
    return old;
  }
  const controls = (root) => all(root, "a, button, summary");
  const way = controls(old).indexOf(document.activeElement);
  const held = old.contains(document.activeElement);
  old.replaceWith(item);
  if (!held) return item;
  const found = controls(item);
  /* The same, or what is there in its place; the entry itself, if that had the focus. */
  const near = way < 0 ? [] : [...found.slice(way), ...found.slice(0, way).reverse()];
  focusOn([...near, item].find((each) => !each.closest("[hidden]")));
  return item;
};

/* Never moves what is there: that would take its focus away. */
const sync = (parent, old, items, takeAway, heading) => {
  const olds = new Map(old.map((each) => [keyOf(each), each]));
  let last = heading;
  items.forEach((item) => {
    const there = olds.get(keyOf(item));
    olds.delete(keyOf(item));
    if (!there) {
      if (last) last.after(item);
      else parent.prepend(item);
      last = item;
    } else last = there.matches(".mx-leaving") ? there : exchange(there, item);
  });
  olds.forEach(takeAway);
};

const syncEntries = (list, fresh) => {
  const unreadOnly = list.matches("[data-mx-list]") && new URLSearchParams(location.search).has("unread");
  sync(list, [...list.children], [...fresh.children], (gone) => {
    /* What somebody has just marked as read stays where they may change their mind. */
    if (unreadOnly && !gone.matches(".mx-unread")) return;
    const held = gone.contains(document.activeElement);
    const next = gone.nextElementSibling ?? gone.previousElementSibling ?? list.parentElement;
    gone.remove();
    if (held) focusOn(next);
  });
};

const syncInbox = (inbox, fresh) => all(inbox, "[data-mx-part]").forEach((part) => {
  const item = fresh.querySelector(`[data-mx-part=${part.dataset.mxPart}]`);
  const [list, other] = [part, item].map((each) => each.querySelector("[data-mx-list]"));
  if (list && other) syncEntries(list, other);
  else exchange(part, item);
});

const syncPanel = (panel, fresh) => {
  const [list, other] = [panel, fresh].map((each) => each.querySelector(".mx-entries"));
  if (list && other) {
    exchange(panel.querySelector("form"), fresh.querySelector("form"));
    syncEntries(list, other);
    return;
  }
  const held = panel.contains(document.activeElement);
  panel.replaceChildren(...fresh.childNodes);
  if (held) focusOn(panel);
};

/* Where somebody is reading, what is read stays, whatever appears above it. */
const holdStill = (change) => {
  const focused = document.activeElement?.closest("[data-mx-entry], [data-mx-banner]");
  const seen = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  const near = focused ?? seen?.closest("[data-mx-entry]") ?? seen;
  const top = near?.getBoundingClientRect().top;
  change();
  const now = near?.isConnected ? near : near?.id && document.getElementById(near.id);
  if (now && scrollY > 0) scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
};

/* Toasts: for what is urgent, beside its banner or its entry, and gone by themselves */

const bread = (root, signal) => {
  const timers = new Map();
  const region = root.querySelector("[data-mx-toasts]").content.firstElementChild.cloneNode(true);
  const blank = region.firstElementChild;
  let before;
  region.replaceChildren();

  const close = (toast) => {
    const held = toast.contains(document.activeElement);
    clearTimeout(timers.get(toast));
    timers.delete(toast);
    toast.remove();
    const next = region.querySelector("button") ?? (before?.isConnected ? before : document.querySelector("main, [role=main]") ?? document.body);
    if (!timers.size) region.remove();
    if (held) focusOn(next);
  };
  const wait = () => timers.forEach((timer, toast) => {
    clearTimeout(timer);
    const paused = document.hidden || region.matches(":hover, :focus-within");
    timers.set(toast, paused ? 0 : setTimeout(close, TOAST, toast));
  });
  const covers = (element) => {
    const [a, b] = [region, element].map((each) => each.getBoundingClientRect());
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  };
  const dodge = () => {
    const focused = document.activeElement;
    region.classList.remove("mx-high");
    if (!region.isConnected || region.contains(focused) || !covers(focused)) return;
    region.classList.add("mx-high");
    if (covers(focused)) region.classList.remove("mx-high");
  };

  ["pointerenter", "pointerleave", "focusin", "focusout"].forEach((type) => region.addEventListener(type, () => setTimeout(wait)));
  region.addEventListener("focusin", ({ relatedTarget }) => { if (relatedTarget && !region.contains(relatedTarget)) before = relatedTarget; });
  region.addEventListener("click", ({ target }) => { if (target.closest(".mx-x")) close(target.closest(".mx-toast")); });
  region.addEventListener("keydown", (event) => { if (event.key === "Escape") close(event.target.closest(".mx-toast")); });
  document.addEventListener("visibilitychange", wait, { signal });
  document.addEventListener("focusin", dodge, { signal });

  /* Where the body has been exchanged, what is not read yet goes on. */
  const keep = () => { if (timers.size && !region.isConnected) document.body.append(region); };
  const show = (banner) => {
    const toast = blank.cloneNode(true);
    const button = toast.querySelector(".mx-x");
    const text = banner.querySelector(".mx-lines").cloneNode(true);
    toast.classList.add(banner.matches(".mx-error") ? "mx-error" : "mx-warning");
    toast.prepend(banner.querySelector(".mx-icon").cloneNode(true), text, ...all(banner, ".mx-text > a"));
    button.setAttribute("aria-label", `${button.getAttribute("aria-label")}: ${text.lastElementChild.textContent.slice(0, 60)}`);
    /* It holds no control now. */
    text.setAttribute("role", "alert");
    if (timers.size === TOASTS) close(timers.keys().next().value);
    timers.set(toast, 0);
    region.append(toast);
    keep();
    wait();
    dodge();
  };
  return { show, keep };
};

/* Start */

const session = (root, page) => {
  const { mxLive: name, mxStream, mxBadge, mxFresh, mxPanel } = root.dataset;
  const over = new AbortController();
  const { signal: untilOver } = over;
  const own = (path) => `${path}?tabs=${name}`;
  const known = new Set(root.dataset.mxUrgent.split(" "));
  const toasts = bread(root, untilOver);
  let { mxNow } = root.dataset;
  let unread = Number(root.dataset.mxUnread);
  let version = root.dataset.mxVersion;
  let dismissed = document.querySelector("[data-mx-pk=more]")?.textContent;
  let [ended, stale, polling, met] = [false, false, false, false];
  let [failures, turns, last] = [0, 0, 0];
  let channel, turn, source, latest, waiting, tick, retry, rest;

  /* What has changed */

  const isNews = (banner) => {
    const { mxPk: pk, mxAt } = banner.dataset;
    if (known.has(pk) || !banner.matches(".mx-warning, .mx-error")) return false;
    /* A message that is unread again is none; a publication that is shown again is. */
    return Number(mxAt) > Number(mxNow) - 60 || /-([2-9]|\d\d)/.test(pk);
  };

  const putBanners = (region, items) => {
    const { mxSaved } = region.dataset;
    const shown = mxSaved === "urgent" ? items.filter((item) => "mxUrgent" in item.dataset) : mxSaved === "none" ? [] : items;
    const more = shown.findIndex((item) => item.dataset.mxPk === "more");
    /* "And n more" stays closed until it says another number. */
    const said = shown[more]?.textContent;
    if (said === dismissed && !region.querySelector("[data-mx-pk=more]")) shown.splice(more, more < 0 ? 0 : 1);
    dismissed = said;
    region.hidden = false;
    sync(region, all(region, "[data-mx-pk]"), shown, (gone) => page.takeAway(gone, gone.contains(document.activeElement)), region.querySelector("h2"));
    region.hidden = !region.querySelector("[data-mx-banner]");
    page.countFolded(region);
  };

  const put = (banners, panel, inbox) => {
    const items = all(banners, "[data-mx-banner]");
    const news = items.filter(isNews).map((item) => [item.dataset.mxPk, item.cloneNode(true)]);
    page.mountBanners(banners);
    holdStill(() => {
      const region = document.querySelector("[data-mx-banners]");
      if (region) putBanners(region, items);
      if (panel) syncPanel(root.querySelector(".mx-panel"), panel.body);
      if (inbox) syncInbox(document.querySelector("[data-mx-inbox]"), inbox);
    });
    news.forEach(([pk, item]) => {
      known.add(pk);
      toasts.show(item);
    });
    if (news.length) channel?.postMessage({ toasted: [...known] });
    version = banners.querySelector("[data-mx-version]").dataset.mxVersion;
  };

  const run = async () => {
    waiting = undefined;
    last = Date.now();
    turns += 1;
    const [mine, before] = [turns, page.posts()];
    try {
      const isOpen = root.querySelector(".mx-panel:not([hidden]) .mx-panel-head");
      const parts = await Promise.all([
        get(own(mxFresh)),
        isOpen && get(mxPanel),
        document.querySelector("[data-mx-inbox]") && get(location.href),
      ]);
      if (mine !== turns) return;
      stale = false;
      /* What this page has changed meanwhile is not in it. */
      if (page.posts() === before) put(...parts);
      else freshen();
    } catch {
      stale = true;
    }
  };

  const freshen = (spread = 0) => {
    if (document.hidden) stale = true;
    else waiting ??= setTimeout(run, Math.max(Math.random() * spread, last + GAP - Date.now()));
  };

  /* What is heard */

  const hear = (news) => {
    if (news.end) return leave();
    if (news.toasted) return news.toasted.forEach((pk) => known.add(pk));
    const more = news.unread > unread;
    unread = news.unread;
    page.drawBadge(news);
    if (more && !document.hidden) page.say(news.name);
    if (news.changed || (news.version && news.version !== version)) freshen(news.spread);
  };

  const tell = (news) => {
    channel?.postMessage(news);
    hear(news);
  };

  const ask = async () => {
    const headers = { Accept: "application/json" };
    if (latest) headers["If-None-Match"] = latest.etag;
    const answer = await fetch(own(mxBadge), { headers, credentials: "same-origin", cache: "no-store", redirect: "manual" });
    if (answer.type === "opaqueredirect" || [401, 403, 404].includes(answer.status)) return tell({ end: true });
    if (answer.ok) latest = { etag: answer.headers.get("ETag"), ...(await answer.json()) };
    else if (answer.status !== 304) throw new Error(String(answer.status));
    (source || polling ? tell : hear)(latest);
    if (stale) freshen();
  };

  const check = () => ask().catch(() => {});

  /* Who holds the stream */

  const later = (time) => {
    clearTimeout(tick);
    tick = setTimeout(() => {
      later(about(polling ? POLL : SAFETY));
      check();
    }, time);
  };

  const fail = () => {
    source?.close();
    source = undefined;
    if (document.hidden) return letGo();
    if (!polling) later(Math.random() * CALM);
    polling = true;
    retry = setTimeout(connect, about(Math.min(CALM * 2 ** failures, REST)));
    failures += 1;
  };

  const connect = () => {
    if (!mxStream || !window.EventSource) return fail();
    const mine = new EventSource(own(mxStream));
    source = mine;
    /* A proxy may hold everything back. */
    const patience = setTimeout(() => mine === source && fail(), PATIENCE);
    let isNew;
    mine.onopen = () => { isNew = true; };
    mine.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      clearTimeout(patience);
      if (isNew) {
        polling = isNew = false;
        failures = 0;
        /* After a restart everybody comes back, and not all at once. */
        later(met ? Math.random() * CALM : 0);
        met = true;
      }
      if (news.changed) tell(news);
    };
    mine.onerror = () => {
      if (mine === source && mine.readyState === EventSource.CLOSED) {
        clearTimeout(patience);
        fail();
      }
    };
  };

  const letGo = () => {
    turn?.abort();
    turn = undefined;
  };

  const contend = () => {
    if (ended || turn) return;
    turn = new AbortController();
    const { signal } = turn;
    const lead = (done) => {
      signal.addEventListener("abort", () => {
        source?.close();
        source = undefined;
        polling = false;
        clearTimeout(tick);
        clearTimeout(retry);
        done();
      });
      if (signal.aborted) done();
      else connect();
    };
    if (navigator.locks) navigator.locks.request(`mx:${name}`, { signal }, () => new Promise(lead)).catch(() => {});
    else lead(() => {});
  };

  const leave = () => {
    ended = true;
    over.abort();
    letGo();
    channel?.close();
    channel = undefined;
    clearTimeout(waiting);
  };

  const join = () => {
    /* Without locks each tab has a stream of its own, and hears everything itself. */
    if (navigator.locks) {
      channel = new BroadcastChannel(`mx:${name}`);
      channel.onmessage = ({ data }) => hear(data);
    }
    seen();
    contend();
    /* What came before this page could hear; who leads asks once the stream is open. */
    setTimeout(() => { if (!source) check(); }, GAP);
  };

  const seen = () => {
    clearTimeout(rest);
    if (!document.hidden) contend();
    else if (polling || !navigator.locks) letGo();
    else rest = setTimeout(letGo, REST);
  };

  document.addEventListener("visibilitychange", () => {
    seen();
    if (!document.hidden && !ended) check();
  }, { signal: untilOver });
  addEventListener("pagehide", () => {
    letGo();
    channel?.close();
    channel = undefined;
  }, { signal: untilOver });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && !ended) join();
  }, { signal: untilOver });
  join();

  return {
    leave,
    /* What this page has changed itself. */
    tell: (news) => {
      unread = news.unread;
      channel?.postMessage({ ...news, changed: true });
    },
    /* Go on with the bell of another body; false where that is somebody else's. */
    adopt: (other) => {
      if (ended || other?.dataset.mxLive !== name) return false;
      root = other;
      ({ mxNow } = root.dataset);
      unread = Number(root.dataset.mxUnread);
      root.dataset.mxUrgent.split(" ").forEach((pk) => known.add(pk));
      dismissed = document.querySelector("[data-mx-pk=more]")?.textContent;
      toasts.keep();
      /* It may be newer than what was shown, or a copy of an older page. */
      if (root.dataset.mxVersion !== version) check();
      version = root.dataset.mxVersion;
      return true;
    },
  };
};

export const start = (page) => {
  let current;
  return {
    tell: (news) => current?.tell(news),
    follow: (root) => {
      if (current?.adopt(root)) return;
      current?.leave();
      current = root ? session(root, page) : undefined;
    },
  };
};
