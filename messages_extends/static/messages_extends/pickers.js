// @ts-check
/* Pickers for people and groups: a combobox with a list, following the ARIA Authoring Practices. */

/** @typedef {{ name: string, value: string, text: string, detail?: string }} Choice */

const SEARCH_DELAY_MS = 150;

/**
 * @param {string} tag
 * @param {object} properties
 * @param {...(Node | string)} children
 */
const create = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/** @param {Choice} choice */
const nameOf = (choice) => {
  const name = [create("bdi", { textContent: choice.text })];
  if (choice.detail) name.push(create("small", {}, create("bdi", { textContent: choice.detail })));
  return name.flatMap((each, index) => (index ? [" ", each] : [each]));
};

/**
 * @param {Element} input
 * @returns {Choice}
 */
const choiceOf = (input) => {
  const label = input.closest(".mx-choice");
  return {
    name: input.name,
    value: input.value,
    text: label.querySelector("bdi").textContent,
    detail: label.querySelector("small")?.textContent ?? "",
  };
};

/** @param {Element} root */
const startPicker = (root) => {
  const words = root.dataset;
  const input = /** @type {HTMLInputElement} */ (root.querySelector("[type=search]"));
  const chosen = root.querySelector("[data-mx-chosen]");
  const list = create("ul", { id: `${input.id}-list`, className: "mx-options", hidden: true, role: "listbox" });
  const status = create("div", { className: "mx-hidden mx-status", role: "status" });
  /** @type {Choice[]} */
  let choices = [];
  let activeIndex = -1;
  /** @type {AbortController | undefined} */
  let request;
  let searchTimer = 0;

  const announce = (/** @type {string} */ text, /** @type {string | number} */ name = "") => {
    status.textContent = text.replace("%s", String(name));
  };

  const isChosen = (/** @type {Choice} */ { name, value }) =>
    [...chosen.querySelectorAll("input")].some((each) => each.name === name && each.value === value);

  const activate = (/** @type {number} */ index) => {
    activeIndex = index;
    const options = [...list.querySelectorAll("[role=option]")];
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const active = options[index];
    if (active) input.setAttribute("aria-activedescendant", active.id);
    else input.removeAttribute("aria-activedescendant");
    active?.scrollIntoView({ block: "nearest" });
  };

  const setOpen = (/** @type {boolean} */ isOpen) => {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    activate(-1);
  };

  const showNote = (/** @type {string} */ text) => {
    list.replaceChildren(create("li", { className: "mx-hint", textContent: text, role: "presentation" }));
    announce(text);
    setOpen(true);
  };

  const optionOf = (/** @type {Choice} */ choice, /** @type {number} */ index) => {
    const option = create("li", { id: `${list.id}-${index}`, role: "option" }, ...nameOf(choice));
    /* Before the field loses the focus. */
    option.addEventListener("pointerdown", (event) => event.preventDefault());
    option.addEventListener("click", () => choose(choice));
    return option;
  };

  const showChoices = (/** @type {boolean} */ hasMore) => {
    if (!choices.length) return showNote(words.mxNone);
    list.replaceChildren(...choices.map(optionOf));
    announce(choices.length === 1 ? words.mxOne : hasMore ? words.mxMore : words.mxMany, choices.length);
    setOpen(true);
  };

  const search = async () => {
    request?.abort();
    request = new AbortController();
    const url = new URL(words.mxUrl, location.href);
    url.searchParams.set("q", input.value);
    const headers = { Accept: "application/json" };
    try {
      const response = await fetch(url, { credentials: "same-origin", headers, signal: request.signal });
      if (!response.ok || response.redirected) throw new Error(String(response.status));
      const { results, more } = await response.json();
      choices = results.filter((/** @type {Choice} */ choice) => !isChosen(choice));
      showChoices(more);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      choices = [];
      showNote(words.mxFailed);
    }
  };

  const scheduleSearch = (/** @type {number} */ delay) => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(search, delay);
  };

  const close = () => {
    clearTimeout(searchTimer);
    request?.abort();
    setOpen(false);
  };

  /* The submitted value, its label, and a button that removes it. */
  const chipOf = (/** @type {Choice} */ choice) => {
    const button = create("button", { type: "button", className: "mx-x", textContent: "×" });
    button.setAttribute("aria-label", words.mxRemove.replace("%s", choice.text));
    const hidden = create("input", { type: "hidden", name: choice.name, value: choice.value });
    const name = create("span", {}, ...nameOf(choice));
    const item = create("li", {}, create("span", { className: "mx-choice mx-chip" }, hidden, name, button));
    button.addEventListener("click", () => {
      const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("button") ?? input;
      item.remove();
      chosen.hidden = !chosen.children.length;
      announce(words.mxRemoved, choice.text);
      next.focus();
    });
    return item;
  };

  const choose = (/** @type {Choice} */ choice) => {
    if (words.mxType === "radio") chosen.replaceChildren();
    if (!isChosen(choice)) chosen.append(chipOf(choice));
    chosen.hidden = false;
    input.value = "";
    close();
    announce(words.mxAdded, choice.text);
    input.focus();
  };

  /* Open the list, or move in it cyclically. */
  const move = (/** @type {number} */ index) => {
    if (list.hidden) scheduleSearch(0);
    else activate((index + choices.length) % Math.max(choices.length, 1));
  };

  /** @type {Record<string, () => void>} */
  const actions = {
    ArrowDown: () => move(activeIndex + 1),
    ArrowUp: () => move(Math.max(activeIndex, 0) - 1),
    /* Do not submit the form. */
    Enter: () => {
      if (!list.hidden && choices[activeIndex]) choose(choices[activeIndex]);
      else if (input.value) scheduleSearch(0);
    },
    Escape: () => {
      if (list.hidden) input.value = "";
      else close();
    },
  };

  /* From a copy of this page that a library has kept. */
  root.querySelectorAll(".mx-options, .mx-status").forEach((each) => each.remove());
  list.setAttribute("aria-label", root.querySelector("label").textContent);
  input.after(list);
  root.append(status);
  const attributes = {
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
  };
  Object.entries(attributes).forEach(([name, value]) => input.setAttribute(name, value));
  input.addEventListener("input", () => (input.value.trim() ? scheduleSearch(SEARCH_DELAY_MS) : close()));
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const act = !event.isComposing && !event.ctrlKey && !event.metaKey && actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  /* Results that were checked before the script ran. */
  const before = chosen.querySelectorAll(":checked, [type=hidden]");
  const ticked = root.querySelectorAll("[data-mx-found] :checked");
  chosen.replaceChildren(...[...before, ...ticked].map(choiceOf).map(chipOf));
  chosen.hidden = !chosen.children.length;
  root.querySelector("[data-mx-found]")?.remove();
  root.querySelector("[data-mx-search]")?.remove();
};

/* Once for each picker, in any body. */
const mounted = new WeakSet();
const mount = () =>
  document.querySelectorAll("[data-mx-picker]").forEach((root) => {
    if (mounted.has(root)) return;
    mounted.add(root);
    startPicker(root);
  });
document.addEventListener("mx:mount", mount);
mount();
