// @ts-check
/* Live updates: one stream for all tabs of a browser, or polling. The stream sends a number and a hint; changes are
   fetched. */

/** @type {MessagesExtends.Shared} */
const mx = (globalThis.messagesExtends ??= { submitHandlers: new Map() });

const HIDDEN_RELEASE_MS = 300_000;
const SAFETY_INTERVAL_MS = 300_000;
const POLL_INTERVAL_MS = 30_000;
const FIRST_MESSAGE_TIMEOUT_MS = 20_000;
const RETRY_MS = 5_000;
const MAX_RETRY_MS = 300_000;
const RECONNECT_SPREAD_MS = 5_000;
const REFRESH_GAP_MS = 1_000;
/* The maximum age of a message that is announced as new. */
const NEWS_S = 60;

const jittered = (/** @type {number} */ time) => time * (0.75 + Math.random() / 2);

/**
 * @param {Element} root The bell.
 * @returns {MessagesExtends.Session}
 */
const startSession = (root) => {
  const { mxLive: name, mxStream, mxLanguage, mxBadge, mxFresh, mxPanel } = root.dataset;
  const ending = new AbortController();
  const known = new Set(root.dataset.mxUrgent.split(" "));
  const toasts = mx.createToaster(root, ending.signal);
  const page = {
    renderedAt: Number(root.dataset.mxNow),
    unread: Number(root.dataset.mxUnread),
    version: root.dataset.mxVersion,
    dismissedMore: document.querySelector("[data-mx-pk=more]")?.textContent,
    /* Whether a change could not be fetched, or was not fetched while the page was hidden. */
    isStale: false,
  };
  /** @type {MessagesExtends.Connection} */
  const connection = { isPolling: false, wasOpen: false, failures: 0 };
  /** @type {{ number: number, startedAt: number, timer?: number }} */
  const refresh = { number: 0, startedAt: 0 };
  /** @type {BroadcastChannel | undefined} */
  let channel;
  /** @type {AbortController | undefined} */
  let leadership;
  /** @type {MessagesExtends.News & { etag: string } | undefined} */
  let latest;
  let [hiddenTimer, checkTimer, retryTimer] = [0, 0, 0];

  const withName = (/** @type {string} */ path) => `${path}?tabs=${name}`;

  /* Changes */

  const isNews = (/** @type {Element} */ banner) => {
    const { mxPk: pk, mxAt } = banner.dataset;
    if (known.has(pk) || !banner.matches(".mx-warning, .mx-error")) return false;
    /* A message marked as unread is not new; a publication that is shown again is. */
    return Number(mxAt) > page.renderedAt - NEWS_S || /-([2-9]|\d\d)/.test(pk);
  };

  /**
   * @param {Element} region
   * @param {Element[]} banners
   */
  const updateBanners = (region, banners) => {
    const { mxSaved } = region.dataset;
    const shown = banners.filter((each) => mxSaved !== "none" && (mxSaved !== "urgent" || "mxUrgent" in each.dataset));
    const more = shown.findIndex((each) => each.dataset.mxPk === "more");
    /* "And n more" stays closed until its number changes. */
    const said = shown[more]?.textContent;
    if (said && said === page.dismissedMore && !region.querySelector("[data-mx-pk=more]")) shown.splice(more, 1);
    page.dismissedMore = said;
    mx.updateBanners(region, shown);
  };

  /** @param {(Document | undefined)[]} fetched */
  const update = ([fresh, panel, inbox]) => {
    const banners = [...fresh.querySelectorAll("[data-mx-banner]")];
    const news = banners.filter(isNews).map((each) => /** @type {Element} */ (each.cloneNode(true)));
    mx.mountBanners(fresh);
    mx.keepInPlace(() => {
      const region = document.querySelector("[data-mx-banners]");
      if (region) updateBanners(region, banners);
      if (panel) mx.updatePanel(root.querySelector(".mx-panel"), panel.body);
      if (inbox) mx.updateInbox(document.querySelector("[data-mx-inbox]"), inbox);
    });
    news.forEach((each) => {
      known.add(each.dataset.mxPk);
      toasts.show(each);
    });
    if (news.length) channel?.postMessage({ toasted: [...known] });
    page.version = fresh.querySelector("[data-mx-version]").dataset.mxVersion;
  };

  const fetchAndUpdate = async () => {
    refresh.timer = undefined;
    refresh.startedAt = Date.now();
    refresh.number += 1;
    const [number, posts] = [refresh.number, mx.countPosts()];
    const get = async (/** @type {string} */ url) => mx.parse(await mx.getText(url));
    try {
      const fetched = await Promise.all([
        get(withName(mxFresh)),
        root.querySelector(".mx-panel:not([hidden]) .mx-panel-head") && get(mxPanel),
        document.querySelector("[data-mx-inbox]") && get(location.href),
      ]);
      if (number !== refresh.number) return;
      page.isStale = false;
      /* It does not contain what this page has changed meanwhile. */
      if (mx.countPosts() === posts) update(fetched);
      else scheduleRefresh();
    } catch {
      page.isStale = true;
    }
  };

  const scheduleRefresh = (spreadMs = 0) => {
    const wait = Math.max(Math.random() * spreadMs, refresh.startedAt + REFRESH_GAP_MS - Date.now());
    if (document.hidden) page.isStale = true;
    else refresh.timer ??= setTimeout(fetchAndUpdate, wait);
  };

  /* Events of the stream, the server or another tab */

  /** @param {MessagesExtends.News} news */
  const hear = (news) => {
    if (news.end) return leave();
    if (news.toasted) return news.toasted.forEach((pk) => known.add(pk));
    const isMore = news.unread > page.unread;
    page.unread = news.unread;
    mx.drawBadge(news);
    if (isMore && !document.hidden) mx.announce(news.name);
    if (news.changed || (news.version && news.version !== page.version)) scheduleRefresh(news.spread);
  };

  const hearAndTell = (/** @type {MessagesExtends.News} */ news) => {
    channel?.postMessage(news);
    hear(news);
  };

  const fetchBadge = async () => {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (latest) headers["If-None-Match"] = latest.etag;
    const options = { headers, credentials: "same-origin", cache: "no-store", redirect: "manual" };
    const response = await fetch(withName(mxBadge), /** @type {RequestInit} */ (options));
    if (response.type === "opaqueredirect" || [401, 403, 404].includes(response.status)) {
      return hearAndTell({ end: true });
    }
    if (response.ok) latest = { etag: response.headers.get("ETag"), ...(await response.json()) };
    else if (response.status !== 304) throw new Error(String(response.status));
    (connection.source || connection.isPolling ? hearAndTell : hear)(latest);
    if (page.isStale) scheduleRefresh();
  };

  const check = () => fetchBadge().catch(() => {});

  const scheduleCheck = (/** @type {number} */ wait) => {
    clearTimeout(checkTimer);
    checkTimer = setTimeout(() => {
      scheduleCheck(jittered(connection.isPolling ? POLL_INTERVAL_MS : SAFETY_INTERVAL_MS));
      check();
    }, wait);
  };

  /* The stream of the leading tab */

  const closeStream = () => {
    connection.source?.close();
    connection.source = undefined;
  };

  const pollInstead = () => {
    closeStream();
    if (document.hidden) return releaseLeadership();
    if (!connection.isPolling) scheduleCheck(Math.random() * RECONNECT_SPREAD_MS);
    connection.isPolling = true;
    retryTimer = setTimeout(openStream, jittered(Math.min(RETRY_MS * 2 ** connection.failures, MAX_RETRY_MS)));
    connection.failures += 1;
  };

  const openStream = () => {
    if (!mxStream || !globalThis.EventSource) return pollInstead();
    const source = new EventSource(`${withName(mxStream)}&language=${mxLanguage}`);
    connection.source = source;
    /* A proxy may buffer all events. */
    const timeout = setTimeout(() => source === connection.source && pollInstead(), FIRST_MESSAGE_TIMEOUT_MS);
    let isNew = false;
    source.onopen = () => {
      isNew = true;
    };
    source.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      clearTimeout(timeout);
      if (isNew) {
        isNew = connection.isPolling = false;
        connection.failures = 0;
        /* After a restart, pages reconnect at different times. */
        scheduleCheck(connection.wasOpen ? Math.random() * RECONNECT_SPREAD_MS : 0);
        connection.wasOpen = true;
      }
      if (news.changed) hearAndTell(news);
    };
    source.onerror = () => {
      if (source !== connection.source || source.readyState !== EventSource.CLOSED) return;
      clearTimeout(timeout);
      pollInstead();
    };
  };

  /* Leadership */

  const releaseLeadership = () => {
    leadership?.abort();
    leadership = undefined;
  };

  const requestLeadership = () => {
    if (ending.signal.aborted || leadership) return;
    leadership = new AbortController();
    const { signal } = leadership;
    const lead = (/** @type {(value?: unknown) => void} */ release) => {
      signal.addEventListener("abort", () => {
        closeStream();
        connection.isPolling = false;
        clearTimeout(checkTimer);
        clearTimeout(retryTimer);
        release();
      });
      if (signal.aborted) release();
      else openStream();
    };
    if (navigator.locks) navigator.locks.request(`mx:${name}`, { signal }, () => new Promise(lead)).catch(() => {});
    else lead(() => {});
  };

  const closeChannel = () => {
    releaseLeadership();
    channel?.close();
    channel = undefined;
  };

  const leave = () => {
    ending.abort();
    closeChannel();
    clearTimeout(refresh.timer);
  };

  const followVisibility = () => {
    clearTimeout(hiddenTimer);
    if (!document.hidden) requestLeadership();
    else if (connection.isPolling || !navigator.locks) releaseLeadership();
    else hiddenTimer = setTimeout(releaseLeadership, HIDDEN_RELEASE_MS);
  };

  const join = () => {
    /* Without locks, each tab has its own stream. */
    if (navigator.locks) {
      channel = new BroadcastChannel(`mx:${name}`);
      channel.onmessage = ({ data }) => hear(data);
    }
    followVisibility();
    requestLeadership();
    /* Fetch earlier events; the leader does it once the stream is open. */
    setTimeout(() => {
      if (!connection.source) check();
    }, REFRESH_GAP_MS);
  };

  const { signal } = ending;
  document.addEventListener("visibilitychange", () => {
    followVisibility();
    if (!document.hidden) check();
  }, { signal });
  addEventListener("pagehide", closeChannel, { signal });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) join();
  }, { signal });
  join();

  return {
    leave,
    /* A change by this page. */
    tell: (news) => {
      page.unread = news.unread;
      channel?.postMessage({ ...news, changed: true });
    },
    /* Continue with the bell of a new body; false if it is another user's. */
    adopt: (other) => {
      if (signal.aborted || other?.dataset.mxLive !== name) return false;
      root = other;
      page.renderedAt = Number(root.dataset.mxNow);
      page.unread = Number(root.dataset.mxUnread);
      root.dataset.mxUrgent.split(" ").forEach((pk) => known.add(pk));
      page.dismissedMore = document.querySelector("[data-mx-pk=more]")?.textContent;
      toasts.keep();
      /* It may be newer than the page, or a copy of an older one. */
      if (root.dataset.mxVersion !== page.version) check();
      page.version = root.dataset.mxVersion;
      return true;
    },
  };
};

/** @type {MessagesExtends.Session | undefined} */
let session;

mx.live = {
  tell: (news) => session?.tell(news),
  follow: (root) => {
    if (session?.adopt(root)) return;
    session?.leave();
    session = root ? startSession(root) : undefined;
  },
};
