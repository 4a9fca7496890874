/* What a person who writes sees at once: the preview, and the characters left. */

/* Only what the server would take too: a script behind a link would run here. */
const target = (value) => {
  try {
    const url = new URL(value, location.href);
    return value && /^https?:$/.test(url.protocol) && !/[\\\t\r\n]/.test(value) ? url.href : "";
  } catch {
    return "";
  }
};

const showPreview = (form) => {
  const preview = form.querySelector("[data-mx-preview]");
  const choice = form.querySelector("[data-mx-level] :checked")?.closest("[data-mx-level]");
  if (!choice) return;
  const banner = preview.querySelector(".mx-banner");
  banner.className = `mx-banner mx-${choice.dataset.mxLevel}`;
  banner.querySelector(".mx-icon")?.remove();
  banner.prepend(choice.querySelector(".mx-icon").cloneNode(true));
  banner.querySelector(".mx-level").textContent = choice.querySelector("span").textContent;
  const { author, message } = form.elements;
  const sender = banner.querySelector("[data-mx-sender]");
  if (author) sender.textContent = author.value.trim();
  sender.parentElement.hidden = !sender.textContent;
  banner.querySelector("[data-mx-words]").textContent = message.value;
  const link = banner.querySelector("a");
  const address = target(form.elements.url.value.trim());
  link.hidden = !address;
  if (address) link.href = address;
  preview.hidden = !message.value.trim();
};

const showLeft = (form) => {
  const text = form.querySelector("[data-mx-limit]");
  const hint = form.querySelector("[data-mx-left]");
  const left = Number(text.dataset.mxLimit) - [...text.value].length;
  const said = (left < 0 ? hint.dataset.mxOver : hint.dataset.mxLeft).replace("%s", Math.abs(left).toLocaleString(document.documentElement.lang || undefined));
  hint.textContent = said;
  hint.classList.toggle("mx-over", left < 0);
  return left < 200 ? said : "";
};

let waiting;
document.addEventListener("input", ({ target }) => {
  const form = target.closest(".mx-form");
  if (!form?.querySelector("[data-mx-limit]")) return;
  showPreview(form);
  const said = showLeft(form);
  clearTimeout(waiting);
  /* When the typing rests, and only near the end. */
  waiting = setTimeout(() => { form.querySelector("[data-mx-left-status]").textContent = said; }, 800);
});

/* Once for each form, in whatever body it comes. */
const seen = new WeakSet();
const mount = () => document.querySelectorAll(".mx-form").forEach((form) => {
  const text = form.querySelector("[data-mx-limit]");
  if (!text || seen.has(form)) return;
  seen.add(form);
  showPreview(form);
  if (text.value) showLeft(form);
});
document.addEventListener("mx:mount", mount);
mount();
