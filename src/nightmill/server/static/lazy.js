// What takes the server a while is fetched when its fold is opened: the address of a page (data-from), and which part of it is wanted
// (data-part). Without a script the fold holds a link to that page.
async function fill(fold) {
  if (!fold.open || "asked" in fold.dataset) return;
  fold.dataset.asked = "";
  const answer = await fetch(fold.dataset.from, { headers: { Accept: "text/html" }, credentials: "same-origin" }).catch(() => null);
  const part = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(fold.dataset.part);
  if (part) fold.lastElementChild.replaceWith(part);
  else delete fold.dataset.asked; // its link stays, and the next opening tries again
}

for (const fold of document.querySelectorAll("details[data-from]")) {
  fold.addEventListener("toggle", () => fill(fold));
  fill(fold); // on a slow machine it was opened before this ran
}
