/* Choosing people and groups while one types: a combobox with a list, after the pattern of the ARIA Authoring Practices. */

const element = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const named = (choice) => {
  const name = [element("bdi", { textContent: choice.text })];
  if (choice.detail) name.push(" ", element("small", {}, element("bdi", { textContent: choice.detail })));
  return name;
};

const mount = (root) => {
  const words = root.dataset;
  const input = root.querySelector("[type=search]");
  const chosen = root.querySelector("[data-mx-chosen]");
  const list = element("ul", { id: `${input.id}-list`, className: "mx-options", hidden: true });
  const status = element("div", { className: "mx-hidden mx-status" });
  let choices = [];
  let active = -1;
  let asking;
  let waiting;

  const say = (text, name) => { status.textContent = text.replace("%s", name); };
  const isChosen = ({ name, value }) => [...chosen.querySelectorAll("input")].some((each) => each.name === name && each.value === value);

  const show = (open) => {
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) activate(-1);
  };

  const activate = (index) => {
    active = index;
    [...list.querySelectorAll("[role=option]")].forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const option = list.querySelector("[aria-selected=true]");
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  };

  const note = (text) => { list.replaceChildren(element("li", { className: "mx-hint", textContent: text, role: "presentation" })); };

  const render = (more) => {
    if (!choices.length) note(words.mxNone);
    else {
      list.replaceChildren(...choices.map((choice, index) => {
        const option = element("li", { id: `${list.id}-${index}`, role: "option" }, ...named(choice));
        /* Before the field loses the focus. */
        option.addEventListener("pointerdown", (event) => event.preventDefault());
        option.addEventListener("click", () => choose(choice));
        return option;
      }));
    }
    say(choices.length === 1 ? words.mxOne : !choices.length ? words.mxNone : more ? words.mxMore : words.mxMany, choices.length);
    show(true);
    activate(-1);
  };

  const search = async () => {
    asking?.abort();
    asking = new AbortController();
    const url = new URL(words.mxUrl, location.href);
    url.searchParams.set("q", input.value);
    try {
      const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" }, signal: asking.signal });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const { results, more } = await answer.json();
      choices = results.filter((choice) => !isChosen(choice));
      render(more);
    } catch (error) {
      if (error.name === "AbortError") return;
      choices = [];
      note(words.mxFailed);
      say(words.mxFailed);
      show(true);
    }
  };

  const later = (delay) => {
    clearTimeout(waiting);
    waiting = setTimeout(search, delay);
  };

  const close = () => {
    clearTimeout(waiting);
    asking?.abort();
    show(false);
  };

  /* What a form sends, what it is called, and a button that takes it out. */
  const chip = (choice) => {
    const button = element("button", { type: "button", className: "mx-x", textContent: "×" });
    button.setAttribute("aria-label", words.mxRemove.replace("%s", choice.text));
    const item = element("li", {}, element("span", { className: "mx-choice mx-chip" },
      element("input", { type: "hidden", name: choice.name, value: choice.value }), element("span", {}, ...named(choice)), button));
    button.addEventListener("click", () => {
      const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("button") ?? input;
      item.remove();
      chosen.hidden = !chosen.children.length;
      say(words.mxRemoved, choice.text);
      next.focus();
    });
    return item;
  };

  const choose = (choice) => {
    if (words.mxType === "radio") chosen.replaceChildren();
    if (!isChosen(choice)) chosen.append(chip(choice));
    chosen.hidden = false;
    input.value = "";
    close();
    say(words.mxAdded, choice.text);
    input.focus();
  };

  const keys = {
    ArrowDown: () => (list.hidden ? later(0) : activate((active + 1) % Math.max(choices.length, 1))),
    ArrowUp: () => (list.hidden ? later(0) : activate((active < 1 ? choices.length : active) - 1)),
    /* Never the whole form: one is still choosing. */
    Enter: () => { if (!list.hidden && choices[active]) choose(choices[active]); else if (input.value) later(0); },
    Escape: () => { if (list.hidden) input.value = ""; else close(); },
  };

  const read = (input) => {
    const label = input.closest(".mx-choice");
    return {
      name: input.name,
      value: input.value,
      text: label.querySelector("bdi").textContent,
      detail: label.querySelector("small")?.textContent ?? "",
    };
  };

  /* Of a copy that a library has kept of this page. */
  root.querySelectorAll(".mx-options, .mx-status").forEach((each) => each.remove());
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", root.querySelector("label").textContent);
  status.setAttribute("role", "status");
  input.after(list);
  root.append(status);
  const given = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id };
  Object.entries(given).forEach(([name, value]) => input.setAttribute(name, value));
  input.addEventListener("input", () => (input.value.trim() ? later(150) : close()));
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const act = !event.isComposing && !event.ctrlKey && !event.metaKey && keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  /* What was found and ticked before the script was there. */
  const ticked = [...root.querySelectorAll("[data-mx-found] :checked")].map(read);
  const before = [...chosen.querySelectorAll(":checked, [type=hidden]")].map(read);
  chosen.replaceChildren(...[...before, ...ticked].map(chip));
  chosen.hidden = !chosen.children.length;
  root.querySelector("[data-mx-found]")?.remove();
  root.querySelector("[data-mx-search]")?.remove();
};

/* Once for each, in whatever body it comes. */
const seen = new WeakSet();
const mountAll = () => document.querySelectorAll("[data-mx-picker]").forEach((root) => {
  if (seen.has(root)) return;
  seen.add(root);
  mount(root);
});
document.addEventListener("mx:mount", mountAll);
mountAll();
