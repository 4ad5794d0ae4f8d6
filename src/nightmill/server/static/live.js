// Keeps a page true while it is looked at. The server says that something happened; the parts of the page that are about
// it (data-live: the names of events, or * for any) are asked for again and put in the place of the old ones.
const parts = () => [...document.querySelectorAll("[data-live]")];
const about = document.body.dataset.run;
const PAUSE = 1000; // milliseconds between two requests of one page: people do not read faster
const sent = new WeakMap(); // what the server sent of each part: people open and close things of it meanwhile
const AWAY = 3000; // milliseconds after which it is said that the server is away: a stream that is begun anew is nothing
const AGAIN = 5000; // milliseconds until a stream that was refused is asked for again
const RESTS = 10000; // milliseconds after which a pointer that does not move points at nothing
const news = document.getElementById("news");
let due = 0, last = 0, missed = false, away = 0, out = false, moved = 0;
let heard = document.body.dataset.after; // the number in the ledger up to which this page knows everything

function concerns(name) {
  return parts().some((part) => part.dataset.live === "*" || part.dataset.live.split(" ").includes(name));
}

async function renew() {
  due = 0;
  if (document.hidden) { missed = true; return; }
  last = Date.now();
  const answer = await ask();
  if (!answer?.ok) return; // the stream says when the server is back
  if (answer.redirected) { signedOut(); return; }
  if (out) { out = false; back("You are signed in again."); }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  still(() => {
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      if (next) "each" in part.dataset ? grow(part, next) : put(part, next);
    }
  });
  if (fresh.title && fresh.title !== document.title) {
    document.title = fresh.title; // it names the state, and changes with it alone: that is told to who listens, and no more
    say(fresh.title.replace(/ · [^·]*$/, ""));
  }
  document.dispatchEvent(new Event("renewed"));
}

// What the pointer is on stays under it, whatever comes above; a pointer that was left somewhere for the night holds nothing.
document.addEventListener("pointermove", () => { moved = Date.now(); }, { passive: true });

function still(change) {
  if (Date.now() - moved > RESTS) { change(); return; }
  const held = [...document.querySelectorAll("main :hover")].map((each) => [each, each.getBoundingClientRect().top]);
  change();
  const [at, top] = held.findLast(([each]) => each.isConnected) || [];
  if (at) scrollBy(0, at.getBoundingClientRect().top - top);
}

// This page, as it is now at the server; null without an answer.
function ask() {
  return fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" }).catch(() => null);
}

// What somebody was writing is not taken from them: then they sign in elsewhere, and go on here.
function signedOut() {
  const way = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  if (!written(document)) { location.replace(`${way}&ended=true`); return; }
  if (out) return;
  out = true;
  const link = document.createElement("a");
  link.href = way;
  link.target = "_blank";
  link.textContent = "Sign in in another tab";
  document.documentElement.dataset.away = "";
  say("You are signed out. What you wrote stays here. ");
  news.append(link);
}

function say(text) {
  if (news && news.textContent !== text) news.textContent = text;
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
  if (written(part)) return true;
  const at = document.activeElement, chosen = getSelection();
  if (part.contains(at) && at.matches("select")) return true;
  return !chosen.isCollapsed && part.contains(chosen.anchorNode);
}

function written(part) {
  const chose = (each) => each.selectedIndex !== Math.max(0, [...each.options].findIndex((option) => option.defaultSelected));
  const changed = (each) =>
    each.matches("select") ? chose(each) : each.matches("[type=radio], [type=checkbox]") ? each.checked !== each.defaultChecked : each.value !== each.defaultValue;
  return [...part.querySelectorAll("input, textarea, select")].some(changed);
}

// What is folded is known by its id, or by what stands on it.
const name = (fold) => fold.id || fold.querySelector("summary")?.textContent;

const FOCUSED = "a[href], button, input, select, textarea, summary, [tabindex]";
const SCROLLED = ".scroll, pre, .say";

// What is in *next* what *at* is in *part*: it has the same id, or it is the same one of those that look alike.
function twin(part, next, at) {
  if (at.id) return next.querySelector(`#${CSS.escape(at.id)}`);
  const look = (each) => `${each.tagName} ${each.getAttribute("href") || each.getAttribute("name") || each.getAttribute("aria-label") || each.textContent}`;
  const alike = (within) => [...within.querySelectorAll(FOCUSED)].filter((each) => look(each) === look(at));
  return alike(next)[alike(part).indexOf(at)];
}

function replace(part, next) {
  sent.set(next, next.outerHTML);
  const folds = (within) => [...(within.matches("details") ? [within] : []), ...within.querySelectorAll("details")];
  const open = new Map(folds(part).map((each) => [name(each), each.open]));
  const at = part.contains(document.activeElement) && part !== document.activeElement ? document.activeElement : null;
  const focus = at && (twin(part, next, at) || next);
  const places = [...part.querySelectorAll(SCROLLED)].map((each) => [each.scrollLeft, each.scrollTop]);
  for (const each of folds(next)) each.open = open.get(name(each)) ?? each.open;
  part.replaceWith(next);
  const scrolled = [...next.querySelectorAll(SCROLLED)];
  if (scrolled.length === places.length) scrolled.forEach((each, index) => { [each.scrollLeft, each.scrollTop] = places[index]; });
  if (focus === next && !next.hasAttribute("tabindex")) next.tabIndex = -1; // what had the focus is gone: it stays near
  focus?.focus({ preventScroll: true });
}

function later() {
  if (!due) due = setTimeout(renew, Math.max(100, last + PAUSE - Date.now()));
}

function mark(state) {
  document.documentElement.dataset.connection = state;
  if (state === "lost") { away ||= setTimeout(gone, AWAY, new Date().toLocaleTimeString()); return; }
  clearTimeout(away);
  away = 0;
  if (!out) back("The server is back.");
}

function back(word) {
  if (document.documentElement.dataset.away !== "") return;
  delete document.documentElement.dataset.away;
  say(word);
}

async function gone(since) {
  const answer = await ask();
  if (answer?.ok && answer.redirected) { signedOut(); return; }
  if (!away) return; // it came back meanwhile
  document.documentElement.dataset.away = "";
  say(`The server is away. This page is as it was at ${since}, and goes on by itself.`);
}

for (const part of parts()) for (const each of [part, ...part.children]) sent.set(each, each.outerHTML);

if (parts().length) {
  listen();
  document.addEventListener("visibilitychange", () => { if (!document.hidden && (missed || out)) { missed = false; later(); } });
}

function listen() {
  const asked = new URLSearchParams();
  if (about) asked.set("run", about);
  if (document.getElementById("draft")) asked.set("drafts", true); // draft.js shows them
  if (heard) asked.set("after", heard);
  const source = new EventSource(`/api/v1/events?${asked}`);
  source.addEventListener("draft", (event) => document.dispatchEvent(new CustomEvent("draft", { detail: JSON.parse(event.data) })));
  const take = (event) => { heard = event.lastEventId; if (concerns(event.type)) later(); };
  for (const name of (document.body.dataset.events || "").split(" ")) if (name) source.addEventListener(name, take);
  source.onopen = () => { if (last || document.documentElement.dataset.connection === "lost") later(); mark("live"); };
  source.onerror = () => {
    mark("lost");
    // The browser comes again by itself, and names the last event that it had; but not after an answer such as 502 or 503.
    if (source.readyState === EventSource.CLOSED) setTimeout(async () => { await renew(); listen(); }, AGAIN);
  };
}
