// Keeps a page true while it is looked at. The server says that something happened; the parts of the page that are about
// it (data-live: the names of events, or * for any) are asked for again and put in the place of the old ones.
const parts = () => [...document.querySelectorAll("[data-live]")];
const about = document.body.dataset.run;
const PAUSE = 1000; // milliseconds between two requests of one page: people do not read faster
const sent = new WeakMap(); // what the server sent of each part: people open and close things of it meanwhile
let due = 0, last = 0, missed = false;

function concerns(name) {
  return parts().some((part) => part.dataset.live === "*" || part.dataset.live.split(" ").includes(name));
}

async function renew() {
  due = 0;
  if (document.hidden) { missed = true; return; }
  last = Date.now();
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (answer.redirected) { location.reload(); return; }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts()) {
    const next = fresh.getElementById(part.id);
    if (next) "each" in part.dataset ? grow(part, next) : put(part, next);
  }
  document.dispatchEvent(new Event("renewed"));
}

function put(part, next) {
  if (!busy(part) && next.outerHTML !== sent.get(part)) replace(part, next);
}

// A list whose items have ids (data-each): those that are as they were stay untouched, with all that is open in them.
function grow(part, next) {
  const fresh = [...next.children], ids = new Set(fresh.map((each) => each.id));
  for (const old of [...part.children]) if (!ids.has(old.id)) old.remove();
  fresh.forEach((each, at) => {
    const old = [...part.children].find((child) => child.id === each.id);
    if (old) put(old, each);
    else { sent.set(each, each.outerHTML); part.insertBefore(each, part.children[at] || null); }
  });
}

// What somebody is in the middle of stays as it is: a field that they changed, a selection.
function busy(part) {
  const changed = (each) => (each.matches("[type=radio]") ? each.checked !== each.defaultChecked : each.value !== each.defaultValue);
  if ([...part.querySelectorAll("input, textarea")].some(changed)) return true;
  const at = document.activeElement, chosen = getSelection();
  if (part.contains(at) && at.matches("select")) return true;
  return !chosen.isCollapsed && part.contains(chosen.anchorNode);
}

// What is folded is known by its id, or by what stands on it.
const name = (fold) => fold.id || fold.querySelector("summary")?.textContent;

function replace(part, next) {
  sent.set(next, next.outerHTML);
  const folds = (within) => [...(within.matches("details") ? [within] : []), ...within.querySelectorAll("details")];
  const open = new Map(folds(part).map((each) => [name(each), each.open]));
  const focus = part.contains(document.activeElement) ? document.activeElement.id : "";
  for (const each of folds(next)) each.open = open.get(name(each)) ?? each.open;
  part.replaceWith(next);
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

function later() {
  if (!due) due = setTimeout(renew, Math.max(100, last + PAUSE - Date.now()));
}

function mark(state) {
  document.documentElement.dataset.connection = state;
}

for (const part of parts()) for (const each of [part, ...part.children]) sent.set(each, each.outerHTML);

if (parts().length) {
  const drafts = document.getElementById("draft") ? "&drafts=true" : ""; // draft.js shows them
  const source = new EventSource(about ? `/api/v1/events?run=${encodeURIComponent(about)}${drafts}` : "/api/v1/events");
  source.addEventListener("draft", (event) => document.dispatchEvent(new CustomEvent("draft", { detail: JSON.parse(event.data) })));
  const take = (event) => { if (concerns(event.type)) later(); };
  for (const name of (document.body.dataset.events || "").split(" ")) if (name) source.addEventListener(name, take);
  source.onopen = () => { if (last || document.documentElement.dataset.connection === "lost") later(); mark("live"); };
  source.onerror = () => mark("lost"); // the browser comes again by itself, and names the last event that it had
  document.addEventListener("visibilitychange", () => { if (!document.hidden && missed) { missed = false; later(); } });
}
