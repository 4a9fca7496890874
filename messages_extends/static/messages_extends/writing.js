/* What a person who writes sees at once: the preview, the characters left, the time zone of their own clock. */

const form = document.querySelector(".mx-form");
const text = form?.querySelector("[data-mx-limit]");

/* Only what the server would take too: a script behind a link would run here. */
const target = (value) => {
  try {
    const url = new URL(value, location.href);
    return value && /^https?:$/.test(url.protocol) && !/[\\\t\r\n]/.test(value) ? url.href : "";
  } catch {
    return "";
  }
};

const showPreview = (preview) => {
  const choice = form.querySelector("[data-mx-level] :checked")?.closest("[data-mx-level]");
  if (!choice) return;
  const banner = preview.querySelector(".mx-banner");
  banner.className = `mx-banner mx-${choice.dataset.mxLevel}`;
  banner.querySelector(".mx-icon")?.remove();
  banner.prepend(choice.querySelector(".mx-icon").cloneNode(true));
  banner.querySelector(".mx-level").textContent = choice.querySelector("span").textContent;
  banner.querySelector(".mx-lines").textContent = text.value;
  const link = banner.querySelector("a");
  const address = target(form.elements.url.value.trim());
  link.hidden = !address;
  if (address) link.href = address;
  preview.hidden = !text.value.trim();
};

const showLeft = (hint) => {
  const left = Number(text.dataset.mxLimit) - [...text.value].length;
  const said = (left < 0 ? hint.dataset.mxOver : hint.dataset.mxLeft).replace("%s", Math.abs(left).toLocaleString(document.documentElement.lang || undefined));
  hint.textContent = said;
  hint.classList.toggle("mx-over", left < 0);
  return left < 200 ? said : "";
};

/* An empty field alone: a time that was entered stays one of the zone it was entered in. */
const useOwnZone = (zone) => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!own || [...form.querySelectorAll("[type=datetime-local]")].some((field) => field.value)) return;
  zone.value = own;
  form.querySelectorAll("[data-mx-zone-name]").forEach((name) => { name.textContent = own; });
};

if (text) {
  const preview = form.querySelector("[data-mx-preview]");
  const hint = form.querySelector("[data-mx-left]");
  const status = form.querySelector("[data-mx-left-status]");
  let waiting;
  form.addEventListener("input", () => {
    showPreview(preview);
    const said = showLeft(hint);
    clearTimeout(waiting);
    /* When the typing rests, and only near the end. */
    waiting = setTimeout(() => { status.textContent = said; }, 800);
  });
  showPreview(preview);
  if (text.value) showLeft(hint);
  const zone = form.querySelector("[data-mx-zone]");
  /* What many read has the organisation's. */
  if (zone) useOwnZone(zone);
}
