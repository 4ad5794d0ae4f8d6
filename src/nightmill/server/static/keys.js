// j and k go through the rows of a page, enter opens one, ? shows what there is; what a page offers is marked with data-key.
const rows = () => [...document.querySelectorAll("[data-row]")];

function step(by) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(all.length - 1, Math.max(0, now + by))];
  (next.querySelector("a, button, summary") || next).focus();
}

const own = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => document.querySelector("[type=search]")?.focus(),
};

document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || at.matches("input, textarea, select")) return;
  const marked = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  // What cannot be taken back is looked at first: another may stand there than a moment ago.
  const first = marked?.matches("input, textarea") || (marked?.matches("[data-twice]") && at !== marked);
  const act = marked ? () => (first ? marked.focus() : marked.click()) : own[event.key];
  if (act) { event.preventDefault(); act(); }
});

const word = (marked) => (marked.getAttribute("aria-label") || marked.labels?.[0]?.textContent || marked.textContent).trim();

function tell() {
  const keys = document.getElementById("keys");
  keys.querySelectorAll("[data-of]").forEach((row) => row.remove());
  const marked = new Map([...document.querySelectorAll("[data-key]")].reverse().map((each) => [each.dataset.key, word(each)]));
  const twice = new Set([...document.querySelectorAll("[data-twice]")].map((each) => each.dataset.key));
  marked.delete("?");
  for (const [key, what] of marked) {
    const row = document.createElement("div"), name = document.createElement("kbd"), term = document.createElement("dt"), said = document.createElement("dd");
    row.dataset.of = key;
    name.textContent = twice.has(key) ? `${key} ${key}` : key;
    said.textContent = what;
    term.append(name);
    row.append(term, said);
    keys.querySelector("dl").append(row);
  }
  keys.showModal();
}

const show = document.getElementById("show-keys");
if (show) {
  show.hidden = false;
  show.addEventListener("click", tell);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  if (!navigator.clipboard) { getSelection().selectAllChildren(button); return; } // only secure pages have one
  await navigator.clipboard.writeText(button.dataset.copy);
  button.dataset.done = "";
  setTimeout(() => delete button.dataset.done, 1500);
});
