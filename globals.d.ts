// What the scripts below static/ know of each other and of the page; for the type checker alone, and not published.

declare namespace MessagesExtends {
  /** The number at the bell, as the server writes it: for the eye, and for a screen reader. */
  interface Badge {
    text: string;
    name: string;
  }

  /** What a stream, the server or another tab says. */
  interface News extends Partial<Badge> {
    unread?: number;
    version?: string;
    /** Something else than the number has changed; fetch it within so many milliseconds. */
    changed?: boolean;
    spread?: number;
    /** Whoever read here is logged out. */
    end?: boolean;
    /** Keys of messages that a tab has shown as toasts. */
    toasted?: string[];
  }

  interface Toaster {
    show(banner: Element): void;
    keep(): void;
  }

  /** How news comes: by a stream, or by asking now and then. */
  interface Connection {
    source?: EventSource;
    isPolling: boolean;
    wasOpen: boolean;
    failures: number;
  }

  interface Session {
    leave(): void;
    tell(news: News): void;
    adopt(root: Element | null): boolean;
  }

  /** What the scripts offer each other; each sets its part when it is loaded, and calls the others' later. */
  interface Shared extends Partial<Functions> {
    /** Selectors of forms, and what is done in the place of sending them. */
    submitHandlers: Map<string, (form: HTMLFormElement, submitter: Element | null) => void>;
  }

  interface Functions {
    /* messages.js */
    announce(text: string): void;
    showFailure(near: Element | null): void;
    countPosts(): number;
    getText(url: string): Promise<string>;
    post(form: Element, accept: string, options?: RequestInit): Promise<Response>;
    parse(html: string): Document;
    /* bell.js */
    drawBadge(badge: Partial<Badge>): void;
    showBadge(badge: Badge): void;
    /* banners.js */
    makeFocusable<E extends Element>(element: E): E;
    countFolded(region: Element): void;
    removeBanner(banner: Element, refocus?: boolean): void;
    mountBanners(root: ParentNode): void;
    /* inbox.js */
    refreshInbox(): Promise<void>;
    undo(): Promise<void>;
    /* toasts.js, updates.js and live.js, where there are live updates */
    createToaster(root: Element, signal: AbortSignal): Toaster;
    updateInbox(inbox: Element, fresh: ParentNode): void;
    updatePanel(panel: Element, fresh: Element): void;
    updateBanners(region: Element, banners: Element[]): void;
    keepInPlace(change: () => void): void;
    live: {
      tell(news: News): void;
      follow(root: Element | null): void;
    };
  }
}

declare var messagesExtends: MessagesExtends.Shared;

/**
 * What was found by a selector, or is beside it: the selector says more of what it is than the type checker can know.
 * So any element has here what the elements of our templates have.
 */
interface Element extends HTMLOrSVGElement {
  action: any;
  checked: any;
  content: any;
  disabled: any;
  elements: any;
  form: any;
  hidden: any;
  href: any;
  name: any;
  open: any;
  style: any;
  value: any;
  click(): void;
  requestSubmit(): void;
  close(): void;
  showModal(): void;
}

interface EventTarget {
  checked?: any;
  closest?(selectors: string): Element | null;
  matches?(selectors: string): boolean;
}
