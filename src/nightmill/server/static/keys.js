// j and k go through the rows of a page, enter opens one, ? shows what there is; what a page offers is marked with data-key.
const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.checkVisibility());

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

// The turns of a timeline are one stop of the tab key, and arrows go through them in time.
const ALONG = ["ArrowLeft", "ArrowRight", "Home", "End"];
const turns = () => [...document.querySelectorAll(".timeline a.turn")];

function stop(at = turns().at(-1)) {
  turns().forEach((turn) => turn.setAttribute("tabindex", turn === at ? 0 : -1));
}

function along(at, key) {
  const place = (turn) => turn.querySelector(".hit").getBoundingClientRect().left;
  const all = turns().sort((one, other) => place(one) - place(other));
  const next = { ArrowLeft: all.indexOf(at) - 1, ArrowRight: all.indexOf(at) + 1, Home: 0, End: all.length - 1 }[key];
  all[next]?.focus();
}

document.addEventListener("focusin", (event) => { if (event.target.matches(".timeline a.turn")) stop(event.target); });
document.addEventListener("renewed", () => stop(turns().find((turn) => turn === document.activeElement)));
stop();

document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (at.matches(".timeline a.turn") && ALONG.includes(event.key)) {
    event.preventDefault();
    along(at, event.key);
    return;
  }
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
  if (turns().length) marked.set("← →", "along the turns of the timeline, once one of them has the focus");
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
